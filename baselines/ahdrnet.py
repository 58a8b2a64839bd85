"""AHDRNet (Yan et al. 2019): attention guards the reference, dilated dense blocks fuse."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.hdr_inputs import HDRNetworkMethod, agreed, count_layers
from baselines.recipes import RECIPES


class AHDRNetwork(nn.Module):
    """The network of "Attention-guided Network for Ghost-free High Dynamic Range Imaging".

    Yan et al., CVPR 2019. Its attention network tells, for either outer exposure and pixel by
    pixel, what may help the reference; its merging network fuses what is let through. Letters in
    the comments are the paper's. The layers carry the authors' names, which their checkpoints use.

    Parameters
    ----------
    in_channels : int
        Channels of one exposure: 6 for the picture and its linear copy, 3 for the picture alone.
    features : int
        Channels of the feature maps.
    dense_layers : int
        Dense layers of each of the three blocks: 6 as the authors have it, 5 as in the widely
        used re-training (liuzhen03/AHDRNet) and in Table 1 of the 4K-DMEF paper.
    growth : int
        Channels that each dense layer adds.
    """

    def __init__(
        self, in_channels: int = 6, features: int = 64, dense_layers: int = 6, growth: int = 32
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, features, 3, padding=1)
        self.att11 = nn.Conv2d(2 * features, 2 * features, 3, padding=1)
        self.att12 = nn.Conv2d(2 * features, features, 3, padding=1)
        self.att31 = nn.Conv2d(2 * features, 2 * features, 3, padding=1)
        self.att32 = nn.Conv2d(2 * features, features, 3, padding=1)
        # These two take no part; every checkpoint holds them.
        self.attConv1 = nn.Conv2d(features, features, 3, padding=1)
        self.attConv3 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(3 * features, features, 3, padding=1)
        self.RDB1 = DilatedResidualDenseBlock(features, dense_layers, growth)
        self.RDB2 = DilatedResidualDenseBlock(features, dense_layers, growth)
        self.RDB3 = DilatedResidualDenseBlock(features, dense_layers, growth)
        self.GFF_1x1 = nn.Conv2d(3 * features, features, 1)
        self.GFF_3x3 = nn.Conv2d(features, features, 3, padding=1)
        self.conv_up = nn.Conv2d(features, features, 3, padding=1)
        self.conv3 = nn.Conv2d(features, 3, 3, padding=1)

    def forward(self, x_low: Tensor, x_medium: Tensor, x_high: Tensor) -> Tensor:
        """Fuse three exposures of one size; the medium one is the reference.

        Parameters
        ----------
        x_low, x_medium, x_high : Tensor, shape (N, in_channels, H, W)
            The exposures, of any size.

        Returns
        -------
        Tensor, shape (N, 3, H, W)
            The fused picture, in (0, 1).
        """
        reference = self.encode(x_medium)  # Z_2
        merged = self.merge(self.attend(x_low, reference, x_high))
        # Global residual learning: the reference as it was before any attention.
        return torch.sigmoid(self.conv3(self.conv_up(merged + reference)))

    def encode(self, exposure: Tensor) -> Tensor:
        """Z_i, the features of one exposure, by the one encoder that all three share."""
        return functional.leaky_relu(self.conv1(exposure), 0.01, inplace=True)

    def attend(self, x_low: Tensor, reference: Tensor, x_high: Tensor) -> Tensor:
        """F_0: what the outer exposures may tell, Z'_i = A_i * Z_i, beside the reference."""
        low = self.encode(x_low)
        low = low * attention(self.att11, self.att12, low, reference)
        high = self.encode(x_high)
        high = high * attention(self.att31, self.att32, high, reference)
        return self.conv2(torch.cat((low, reference, high), dim=1))

    def merge(self, features: Tensor) -> Tensor:
        """Three blocks in series, and the fusion of all their outputs F_1, F_2, F_3."""
        outputs = []
        for block in (self.RDB1, self.RDB2, self.RDB3):
            features = block(features)
            outputs.append(features)
        return self.GFF_3x3(self.GFF_1x1(torch.cat(outputs, dim=1)))


def attention(first: nn.Conv2d, second: nn.Conv2d, other: Tensor, reference: Tensor) -> Tensor:
    """A_i = a_i(Z_i, Z_r) in (0, 1), one value per pixel and channel of an outer exposure."""
    hidden = first(torch.cat((other, reference), dim=1))
    return second(functional.leaky_relu(hidden, 0.01, inplace=True)).sigmoid_()


class DilatedResidualDenseBlock(nn.Module):
    """The paper's DRDB: each layer sees all maps before it, two pixels apart (dilation 2).

    Parameters
    ----------
    features : int
        Channels in and out.
    dense_layers : int
        Number of dense layers.
    growth : int
        Channels that each of them adds.
    """

    def __init__(self, features: int, dense_layers: int, growth: int) -> None:
        super().__init__()
        self.growth = growth
        self.dense_layers = nn.ModuleList(
            DenseLayer(features + k * growth, growth) for k in range(dense_layers)
        )
        self.conv_1x1 = nn.Conv2d(features + dense_layers * growth, features, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Local feature fusion and local residual learning, (N, features, H, W) in and out."""
        return self.conv_1x1(self.dense(features)) + features

    def dense(self, maps: Tensor) -> Tensor:
        """The given maps and those of all dense layers, (N, features + layers * growth, H, W)."""
        if torch.is_grad_enabled() or len(maps) > 1 or not maps.is_contiguous():
            for layer in self.dense_layers:
                maps = torch.cat((maps, layer(maps)), dim=1)
            return maps
        # The maps of one picture follow one another in memory: each layer can read those before
        # it and write its own behind them. The same to the last bit in 0.73 of the memory; but a
        # batch, or channels last, would be copied at every convolution, slower than above.
        seen = maps.shape[1]
        maps = functional.pad(maps, (0, 0, 0, 0, 0, len(self.dense_layers) * self.growth))
        for layer in self.dense_layers:
            maps[:, seen : seen + self.growth] = layer(maps[:, :seen])
            seen += self.growth
        return maps


class DenseLayer(nn.Module):
    """One dilated convolution and ReLU of a `DilatedResidualDenseBlock`."""

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, growth, 3, padding=2, dilation=2)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, growth, H, W)."""
        return functional.relu(self.conv(maps), inplace=True)


class AHDRNet(HDRNetworkMethod):
    """AHDRNet as a fusion method.

    Parameters
    ----------
    checkpoint, in_channels, **options
        See `HDRNetworkMethod`.
    dense_layers : int, optional
        Of each block; read from the checkpoint where there is one, 6 otherwise.
    """

    name = "ahdrnet"
    paper = "Yan et al., CVPR 2019"
    paper_size = (256, 256)
    recipes = RECIPES["ahdrnet"]
    stride = 1

    def __init__(
        self,
        checkpoint: str | Path | None = None,
        *,
        dense_layers: int | None = None,
        **options: Any,
    ) -> None:
        self._stated_layers = dense_layers
        self.dense_layers = dense_layers or 6
        super().__init__(checkpoint, **options)

    def network(self) -> AHDRNetwork:
        """Build the network afresh."""
        return AHDRNetwork(self.in_channels, dense_layers=self.dense_layers)

    @property
    def halo(self) -> int:
        """Pixels around a tile that reach its inside: seven convolutions, and two a dense layer."""
        return 7 + 3 * 2 * self.dense_layers

    def first_convolution(self) -> str:
        """Key of the weight whose second axis counts the channels of an exposure."""
        return "conv1.weight"

    def configure(self, state: Mapping[str, Tensor]) -> None:
        """Also read the number of dense layers."""
        super().configure(state)
        found = count_layers(state, "RDB1.dense_layers.")
        if found:
            self.dense_layers = agreed("dense_layers", self._stated_layers, found)
