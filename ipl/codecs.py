"""Trained compression of attention weights: fewer channels, or one, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from dmef_bench.errors import UsageError
from ipl.daem import AXES, Form

if TYPE_CHECKING:
    from ipl.network import FeatureIntegrationBlock, IPLNetwork

CROP = 16
"""Rows and columns of what a codec learns from; along a grouped axis, one group."""

COLUMNS = 64
"""Of a group along W."""

BATCH = 4
LEARNING_RATE = 1e-3


class CnnWidthCodec(nn.Module):
    """CNN-W: three 1x1 convolutions with ReLU between along an axis, 64 to 48, 32, 16, and back.

    Any multiple of four may stand for 64. A decoder of 80 multiplications an element replaces
    extractors of 96, so nothing is gained in time.

    Parameters
    ----------
    length : int
        Size of a group along the axis; the chunk along C, in this network.
    axis : {"C", "W", "H"}
        Which axis is grouped; its last group is filled up by its last value.
    top : float
        Largest value: 1 for attention weights, 3 for their sum.

    References
    ----------
    Table 7 of Chen et al., arXiv:2412.11685. The widths between are our choice.
    """

    def __init__(self, length: int = 64, *, axis: Literal["C", "W", "H"] = "C", top: float = 3.0):
        super().__init__()
        if length % 4:
            raise UsageError(
                f"CNN-W reduces groups of {length} to a quarter; give a multiple of 4."
            )
        widths = (length, length * 3 // 4, length // 2, length // 4)
        self.length = length
        self.axis = AXES[axis]
        self.top = top
        self.encoder = _convolutions(widths)
        self.decoder = _convolutions(widths[::-1])

    def forward(self, weights: Tensor) -> Tensor:
        """Encode and decode (N, C, h, w), not clamped: training needs the slope."""
        return self._decoded(self.encode(weights), weights.shape)

    def encode(self, weights: Tensor) -> Tensor:
        """(N, C, h, w) to codes, the grouped axis second and a quarter as long."""
        turned = weights.transpose(1, self.axis)
        count, size, *rest = turned.shape
        filling = turned[:, -1:].expand(-1, -size % self.length, -1, -1)
        groups = torch.cat((turned, filling), 1).reshape(-1, self.length, *rest)
        return self.encoder(groups).reshape(count, -1, *rest)

    def decode(self, codes: Tensor, shape: Sequence[int]) -> Tensor:
        """Codes to weights of a shape, within [0, top]."""
        return self._decoded(codes, shape).clamp_(0, self.top)

    def _decoded(self, codes: Tensor, shape: Sequence[int]) -> Tensor:
        count, _, *rest = codes.shape
        groups = self.decoder(codes.reshape(-1, self.length // 4, *rest))
        turned = groups.reshape(count, -1, *rest)[:, : shape[self.axis]]
        return turned.transpose(1, self.axis)


class CnnChannelCodec(nn.Module):
    """CNN-C: one 3x3 convolution to a single channel, and one back.

    One channel cannot hold the weights of 192; expect a large loss.

    Parameters
    ----------
    width : int
        Channels of the features.
    top : float
        Largest value: 1 for attention weights, 3 for their sum.

    References
    ----------
    Table 7 of Chen et al., arXiv:2412.11685.
    """

    def __init__(self, width: int = 192, *, top: float = 3.0) -> None:
        super().__init__()
        self.top = top
        self.encoder = nn.Conv2d(width, 1, 3, padding=1)
        self.decoder = nn.Conv2d(1, width, 3, padding=1)

    def forward(self, weights: Tensor) -> Tensor:
        """Encode and decode (N, C, h, w), not clamped: training needs the slope."""
        return self.decoder(self.encode(weights))

    def encode(self, weights: Tensor) -> Tensor:
        """(N, C, h, w) to (N, 1, h, w)."""
        return self.encoder(weights)

    def decode(self, codes: Tensor, shape: Sequence[int]) -> Tensor:  # noqa: ARG002 - as CNN-W
        """Codes to weights of a shape, within [0, top]."""
        return self.decoder(codes).clamp_(0, self.top)


Codec = CnnWidthCodec | CnnChannelCodec


def train_codecs(
    network: IPLNetwork,
    scenes: Iterable[Sequence[Tensor]],
    kind: Literal["cnn_w", "cnn_c"],
    *,
    what: Literal["weights", "weights_per_dim"] = "weights",
    axis: Literal["C", "W"] = "C",
    steps: int = 2000,
    crops: int = 32,
    seed: int = 0,
) -> nn.ModuleList:
    """Fit one codec a block to the attention of a frozen network, by L1.

    Parameters
    ----------
    network : IPLNetwork
        The network, which stays as it is.
    scenes : iterable of three Tensors, each (N, 3, H, W)
        Exposures of training scenes.
    kind : {"cnn_w", "cnn_c"}
        Which codec.
    what : {"weights", "weights_per_dim"}
        What will be kept: the sum of a block's weights, or each dimension's by the same codec.
    axis : {"C", "W"}
        That CNN-W groups: the chunks along C, or 64 columns.
    steps : int
        Of AdamW at 1e-3, four crops each.
    crops : int
        Taken from each picture and tensor, at random places.
    seed : int
        Of crops, first weights and batches: the same seed gives the same codecs on one machine.

    Returns
    -------
    nn.ModuleList
        For ``AttentionCache(..., codecs=...)``; without gradients.

    Raises
    ------
    UsageError
        No scenes, or a network without attention.
    """
    device = network.up.gain.weight.device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        size = (CROP, COLUMNS if kind == "cnn_w" and axis == "W" else CROP)
        samples = _attention_samples(network, scenes, what, crops, size)
        if not samples or not samples[0]:
            raise UsageError("There is no attention to train codecs on: give scenes, and dims.")
        top = float(len(network.config.dims)) if what == "weights" else 1.0
        codecs = []
        for of_block in samples:
            codec = _fresh(network, kind, axis, top).to(device)
            codecs.append(_fitted(codec, torch.cat(of_block), steps))
    return nn.ModuleList(codecs)


def _fresh(network: IPLNetwork, kind: str, axis: Literal["C", "W"], top: float) -> Codec:
    if kind == "cnn_c":
        return CnnChannelCodec(network.config.width, top=top)
    length = network.config.brick[0] if axis == "C" else COLUMNS
    return CnnWidthCodec(length, axis=axis, top=top)


def _attention_samples(
    network: IPLNetwork,
    scenes: Iterable[Sequence[Tensor]],
    what: str,
    crops: int,
    size: tuple[int, int],
) -> list[list[Tensor]]:
    """Crops of each block's attention, as the network meets it."""
    samples: list[list[Tensor]] = [[] for _ in network.blocks]

    def listening(block: FeatureIntegrationBlock, taken: list[Tensor]):
        def listen(features: Tensor, form: Form) -> Tensor:
            gates = list(block.daem.gates(features).values())
            for tensor in [sum(gates[1:], gates[0])] if what == "weights" else gates:
                taken.extend(_crop(tensor.float(), size) for _ in range(crops))
            return block(features, form)

        return listen

    if network.config.dims:
        ears = [
            listening(block, taken)  # type: ignore[arg-type]
            for block, taken in zip(network.blocks, samples, strict=True)
        ]
        # Not inference mode, whose tensors could not be trained on.
        with torch.no_grad():
            for exposures in scenes:
                network.body(network.down(network.padded(*exposures)), blocks=ears)
    return samples


def _crop(tensor: Tensor, size: tuple[int, int]) -> Tensor:
    """A random (1, C, *size) of (N, C, h, w)."""
    window = []
    for side, wanted in zip(tensor.shape[2:], size, strict=True):
        start = int(torch.randint(max(side - wanted, 0) + 1, ()))
        window.append(slice(start, start + wanted))
    image = int(torch.randint(len(tensor), ()))
    crop = tensor[image : image + 1, :, window[0], window[1]]
    # Frames smaller than a crop: repeating the border keeps one shape for all.
    bottom, right = size[0] - crop.shape[2], size[1] - crop.shape[3]
    return functional.pad(crop, (0, right, 0, bottom), mode="replicate").clone()


def _fitted(codec: Codec, samples: Tensor, steps: int) -> Codec:
    optimizer = torch.optim.AdamW(codec.parameters(), lr=LEARNING_RATE)
    with torch.enable_grad():
        for _ in range(steps):
            batch = samples[torch.randint(len(samples), (BATCH,), device=samples.device)]
            loss = functional.l1_loss(codec(batch), batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return codec.eval().requires_grad_(False)


def _convolutions(widths: Sequence[int]) -> nn.Sequential:
    """1x1 convolutions from width to width, with ReLU between them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Conv2d(before, after, 1), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
