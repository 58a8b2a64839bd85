"""Attention within windows, and what else HDR-Transformer and SCTNet share.

Tokens are maps with the channels last, (N, H, W, C); H and W are multiples of the window's side.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from dmef_bench.errors import ImageContractError
from dmef_bench.scene import size_text

FAR_APART = -100.0
"""Added to the logit of two pixels that share a shifted window, but not a place in the frame."""

# On a CPU, what 8192 tokens become stays in the caches: HDR-Transformer at 256x256 takes a
# quarter less CPU time than with all at once. Elsewhere launches count, and memory is the limit.
TOKENS_AT_ONCE = {"cpu": 2**13}
TOKENS_AT_ONCE_ELSEWHERE = 2**17


def tokens_at_once(tokens: Tensor) -> int:
    """How many tokens to transform in one go, so that inference holds no wide layer whole.

    Gradients need every intermediate value anyway: with them, all tokens go at once.
    """
    if torch.is_grad_enabled():
        return tokens.shape[:-1].numel()
    return TOKENS_AT_ONCE.get(tokens.device.type, TOKENS_AT_ONCE_ELSEWHERE)


def to_tokens(maps: Tensor) -> Tensor:
    """Put the channels last: (N, C, H, W) to (N, H, W, C), a view."""
    return maps.permute(0, 2, 3, 1)


def to_maps(tokens: Tensor) -> Tensor:
    """Put the channels first: (N, H, W, C) to (N, C, H, W), a view."""
    return tokens.permute(0, 3, 1, 2)


def pad_to_windows(pictures: Tensor, side: int, network: str) -> Tensor:
    """Continue pictures by reflection, at the bottom and at the right, until windows fill them.

    Parameters
    ----------
    pictures : Tensor, shape (N, C, H, W)
        Any values.
    side : int
        Side of a window in pixels.
    network : str
        Who asks, for the message.

    Raises
    ------
    ImageContractError
        The picture is smaller than one window, so it cannot be reflected far enough.
    """
    height, width = pictures.shape[-2:]
    if min(height, width) < side:
        raise ImageContractError(
            f"{network} got a picture of {size_text((height, width))}; it takes {side}x{side} "
            "pixels and more: enlarge the picture, or use larger tiles."
        )
    if height % side == width % side == 0:
        return pictures
    return functional.pad(pictures, (0, -width % side, 0, -height % side), mode="reflect")


@dataclass(frozen=True)
class Windows:
    """Windows of one frame that share one mask.

    Parameters
    ----------
    pixels : Tensor, shape (windows, side * side), int64
        The pixels of each window, numbered row by row through the frame.
    apart : Tensor, shape (side * side, side * side), bool
        True for two places in a window that show places apart in the frame.
    """

    pixels: Tensor
    apart: Tensor

    def portions(self, tokens: int) -> tuple[Tensor, ...]:
        """The rows of ``pixels``, in portions of about so many tokens."""
        return self.pixels.split(max(1, tokens // self.pixels.shape[1]))


def frame_windows(
    height: int, width: int, side: int, shift: int, device: torch.device
) -> tuple[Windows, ...]:
    """Cut a frame into windows, shifted down and right by ``shift`` pixels.

    The frame is rolled, so windows of the last row and column hold pixels of opposite borders,
    which are to stay apart (the cyclic shift of Swin, section 3.2). As the order of windows is
    free, those that need the same mask stand together, and no mask is stored per window.

    Returns
    -------
    tuple of Windows
        Without shift one entry, else up to four: inside, right column, bottom row, corner.
    """
    numbers = torch.arange(height * width, device=device).view(height, width)
    numbers = numbers.roll((-shift, -shift), (0, 1))
    grid = numbers.view(height // side, side, width // side, side).transpose(1, 2).flatten(2)
    lines = [(slice(None), False)]
    if shift:
        lines = [(slice(None, -1), False), (slice(-1, None), True)]
    kinds = [
        Windows(grid[rows, columns].flatten(0, 1), _apart(side, shift, bottom, right, device))
        for rows, bottom in lines
        for columns, right in lines
    ]
    return tuple(kind for kind in kinds if len(kind.pixels))


def _apart(side: int, shift: int, bottom: bool, right: bool, device: torch.device) -> Tensor:
    """Pairs of pixels on two sides of a frame's border, (side * side, side * side)."""
    beyond = torch.arange(side, device=device) >= side - shift
    below = (beyond & bottom).repeat_interleave(side)
    beside = (beyond & right).repeat(side)
    return (below[:, None] != below) | (beside[:, None] != beside)


def relative_positions(side: int) -> Tensor:
    """Row of the bias table for every pair (p, q) of pixels of a window.

    (y_p - y_q + side - 1) (2 side - 1) + (x_p - x_q + side - 1), (side * side, side * side).
    """
    place = torch.arange(side * side)
    y, x = place // side, place % side
    down = y[:, None] - y + side - 1
    across = x[:, None] - x + side - 1
    return down * (2 * side - 1) + across


class WindowAttention(nn.Module):
    """Self-attention among the pixels of a window: Swin Transformer, Eq. 4.

    softmax(Q K^T / sqrt(d) + B) V with a learnt bias B of each head for every relative position.

    Parameters
    ----------
    channels, heads : int
        Width of a token, shared evenly by the heads.
    side : int
        Side of the window in pixels.

    References
    ----------
    Liu et al., "Swin transformer: Hierarchical vision transformer using shifted windows",
    ICCV 2021.
    """

    relative_position: Tensor

    def __init__(self, channels: int, heads: int, side: int) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * side - 1) ** 2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer("relative_position", relative_positions(side), persistent=False)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def bias(self, apart: Tensor) -> Tensor:
        """B, lowered where two pixels are apart: (heads, side * side, side * side)."""
        bias = self.relative_position_bias_table[self.relative_position].permute(2, 0, 1)
        return torch.where(apart, bias + FAR_APART, bias)

    def forward(self, windows: Tensor, bias: Tensor) -> Tensor:
        """Mix the tokens of each window.

        Parameters
        ----------
        windows : Tensor, shape (windows, side * side, channels)
            Tokens, row by row within each window.
        bias : Tensor, shape (heads, side * side, side * side)
            Added to the logits of all windows.
        """
        qkv = self.qkv(windows).unflatten(-1, (3, self.heads, -1))
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # (windows, heads, side * side, d)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias[None])
        return self.proj(mixed.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """Two linear layers with the exact (erf) GELU between them, on every token by itself."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """Transform tokens of shape (..., channels)."""
        at_once = tokens_at_once(tokens)
        if tokens.shape[:-1].numel() <= at_once:
            return self.fc2(functional.gelu(self.fc1(tokens)))
        transformed = torch.empty_like(tokens, memory_format=torch.contiguous_format)
        rows = (maps.flatten(0, -2).split(at_once) for maps in (tokens, transformed))
        for before, after in zip(*rows, strict=True):
            after.copy_(self.forward(before))
        return transformed


class WindowBlock(nn.Module):
    """Window attention, then an mlp, each behind a norm and beside a shortcut: Swin, Eq. 3.

    Parameters
    ----------
    channels, heads, side : int
        As in `WindowAttention`.
    mlp_ratio : float
        Width of the mlp's hidden layer over ``channels``.
    drop_path : float
        Rate at which training drops either branch for a whole sample (stochastic depth).
    """

    def __init__(
        self, channels: int, heads: int, side: int, mlp_ratio: float, drop_path: float
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn = WindowAttention(channels, heads, side)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Mlp(channels, int(channels * mlp_ratio))
        self.drop_path = drop_path

    def forward(self, tokens: Tensor, windows: Sequence[Windows]) -> Tensor:
        """Transform tokens of shape (N, H, W, C), given the windows of their frame."""
        return self.transform(tokens, self.norm1(tokens), windows)

    def transform(self, tokens: Tensor, normed: Tensor, windows: Sequence[Windows]) -> Tensor:
        """t' = t + attention(norm1(t)); return t' + mlp(norm2(t')).

        Parameters
        ----------
        tokens, normed : Tensor, shape (N, H, W, C)
            t and norm1(t).
        windows : sequence of Windows
            The windows of the frame: every pixel lies in one, and needs no other.
        """
        samples, channels = len(tokens), tokens.shape[-1]
        before, normed = tokens.flatten(1, 2), normed.flatten(1, 2)
        after = torch.empty_like(before)
        surviving_attention, surviving_mlp = self._survivors(tokens), self._survivors(tokens)
        for kind in windows:
            bias = self.attn.bias(kind.apart)
            for portion in kind.portions(tokens_at_once(tokens) // samples):
                pixels = portion.flatten()
                inside = normed.index_select(1, pixels).view(-1, portion.shape[1], channels)
                mixed = self.attn(inside, bias).view(samples, -1, channels)
                here = before.index_select(1, pixels) + surviving_attention(mixed)
                here = here + surviving_mlp(self.mlp(self.norm2(here)))
                after.index_copy_(1, pixels, here)
        return after.view_as(tokens)

    def _survivors(self, tokens: Tensor) -> Callable[[Tensor], Tensor]:
        """Drop a branch of some samples, and strengthen the others, so that the mean stays."""
        if not self.training or self.drop_path == 0:
            return lambda branch: branch
        keep = 1 - self.drop_path
        # Drawn once: a sample keeps or loses the branch in all its windows.
        return (tokens.new_empty(len(tokens), 1, 1).bernoulli_(keep) / keep).mul


class Blocks(nn.Module):
    """Blocks in series; those of odd number work on shifted windows."""

    def __init__(self, blocks: Sequence[WindowBlock]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, tokens: Tensor, windows: Sequence[Sequence[Windows]]) -> Tensor:
        """Transform tokens of shape (N, H, W, C), given the plain and the shifted windows."""
        for index, block in enumerate(self.blocks):
            tokens = block(tokens, windows[index % 2])
        return tokens


def plain_and_shifted(tokens: Tensor, side: int) -> tuple[tuple[Windows, ...], ...]:
    """Cut the frame of ``tokens`` twice: into windows, and into windows shifted by half a side."""
    height, width = tokens.shape[1:3]
    return tuple(
        frame_windows(height, width, side, shift, tokens.device) for shift in (0, side // 2)
    )


def drop_path_rates(last: float, depths: Sequence[int]) -> list[list[float]]:
    """Rise linearly from 0 to ``last`` over all blocks, listed by group of blocks.

    Huang et al., "Deep networks with stochastic depth", ECCV 2016, Eq. 4, from zero on.

    Examples
    --------
    >>> drop_path_rates(0.75, (2, 2))
    [[0.0, 0.25], [0.5, 0.75]]
    """
    count = sum(depths)
    rates = (last * index / max(1, count - 1) for index in range(count))
    return [[next(rates) for _ in range(depth)] for depth in depths]


def named(name: str, module: nn.Module) -> nn.Sequential:
    """One module under a name of its own, as the authors' checkpoints nest it."""
    return nn.Sequential(OrderedDict([(name, module)]))


def initialise(module: nn.Module) -> None:
    """Start linear layers as the authors do: normal of deviation 0.02, truncated; no bias."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
