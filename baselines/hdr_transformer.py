"""HDR-Transformer: windows for what is far, small convolutions for what is near."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.hdr_inputs import HDRNetworkMethod, InputLayout
from baselines.recipes import RECIPES
from baselines.window_attention import (
    Blocks,
    WindowBlock,
    Windows,
    drop_path_rates,
    initialise,
    named,
    pad_to_windows,
    plain_and_shifted,
    to_maps,
    to_tokens,
)
from dmef_bench.errors import UsageError


class SpatialAttention(nn.Module):
    """How far each feature of an exposure goes with the reference: values in (0, 1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.att1 = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1)
        self.att2 = nn.Conv2d(2 * channels, channels, 3, padding=1)

    def forward(self, other: Tensor, reference: Tensor) -> Tensor:
        """Compare two maps of shape (N, channels, H, W)."""
        hidden = functional.leaky_relu_(self.att1(torch.cat((other, reference), 1)), 0.01)
        return self.att2(hidden).sigmoid_()


class LocalContext(nn.Module):
    """The paper's local context extractor: convolutions through few channels, and a gate.

    The gate is squeeze and excitation (Hu et al., CVPR 2018, Eqs. 2 to 4) over the whole frame;
    because of it, tiles and whole frames differ.
    """

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(channels, squeezed, 1),
            nn.Conv2d(squeezed, squeezed, 3, padding=1),
            nn.Conv2d(squeezed, channels, 1),
        )
        self.fc = nn.Sequential(
            nn.Linear(channels, squeezed, bias=False),
            nn.ReLU(),
            nn.Linear(squeezed, channels, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """See around each of the tokens, (N, H, W, C); return these maps and their gates."""
        near = to_tokens(functional.leaky_relu_(self.conv(to_maps(tokens)), 0.2))
        return near, self.fc(near.mean((1, 2)))[:, None, None]


class ContextAwareBlock(WindowBlock):
    """The paper's context-aware block: global context by windows, plus the local context.

    Both start from the same normalised tokens.
    """

    def __init__(
        self, channels: int, heads: int, side: int, mlp_ratio: float, drop_path: float
    ) -> None:
        super().__init__(channels, heads, side, mlp_ratio, drop_path)
        self.lce = LocalContext(channels, squeezed=7)

    def forward(self, tokens: Tensor, windows: Sequence[Windows]) -> Tensor:
        """Transform tokens of shape (N, H, W, C), given the windows of their frame."""
        normed = self.norm1(tokens)
        transformed = self.transform(tokens, normed, windows)
        near, gate = self.lce(normed)
        return transformed.addcmul_(near, gate)


class ContextAwareGroup(nn.Module):
    """Blocks in series and a dilated convolution, beside a shortcut."""

    def __init__(self, blocks: Sequence[ContextAwareBlock], channels: int) -> None:
        super().__init__()
        self.residual_group = Blocks(blocks)
        self.dilated_conv = nn.Conv2d(channels, channels, 3, padding=2, dilation=2)

    def forward(self, tokens: Tensor, windows: Sequence[Sequence[Windows]]) -> Tensor:
        """Transform tokens of shape (N, H, W, C), given the plain and the shifted windows."""
        transformed = self.residual_group(tokens, windows)
        return to_tokens(self.dilated_conv(to_maps(transformed))) + tokens


class HDRTransformerNetwork(nn.Module):
    """The network of HDR-Transformer; its parameters are named as in the authors' PyTorch port.

    Parameters
    ----------
    in_channels : int
        Channels of one exposure: 6 (linear and encoded picture) or 3.
    embed_dim : int
        Channels of the features.
    depths, num_heads : sequence of int
        Blocks, and heads of each block, of every group.
    window_size : int
        Side of the attention windows in pixels; sizes are padded to its multiples.
    mlp_ratio : float
        Width of the mlps' hidden layers over ``embed_dim``.
    drop_path : float
        Stochastic depth of the last block; it rises to that from 0. Training only.

    References
    ----------
    Liu, Wang, Zeng and Liu, "Ghost-free high dynamic range imaging with context-aware
    transformer", ECCV 2022.
    """

    def __init__(
        self,
        in_channels: int = 6,
        embed_dim: int = 60,
        depths: Sequence[int] = (6, 6, 6),
        num_heads: Sequence[int] = (6, 6, 6),
        window_size: int = 8,
        mlp_ratio: float = 2,
        drop_path: float = 0.1,
    ) -> None:
        super().__init__()
        self.window_size = window_size
        self.conv_f1 = nn.Conv2d(in_channels, embed_dim, 3, padding=1)
        self.conv_f2 = nn.Conv2d(in_channels, embed_dim, 3, padding=1)
        self.conv_f3 = nn.Conv2d(in_channels, embed_dim, 3, padding=1)
        self.att_module_l = SpatialAttention(embed_dim)
        self.att_module_h = SpatialAttention(embed_dim)
        self.conv_first = nn.Conv2d(3 * embed_dim, embed_dim, 3, padding=1)
        self.patch_embed = named("norm", nn.LayerNorm(embed_dim))
        self.layers = nn.ModuleList()
        for rates, heads in zip(drop_path_rates(drop_path, depths), num_heads, strict=True):
            blocks = [
                ContextAwareBlock(embed_dim, heads, window_size, mlp_ratio, rate) for rate in rates
            ]
            self.layers.append(ContextAwareGroup(blocks, embed_dim))
        self.norm = nn.LayerNorm(embed_dim)
        self.conv_after_body = nn.Conv2d(embed_dim, embed_dim, 3, padding=1)
        self.conv_last = nn.Conv2d(embed_dim, 3, 3, padding=1)
        self.apply(initialise)

    def forward(self, x_low: Tensor, x_medium: Tensor, x_high: Tensor) -> Tensor:
        """Fuse three exposures.

        Parameters
        ----------
        x_low, x_medium, x_high : Tensor, shape (N, in_channels, H, W)
            The exposures; the medium one is the reference. H and W are at least ``window_size``.

        Returns
        -------
        Tensor, shape (N, 3, H, W)
            Values in (0, 1).

        Raises
        ------
        ImageContractError
            H or W is smaller than a window.
        """
        height, width = x_medium.shape[-2:]
        padded = (
            pad_to_windows(x, self.window_size, "HDR-Transformer")
            for x in (x_low, x_medium, x_high)
        )
        reference, shallow = self.features(*padded)
        tokens = self.patch_embed(to_tokens(shallow))
        windows = plain_and_shifted(tokens, self.window_size)
        for layer in self.layers:
            tokens = layer(tokens, windows)
        deep = self.conv_after_body(to_maps(self.norm(tokens)) + shallow)
        return self.conv_last(reference + deep).sigmoid()[..., :height, :width]

    def features(self, low: Tensor, medium: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Features of the reference, and of all three as far as they go with it.

        Both are (N, embed_dim, H, W).
        """
        reference = self.conv_f2(medium)
        # The letters of the attention modules read the other way round: so they were trained.
        low, high = self.conv_f1(low), self.conv_f3(high)
        low = low * self.att_module_h(low, reference)
        high = high * self.att_module_l(high, reference)
        return reference, self.conv_first(torch.cat((low, reference, high), 1))


def from_megengine(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Translate the state of the authors' MegEngine network into ours.

    Parameters
    ----------
    state : mapping of str to array
        Parameters by name, as ``megengine.load`` yields them: the local branch is called
        ``lce.conv_block``, biases of convolutions are (1, out, 1, 1), and tables of relative
        positions count columns before rows.

    Returns
    -------
    dict of str to Tensor
        What `HDRTransformerNetwork` loads strictly.

    Raises
    ------
    UsageError
        If a table of relative positions is not one of a square window.
    """
    return {
        name.replace(".lce.conv_block.", ".lce.conv."): _from_megengine(
            name, torch.as_tensor(value)
        )
        for name, value in state.items()
    }


def _from_megengine(name: str, value: Tensor) -> Tensor:
    if name.endswith(".relative_position_bias_table"):
        extent = math.isqrt(value.shape[0]) if value.ndim == 2 else 0
        if extent == 0 or extent**2 != value.shape[0]:
            raise UsageError(
                f"{name} has shape {tuple(value.shape)}; a table of relative positions holds a "
                "square number of rows, 225 for windows of 8x8, and a column for each head."
            )
        return value.unflatten(0, (extent, extent)).transpose(0, 1).flatten(0, 1)
    return value.flatten() if name.endswith(".bias") else value


class HDRTransformer(HDRNetworkMethod):
    """HDR-Transformer as a fusion method."""

    name = "hdr-transformer"
    paper = "Liu et al., ECCV 2022"
    paper_size = (200, 200)
    recipes = RECIPES["hdr-transformer"]
    # The gate of the local context sees the whole frame.
    is_global = True
    layout = InputLayout(bgr=True, linear_first=True, epsilon=1e-8, scale_16_bit=65536.0)

    def network(self) -> HDRTransformerNetwork:
        """Build the network afresh."""
        return HDRTransformerNetwork(self.in_channels)

    def first_convolution(self) -> str:
        """Key of the weight whose second axis counts the channels of an exposure."""
        return "conv_f1.weight"

    def state(self, checkpoint: Path) -> dict[str, Tensor]:
        """Read a checkpoint; one with MegEngine's names is translated."""
        state = super().state(checkpoint)
        megengine = any(".lce.conv_block." in key for key in state)
        return from_megengine(state) if megengine else state
