"""The transformer baselines called plainly, line by line: the peers of ``network_forward.py``.

Each takes over the layers of ours, so one state serves both, and nothing but the equations:
frames are rolled, cut into windows and put together again whole, with one mask for each window,
logits and softmax written out, and tokens in one row.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, leaky_relu, normalize

from baselines.hdr_transformer import HDRTransformerNetwork
from baselines.sctnet import SCTNetwork

SIDE = 8
SHIFT = 4


class PlainHDRTransformerNetwork(HDRTransformerNetwork):
    """HDR-Transformer as one would write it down from the paper; sizes are multiples of 8."""

    def forward(self, x1: Tensor, x2: Tensor, x3: Tensor) -> Tensor:
        """Spatial attention, context-aware transformer groups, global residual."""
        f1, f2, f3 = self.conv_f1(x1), self.conv_f2(x2), self.conv_f3(x3)
        f1 = f1 * spatial_attention(self.att_module_h, f1, f2)
        f3 = f3 * spatial_attention(self.att_module_l, f3, f2)
        x = self.conv_first(torch.cat((f1, f2, f3), 1))
        height, width = x.shape[-2:]
        tokens = self.patch_embed(as_tokens(x))
        for group in self.layers:
            before = tokens
            for index, block in enumerate(group.residual_group.blocks):
                local = local_context(block.lce, as_maps(block.norm1(tokens), height, width))
                tokens = window_block(block, tokens, height, width, SHIFT * (index % 2))
                tokens = tokens + as_tokens(local)
            tokens = as_tokens(group.dilated_conv(as_maps(tokens, height, width))) + before
        t = as_maps(self.norm(tokens), height, width)
        return torch.sigmoid(self.conv_last(f2 + self.conv_after_body(t + x)))


class PlainSCTNetwork(SCTNetwork):
    """SCTNet as one would write it down from the paper; sizes are multiples of 8."""

    def forward(self, x1: Tensor, x2: Tensor, x3: Tensor) -> Tensor:
        """Window attention and channel attention in turn, global residual."""
        height, width = x2.shape[-2:]
        g2 = self.conv2(x2)
        x = torch.cat((self.conv1(x1), g2, self.conv3(x3)), 1)
        tokens = self.patch_embed(as_tokens(x))
        p1, p2, p3 = tokens.chunk(3, -1)
        tokens = mlp(self.conv_first, tokens)
        for stage, group in enumerate(self.layers):
            before = tokens
            for index, block in enumerate(group.residual_group.blocks):
                tokens = window_block(block, tokens, height, width, SHIFT * (index % 2))
            tokens = as_tokens(group.conv(as_maps(tokens, height, width))) + before
            q1, q2, q3 = tokens.chunk(3, -1)
            r = p2 + q2
            low = channel_block(self.channel_layers_lm[stage], r, p1 + q1, height, width)
            high = channel_block(self.channel_layers_rm[stage], r, p3 + q3, height, width)
            tokens = mlp(self.mlps[stage], torch.cat((low, r, high), -1))
        m = as_maps(self.norm(tokens), height, width)
        return torch.sigmoid(self.upsample(self.conv_after_body(m) + self.conv_end(g2)))


def as_tokens(maps: Tensor) -> Tensor:
    """(N, C, H, W) to (N, H * W, C)."""
    return maps.flatten(2).transpose(1, 2)


def as_maps(tokens: Tensor, height: int, width: int) -> Tensor:
    """(N, H * W, C) to (N, C, H, W)."""
    return tokens.transpose(1, 2).reshape(len(tokens), -1, height, width)


def spatial_attention(layer: nn.Module, other: Tensor, reference: Tensor) -> Tensor:
    """S(p, q), (N, C, H, W)."""
    hidden = leaky_relu(layer.att1(torch.cat((other, reference), 1)), 0.01)
    return torch.sigmoid(layer.att2(hidden))


def local_context(layer: nn.Module, maps: Tensor) -> Tensor:
    """The gated local branch, (N, C, H, W)."""
    near = leaky_relu(layer.conv(maps), 0.2)
    return near * layer.fc(near.mean((2, 3)))[..., None, None]


def mlp(layer: nn.Module, tokens: Tensor) -> Tensor:
    """Two linear layers on all tokens."""
    return layer.fc2(gelu(layer.fc1(tokens)))


def window_block(block: nn.Module, tokens: Tensor, height: int, width: int, shift: int) -> Tensor:
    """One Swin block on (N, H * W, C)."""
    maps = block.norm1(tokens).unflatten(1, (height, width)).roll((-shift, -shift), (1, 2))
    mixed = from_windows(window_attention(block.attn, maps, shift), height, width)
    tokens = tokens + mixed.roll((shift, shift), (1, 2)).flatten(1, 2)
    return tokens + mlp(block.mlp, block.norm2(tokens))


def window_attention(layer: nn.Module, maps: Tensor, shift: int) -> Tensor:
    """Attention on all windows of (N, H, W, C), as (windows, 64, C)."""
    samples, height, width, channels = maps.shape
    windows = to_windows(maps)
    qkv = layer.qkv(windows).unflatten(-1, (3, layer.heads, -1)).permute(2, 0, 3, 1, 4)
    logits = (qkv[0] * qkv.shape[-1] ** -0.5) @ qkv[1].transpose(-1, -2) + position_bias(layer)
    if shift:
        logits = logits + shift_mask(height, width).repeat(samples, 1, 1)[:, None]
    mixed = logits.softmax(-1) @ qkv[2]
    return layer.proj(mixed.transpose(1, 2).reshape(-1, SIDE * SIDE, channels))


def to_windows(maps: Tensor) -> Tensor:
    """(N, H, W, C) to (windows, 64, C)."""
    cut = maps.unflatten(2, (-1, SIDE)).unflatten(1, (-1, SIDE))
    return cut.transpose(2, 3).reshape(-1, SIDE * SIDE, maps.shape[-1])


def from_windows(windows: Tensor, height: int, width: int) -> Tensor:
    """(windows, 64, C) to (N, H, W, C)."""
    cut = windows.view(-1, height // SIDE, width // SIDE, SIDE, SIDE, windows.shape[-1])
    return cut.transpose(2, 3).reshape(-1, height, width, windows.shape[-1])


def position_bias(layer: nn.Module) -> Tensor:
    """bias[head, p, q], (heads, 64, 64)."""
    y, x = torch.arange(SIDE * SIDE).div(SIDE, rounding_mode="floor"), torch.arange(64) % SIDE
    rows = (y[:, None] - y + SIDE - 1) * (2 * SIDE - 1) + x[:, None] - x + SIDE - 1
    return layer.relative_position_bias_table[rows].permute(2, 0, 1)


def shift_mask(height: int, width: int) -> Tensor:
    """-100 between the 3x3 regions that a rolled frame brings together, (windows, 64, 64)."""
    row, column = (
        (torch.arange(length) >= length - SIDE).int() + (torch.arange(length) >= length - SHIFT)
        for length in (height, width)
    )
    region = to_windows((3 * row[:, None] + column)[None, ..., None])[..., 0]
    return -100.0 * (region[:, :, None] != region[:, None, :])


def channel_block(
    block: nn.Module, reference: Tensor, other: Tensor, height: int, width: int
) -> Tensor:
    """Channel attention between two exposures and its mlp, on (N, H * W, C)."""
    x = as_maps(block.norm1_x(reference), height, width)
    y = as_maps(block.norm1_y(other), height, width)
    layer = block.attn
    q, k, v = (
        maps.flatten(2).unflatten(1, (layer.heads, -1))
        for maps in (layer.q(x), layer.k(y), layer.v(y))
    )
    logits = normalize(q, dim=-1) @ normalize(k, dim=-1).transpose(-1, -2) * layer.temperature
    mixed = layer.project_out((logits.softmax(-1) @ v).reshape(x.shape))
    w = reference + as_tokens(mixed)
    return w + mlp(block.ffn, block.norm2(w))


NETWORKS = {
    "hdr-transformer": (HDRTransformerNetwork, PlainHDRTransformerNetwork),
    "sctnet": (SCTNetwork, PlainSCTNetwork),
}
"""Name to what builds ours and what builds the plain peer, with parameters of the same names."""
