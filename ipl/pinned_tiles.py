"""Under pinned maps tiles know nothing of each other: those seen before are not computed again."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from ipl.cache_store import Key, Store
from ipl.daem import Form
from ipl.drtm import apply_window
from ipl.resampling import Taps, aligned

if TYPE_CHECKING:
    from ipl.network import FeatureIntegrationBlock, IPLNetwork

Span = tuple[int, int]
"""Start and stop along one axis."""


@dataclass(frozen=True)
class Rectangle:
    """A rectangle of the padded frame, in pixels: whole tiles.

    Parameters
    ----------
    rows, columns : (int, int)
        Start and stop.
    size : (int, int)
        Of the frame.
    """

    rows: Span
    columns: Span
    size: Span

    def of(self, frame: Tensor, halo: int = 0) -> Tensor:
        """The pixels of a frame (N, C, H, W), with a halo as far as the frame reaches."""
        top, bottom = self._wider(0, halo)
        left, right = self._wider(1, halo)
        return frame[:, :, top:bottom, left:right]

    def inner(self, features: Tensor, halo: int, factor: int) -> Tensor:
        """Of features made with the halo, those without it."""
        top, left = (
            (span[0] - self._wider(axis, halo)[0]) // factor
            for axis, span in enumerate((self.rows, self.columns))
        )
        height, width = ((stop - start) // factor for start, stop in (self.rows, self.columns))
        return features[:, :, top : top + height, left : left + width]

    def taps(self, width: int, factor: int) -> tuple[Taps, Taps]:
        """From a map of the width to the window's features."""
        rows, columns = (
            aligned(width, size // factor)[start // factor : stop // factor]
            for (start, stop), size in zip((self.rows, self.columns), self.size, strict=True)
        )
        return rows, columns

    def _wider(self, axis: int, halo: int) -> Span:
        start, stop = (self.rows, self.columns)[axis]
        return max(start - halo, 0), min(stop + halo, self.size[axis])


def independent(network: IPLNetwork) -> bool:
    """Whether tiles are independent: variant A, and no mean over the frame."""
    return network.config.variant == "A" and network.config.lfe == "input"


def fuse_tiles(
    network: IPLNetwork, exposures: Tensor, maps: Sequence[Tensor], store: Store, form: Form
) -> Tensor:
    """`IPLNetwork.pixels` under pinned maps, from tiles seen before as far as they go.

    Parameters
    ----------
    network : IPLNetwork
        Whose tiles are `independent`.
    exposures : Tensor, shape (N, 9, H, W)
        What `IPLNetwork.padded` returned, on the CPU.
    maps : sequence of Tensor, each (1, C, C, C)
        Of each block.
    store : Store
        Tiles before the last convolution, which looks across their borders.
    form : Form
        Of the attention.

    Returns
    -------
    Tensor, shape (N, 3 or 6, H, W)
        Before the last convolution.
    """
    side = network.config.multiple
    count, _, height, width = exposures.shape
    pixels = torch.empty(
        (count, network.up.gain.in_channels, height, width),
        dtype=exposures.dtype,
        memory_format=torch.channels_last,  # as the last convolution wants it
    )
    grid = [
        [Rectangle((top, top + side), (left, left + side), (height, width))
         for left in range(0, width, side)]
        for top in range(0, height, side)
    ]  # fmt: skip
    for image in range(count):
        frame, fused = exposures[image : image + 1], pixels[image : image + 1]
        keys = [[_key(frame, tile, store) for tile in row] for row in grid]
        known = [[store.get(key) for key in row] for row in keys]
        for row, found in zip(grid, known, strict=True):
            for tile, seen in zip(row, found, strict=True):
                if seen is not None:
                    tile.of(fused).copy_(seen)
        for rows, columns in _patches([[seen is None for seen in found] for found in known]):
            patch = _spanned(grid[rows[0]][columns[0]], grid[rows[1] - 1][columns[1] - 1])
            patch.of(fused).copy_(_fused(network, frame, maps, patch, form))
            for row, its_keys in zip(grid[slice(*rows)], keys[slice(*rows)], strict=True):
                for tile, key in zip(row[slice(*columns)], its_keys[slice(*columns)], strict=True):
                    store.put(key, tile.of(fused).clone())
    return pixels


def _fused(
    network: IPLNetwork, frame: Tensor, maps: Sequence[Tensor], window: Rectangle, form: Form
) -> Tensor:
    """A window through the network, with the part of the maps that it would see in the frame."""
    factor = network.config.factor
    taps = window.taps(network.config.width, factor)

    def through(block: FeatureIntegrationBlock, pinned: Tensor) -> Callable[[Tensor, Form], Tensor]:
        def apply(features: Tensor, form: Form) -> Tensor:
            # Banded attention overwrites its features, and so may this; without any dimension
            # attention hands on what it got.
            enhanced = block.daem(features, form)
            own = enhanced is not features or form == "banded"
            return apply_window(enhanced if own else enhanced.clone(), pinned, *taps)

        return apply

    # One feature more on each side holds the pixel that the first convolution looks beyond.
    wider = network.down(window.of(frame, halo=factor), form)
    first = window.inner(wider, factor, factor).contiguous()
    blocks = [
        through(cast("FeatureIntegrationBlock", block), pinned)
        for block, pinned in zip(network.blocks, maps, strict=True)
    ]
    return network.up.pixels(network.body(first, form, blocks), form)


def _key(frame: Tensor, tile: Rectangle, store: Store) -> Key:
    """Place, frame size and contents of a tile, with the pixel that reaches into it."""
    start = time.perf_counter()
    seen = tile.of(frame, halo=1).contiguous().view(torch.uint8).numpy()
    digest = hashlib.blake2b(seen.data, digest_size=16).digest()
    store.stats.digest_seconds += time.perf_counter() - start
    return ("tile", tile.rows[0], tile.columns[0], *tile.size, digest)


def _patches(missing: Sequence[Sequence[bool]]) -> Iterator[tuple[Span, Span]]:
    """Rows and columns of rectangles that cover what is missing: neighbours go together."""
    growing: dict[Span, int] = {}
    for number, row in enumerate([*missing, []]):
        runs = set(_runs(row))
        for run in growing.keys() - runs:
            yield (growing.pop(run), number), run
        for run in runs:
            growing.setdefault(run, number)


def _runs(missing: Sequence[bool]) -> Iterator[Span]:
    """Stretches of True."""
    start = None
    for index, value in enumerate([*missing, False]):
        if value and start is None:
            start = index
        elif not value and start is not None:
            yield start, index
            start = None


def _spanned(first: Rectangle, last: Rectangle) -> Rectangle:
    """From the top left of one to the bottom right of the other."""
    return Rectangle((first.rows[0], last.rows[1]), (first.columns[0], last.columns[1]), first.size)
