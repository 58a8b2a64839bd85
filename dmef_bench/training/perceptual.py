"""The perceptual loss: how far two pictures are apart in the maps of VGG16."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from dmef_bench.errors import UnavailableError
from dmef_bench.metrics.backbone import BACKBONES

_WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512))
"""Channels of the convolutions between two poolings, up to conv4_3."""

_PLACES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21)
"""Where torchvision's ``features`` has these convolutions."""

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pictures, RGB in [0, 1]."""


class Perceptual(nn.Module):
    """Mean absolute difference after relu1_2, relu2_2, relu3_3 and relu4_3 of VGG16, summed.

    Johnson, Alahi, Fei-Fei, "Perceptual losses for real-time style transfer and super-resolution",
    ECCV 2016. Layers, the absolute difference, and that nothing is resized are HDR-Transformer's
    (Liu et al., ECCV 2022). Channels are taken in the network's own order.

    Parameters
    ----------
    features : mapping of str to Tensor
        VGG16's ``"features.0.weight"`` and so on, as torchvision names them. Never trained.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, features: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(*layers) for layers in _blocks())
        convolutions = [part for part in self.modules() if isinstance(part, nn.Conv2d)]
        for convolution, place in zip(convolutions, _PLACES, strict=True):
            ends = ("weight", "bias")
            convolution.load_state_dict({end: features[f"features.{place}.{end}"] for end in ends})
        self.register_buffer("mean", torch.tensor(_MEAN).view(3, 1, 1))
        self.register_buffer("deviation", torch.tensor(_DEVIATION).view(3, 1, 1))
        self.requires_grad_(False)

    def forward(self, fused: Tensor, target: Tensor) -> Tensor:
        """The distance, one number.

        Parameters
        ----------
        fused, target : Tensor, shape (N, 3, H, W)
            As people would look at them, float32 in [0, 1]; at least 8 pixels a side.
        """
        x, y = ((picture - self.mean) / self.deviation for picture in (fused, target))
        distance = x.new_zeros(())
        for block in self.blocks:
            x, y = block(x), block(y)
            distance = distance + (x - y).abs().mean()
        return distance


def _blocks() -> Iterator[list[nn.Module]]:
    channels = 3
    for index, widths in enumerate(_WIDTHS):
        layers: list[nn.Module] = [nn.MaxPool2d(2)] if index else []
        for width in widths:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        yield layers


def load_perceptual(weights: Path | None = None) -> Perceptual:
    """The loss with verified weights.

    Parameters
    ----------
    weights : path, optional
        torchvision's checkpoint of VGG16; found or downloaded if not given
        (`dmef_bench.metrics.backbone.Backbone.find`).

    Raises
    ------
    UnavailableError
        There are none.
    """
    backbone = BACKBONES["vgg16"]
    try:
        return Perceptual(backbone.read(backbone.find(weights)))
    except UnavailableError as error:
        raise UnavailableError(
            f"{error} The perceptual loss of this recipe needs it; a recipe of your own may do "
            "without (perceptual = 0)."
        ) from error
