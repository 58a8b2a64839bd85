"""SCTNet: attention within each exposure by windows, between the exposures by channels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.hdr_inputs import HDRNetworkMethod, InputLayout
from baselines.recipes import RECIPES
from baselines.window_attention import (
    Blocks,
    Mlp,
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


class ChannelNorm(nn.Module):
    """Layer norm of each token. Not `torch.nn.LayerNorm`: the paper's costs leave it out."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = 1e-5

    def forward(self, tokens: Tensor) -> Tensor:
        """Normalise tokens of shape (..., channels)."""
        return functional.layer_norm(tokens, self.weight.shape, self.weight, self.bias, self.eps)


class ChannelAttention(nn.Module):
    """Attention among channels, each head within its own: Restormer's, Eq. 1, between two maps.

    The logits are the correlations of two channels over the whole frame, times a learnt factor;
    tiles and whole frames therefore differ.

    References
    ----------
    Zamir et al., "Restormer: Efficient transformer for high-resolution image restoration",
    CVPR 2022.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.q = nn.Conv2d(channels, channels, 1, bias=False)
        self.k = nn.Conv2d(channels, channels, 1, bias=False)
        self.v = nn.Conv2d(channels, channels, 1, bias=False)
        self.project_out = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Rebuild the first tokens from the channels of the second, both (N, H, W, C)."""
        height, width = queries.shape[1:3]
        query = functional.normalize(self._by_head(self.q(to_maps(queries))), dim=-1)
        key = functional.normalize(self._by_head(self.k(to_maps(keys))), dim=-1)
        value = self._by_head(self.v(to_maps(keys)))
        logits = query @ key.transpose(-1, -2) * self.temperature  # (N, heads, d, d)
        mixed = logits.softmax(-1) @ value
        mixed = mixed.flatten(1, 2).unflatten(-1, (height, width))
        return to_tokens(self.project_out(mixed))

    def _by_head(self, maps: Tensor) -> Tensor:
        return maps.flatten(2).unflatten(1, (self.heads, -1))  # (N, heads, d, H * W)


class ChannelBlock(nn.Module):
    """Channel attention from the reference to another exposure, then an mlp, with shortcuts."""

    def __init__(self, channels: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.norm1_x = named("body", ChannelNorm(channels))
        self.norm1_y = named("body", ChannelNorm(channels))
        self.attn = ChannelAttention(channels, heads)
        self.norm2 = nn.LayerNorm(channels)
        self.ffn = Mlp(channels, int(channels * mlp_ratio))

    def forward(self, reference: Tensor, other: Tensor) -> Tensor:
        """Bring what the other exposure holds to the reference; tokens of shape (N, H, W, C)."""
        mixed = reference + self.attn(self.norm1_x(reference), self.norm1_y(other))
        return mixed + self.ffn(self.norm2(mixed))


class WindowGroup(nn.Module):
    """Window blocks in series and a convolution, beside a shortcut."""

    def __init__(self, blocks: Sequence[WindowBlock], channels: int) -> None:
        super().__init__()
        self.residual_group = Blocks(blocks)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, tokens: Tensor, windows: Sequence[Sequence[Windows]]) -> Tensor:
        """Transform tokens of shape (N, H, W, C), given the plain and the shifted windows."""
        transformed = self.residual_group(tokens, windows)
        return to_tokens(self.conv(to_maps(transformed))) + tokens


class SCTNetwork(nn.Module):
    """The network of SCTNet; its parameters are named as the authors name them.

    Parameters
    ----------
    in_channels : int
        Channels of one exposure: 6 (linear and encoded picture) or 3.
    embed_dim : int
        Channels of the features, a third of them for each exposure.
    depths, num_heads : sequence of int
        Window blocks, and heads of each block, of every stage.
    channel_heads : int
        Heads of the channel attention.
    channel_mlp_ratio : float
        Width of the hidden layer after channel attention over a third of ``embed_dim``.
    window_size : int
        Side of the attention windows in pixels; sizes are padded to its multiples.
    mlp_ratio : float
        Width of the window blocks' hidden layers over ``embed_dim``.
    drop_path : float
        Stochastic depth of the last window block; it rises to that from 0. Training only.

    References
    ----------
    Tel et al., "Alignment-free HDR deghosting with semantics consistent transformer", ICCV 2023.
    """

    def __init__(
        self,
        in_channels: int = 6,
        embed_dim: int = 60,
        depths: Sequence[int] = (6, 6, 6, 6),
        num_heads: Sequence[int] = (6, 6, 6, 6),
        channel_heads: int = 4,
        channel_mlp_ratio: float = 4,
        window_size: int = 8,
        mlp_ratio: float = 2,
        drop_path: float = 0.1,
    ) -> None:
        super().__init__()
        self.window_size = window_size
        own = embed_dim // 3
        self.conv1 = nn.Conv2d(in_channels, own, 3, padding=1)
        self.conv2 = nn.Conv2d(in_channels, own, 3, padding=1)
        self.conv3 = nn.Conv2d(in_channels, own, 3, padding=1)
        self.conv_end = nn.Conv2d(own, embed_dim, 3, padding=1)
        self.conv_first = Mlp(embed_dim, embed_dim)
        self.patch_embed = named("norm", nn.LayerNorm(embed_dim))
        self.layers = nn.ModuleList()
        self.channel_layers_lm = nn.ModuleList()
        self.channel_layers_rm = nn.ModuleList()
        self.mlps = nn.ModuleList()
        for rates, heads in zip(drop_path_rates(drop_path, depths), num_heads, strict=True):
            blocks = [WindowBlock(embed_dim, heads, window_size, mlp_ratio, rate) for rate in rates]
            self.layers.append(WindowGroup(blocks, embed_dim))
            self.channel_layers_lm.append(ChannelBlock(own, channel_heads, channel_mlp_ratio))
            self.channel_layers_rm.append(ChannelBlock(own, channel_heads, channel_mlp_ratio))
            self.mlps.append(Mlp(embed_dim, embed_dim))
        self.norm = nn.LayerNorm(embed_dim)
        self.conv_after_body = nn.Conv2d(embed_dim, embed_dim, 3, padding=1)
        self.upsample = nn.Sequential(nn.Conv2d(embed_dim, 3, 3, padding=1))
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
        low, medium, high = (
            pad_to_windows(x, self.window_size, "SCTNet") for x in (x_low, x_medium, x_high)
        )
        reference = self.conv2(medium)
        # Unnamed, so that the layer's output alone stays.
        embedded = self.patch_embed(
            to_tokens(torch.cat((self.conv1(low), reference, self.conv3(high)), 1))
        )
        tokens = self.conv_first(embedded)
        windows = plain_and_shifted(tokens, self.window_size)
        for layer, *exchange in zip(
            self.layers, self.channel_layers_lm, self.channel_layers_rm, self.mlps, strict=True
        ):
            # The features of each exposure come back before every exchange.
            tokens = layer(tokens, windows) + embedded
            tokens = exchanged(tokens, *exchange)
        deep = self.conv_after_body(to_maps(self.norm(tokens)))
        return self.upsample(deep + self.conv_end(reference)).sigmoid()[..., :height, :width]


def exchanged(tokens: Tensor, from_low: nn.Module, from_high: nn.Module, mlp: nn.Module) -> Tensor:
    """Let the reference's third of the channels ask the other two, and mix all three."""
    low, medium, high = tokens.chunk(3, -1)
    return mlp(torch.cat((from_low(medium, low), medium, from_high(medium, high)), -1))


class SCTNet(HDRNetworkMethod):
    """SCTNet as a fusion method."""

    name = "sctnet"
    paper = "Tel et al., ICCV 2023"
    paper_size = (200, 200)
    recipes = RECIPES["sctnet"]
    # Channel attention runs over the whole frame.
    is_global = True
    layout = InputLayout(bgr=True, linear_first=True, epsilon=1e-8, scale_16_bit=65536.0)

    def network(self) -> SCTNetwork:
        """Build the network afresh."""
        return SCTNetwork(self.in_channels)

    def first_convolution(self) -> str:
        """Key of the weight whose second axis counts the channels of an exposure."""
        return "conv1.weight"
