"""Fuse a picture tile by tile: where tiles lie, how they are blended, and how visible seams are."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import numpy.typing as npt

from dmef_bench.errors import UsageError
from dmef_bench.method import Method, traits
from dmef_bench.protocol import BLENDS
from dmef_bench.scene import Encoded, ExposureStack, Image, check_image, size_text

Ramp = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Tiling:
    """How a picture is cut into tiles.

    Parameters
    ----------
    tile : (height, width)
        Size of every tile; a side longer than the picture's is the picture's.
    overlap : int
        Pixels that neighbours share at least.
    blend : {"cosine", "linear", "none"}
        Weights across the overlap: a raised cosine, a straight ramp, or the later tile alone.

    Raises
    ------
    UsageError
        An overlap that leaves a tile no pixel of its own, or a blend that does not exist.
    """

    tile: tuple[int, int]
    overlap: int = 64
    blend: str = "cosine"

    def __post_init__(self) -> None:
        if self.blend not in BLENDS:
            raise UsageError(f"blend is {self.blend!r}; choose one of {', '.join(BLENDS)}.")
        if not 0 <= self.overlap < min(self.tile):
            raise UsageError(
                f"An overlap of {self.overlap} px does not fit tiles of {size_text(self.tile)}; "
                "give larger tiles or a smaller overlap."
            )


@dataclass
class TileMemo:
    """Fused tiles by the bytes they were fused from; equal tiles are fused once.

    For methods whose picture depends on nothing but its input. Changes time, never the picture.
    """

    hits: int = 0
    misses: int = 0
    _kept: dict[bytes, Image] = field(default_factory=dict)

    def fuse(self, method: Method, stack: ExposureStack) -> Image:
        """`Method.fuse`, or what it returned for the same bytes before."""
        key = _content(stack)
        if key in self._kept:
            self.hits += 1
            return self._kept[key]
        self.misses += 1
        fused = method.fuse(stack)
        self._kept[key] = fused
        return fused

    @property
    def bytes(self) -> int:
        """Memory that the kept tiles take."""
        return sum(tile.nbytes for tile in self._kept.values())


def origins(length: int, tile: int, overlap: int, stride: int = 1) -> tuple[int, ...]:
    """Where tiles begin along one side: evenly from the first to the last flush position.

    Parameters
    ----------
    length, tile : int
        Of the side and of a tile, in pixels.
    overlap : int
        Pixels that neighbours share at least.
    stride : int
        Positions between the first and the last are multiples of it, where tiles have so much room.

    Examples
    --------
    >>> origins(1000, 400, 64)
    (0, 300, 600)
    >>> origins(300, 400, 64)
    (0,)
    """
    last = length - tile
    if last <= 0:
        return (0,)
    if tile - overlap < stride:
        stride = 1
    step = (tile - overlap) // stride * stride
    count = 1 + -(-last // step)
    # Rounded up to the stride, no step grows beyond a multiple of it, and the last one shrinks.
    inner = (-(-index * last // ((count - 1) * stride)) * stride for index in range(1, count - 1))
    return (0, *inner, last)


def fuse_tiles(
    method: Method, stack: ExposureStack, tiling: Tiling, memo: TileMemo | None = None
) -> Image:
    """Fuse a stack in overlapping tiles.

    Parameters
    ----------
    method : Method
        Gets each tile as a stack of its own. Its ``halo`` raises the overlap.
    stack : ExposureStack
        Any size.
    tiling : Tiling
        Size, overlap and blending.
    memo : TileMemo, optional
        Fuses equal tiles once.

    Returns
    -------
    ndarray, shape (H, W, 3), float32
        In [0, 1]. A method that looks at single pixels gives what it gives on the whole picture,
        up to the rounding of the weights' sum.
    """
    height, width = stack.size
    rows, columns = grid(stack.size, tiling, method)
    tile = min(tiling.tile[0], height), min(tiling.tile[1], width)
    total = np.zeros((height, width, 3), np.float32)
    weights = np.zeros((height, width, 1), np.float32)
    for top, left in ((top, left) for top in rows for left in columns):
        window = slice(top, top + tile[0]), slice(left, left + tile[1])
        cut = _cut(stack, window)
        fused = method.fuse(cut) if memo is None else memo.fuse(method, cut)
        check_image(fused, name=f"the tile fused by {method.name}", size=tile)
        if tiling.blend == "none":
            total[window], weights[window] = fused, 1
            continue
        weight = (
            _ramp(top, rows, tile[0], tiling.blend)[:, None, None]
            * _ramp(left, columns, tile[1], tiling.blend)[None, :, None]
        )
        total[window] += fused * weight
        weights[window] += weight
    total /= weights
    # Sums of weights round, so the last bit may leave [0, 1].
    return np.clip(total, 0, 1, out=total)


def grid(
    size: tuple[int, int], tiling: Tiling, method: Method
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Rows and columns at which the tiles of a picture begin."""
    stated = traits(method)
    overlap = max(tiling.overlap, stated.halo)
    along = []
    for length, tile in zip(size, tiling.tile, strict=True):
        if overlap >= tile and tile < length:
            raise UsageError(
                f"{method.name} states a halo of {stated.halo} px, which tiles of "
                f"{size_text(tiling.tile)} cannot overlap by; give larger tiles."
            )
        along.append(origins(length, min(tile, length), overlap, stated.stride))
    return along[0], along[1]


def seam_score(
    fused: npt.NDArray[np.generic],
    ground_truth: npt.NDArray[np.generic],
    tiling: Tiling,
    method: Method,
) -> float | None:
    """How visible the seams are: 1 where the error bends there no more than elsewhere.

    Mean absolute second difference of the error across the lines where tiles or their overlaps
    begin or end, over the same mean on lines half a tile away.

    Parameters
    ----------
    fused, ground_truth : ndarray, shape (H, W, 3)
        Of one type and range.
    tiling, method
        What ``fused`` was made by (`fuse_tiles`).

    Returns
    -------
    float or None
        None where there is no seam, or where the error does not bend at all.
    """
    error = fused.astype(np.float32) - ground_truth.astype(np.float32)
    size = error.shape[0], error.shape[1]
    at_seams, elsewhere = [], []
    for axis, starts in enumerate(grid(size, tiling, method)):
        length, tile = size[axis], tiling.tile[axis]
        lines = _seams(starts, tile, length, tiling.blend)
        away = {(line + tile // 2) % length for line in lines} - set(lines)
        at_seams += [_bend(error, axis, line) for line in lines]
        elsewhere += [_bend(error, axis, line) for line in away if 1 <= line <= length - 2]
    if not at_seams or not any(elsewhere):
        return None
    return float(np.mean(at_seams) / np.mean(elsewhere))


def _seams(starts: tuple[int, ...], tile: int, length: int, blend: str) -> list[int]:
    """Lines where the tiles that a pixel is made of change, away from the border."""
    begins = set(starts[1:])
    # Without blending the later tile hides where the one before it ends.
    ends = set() if blend == "none" else {start + tile for start in starts[:-1]}
    return sorted(line for line in begins | ends if 1 <= line <= length - 2)


def _bend(error: npt.NDArray[np.float32], axis: int, line: int) -> float:
    before, at, after = (error.take(line + step, axis) for step in (-1, 0, 1))
    return float(np.abs(before - 2 * at + after).mean())


def _cut(stack: ExposureStack, window: tuple[slice, slice]) -> ExposureStack:
    if stack.encoded is None:
        images = [np.ascontiguousarray(image[window]) for image in stack.images]
        return ExposureStack.from_images(images, stack.evs, stack.reference)
    encoded = cast(
        tuple[Encoded, ...], tuple(np.ascontiguousarray(codes[window]) for codes in stack.encoded)
    )
    return ExposureStack(encoded=encoded, evs=stack.evs, reference=stack.reference)


def _ramp(start: int, starts: tuple[int, ...], tile: int, blend: str) -> Ramp:
    """Weights of one tile along one axis: 1 inside, falling over what neighbours share."""
    index = starts.index(start)
    ramp = np.ones(tile, np.float32)
    if index > 0 and (shared := starts[index - 1] + tile - start):
        ramp[:shared] = _rise(shared, blend)
    if index < len(starts) - 1 and (shared := start + tile - starts[index + 1]):
        ramp[-shared:] = np.minimum(ramp[-shared:], _rise(shared, blend)[::-1])
    return ramp


def _rise(shared: int, blend: str) -> Ramp:
    """From just above 0 to just below 1, at pixel centres, so that no weight is ever zero."""
    steps = (np.arange(shared) + 0.5) / shared
    rise = steps if blend == "linear" else 0.5 - 0.5 * np.cos(np.pi * steps)
    return rise.astype(np.float32)


def _content(stack: ExposureStack) -> bytes:
    pictures = stack.images if stack.encoded is None else stack.encoded
    mark = hashlib.blake2b(digest_size=16)
    mark.update(repr((stack.evs, stack.reference, stack.size, pictures[0].dtype)).encode())
    for picture in pictures:
        mark.update(np.ascontiguousarray(picture).data)
    return mark.digest()
