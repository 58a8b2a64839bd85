"""A frame of features in windows: where each lies, and what is gathered from all of them."""

from __future__ import annotations

import bisect
import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import torch
from torch import Tensor

from dmef_bench.errors import UnavailableError, UsageError
from ipl.daem import AXES
from ipl.drtm import tap_strips
from ipl.resampling import Taps, aligned


@dataclass(frozen=True, eq=False)
class Stretch:
    """Some rows or columns of the features.

    Parameters
    ----------
    places : slice
        Which.
    in_map : Taps
        Where they lie in the global map.
    """

    places: slice
    in_map: Taps

    def __len__(self) -> int:
        return self.places.stop - self.places.start


@dataclass(frozen=True, eq=False)
class Window:
    """Part of the features of a frame; ``number`` counts from the top left."""

    number: int
    rows: Stretch
    columns: Stretch

    def cut(self, means: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the window sees of the frame's `DAEM.means`."""
        own = {"H": self.rows.places, "W": self.columns.places}
        whole = slice(None)
        return {
            dim: mean[:, :, own["H"] if dim == "H" else whole, own["W"] if dim == "W" else whole]
            for dim, mean in means.items()
        }


@dataclass(frozen=True, eq=False)
class Frame:
    """All windows of a frame.

    Parameters
    ----------
    size : (int, int)
        Rows and columns of the features.
    bands : tuple of tuple of Window
        From the top down, from left to right.
    """

    size: tuple[int, int]
    bands: tuple[tuple[Window, ...], ...]

    @classmethod
    def cut(cls, size: tuple[int, int], step: tuple[int, int], grid: int) -> Frame:
        """Windows of ``step`` at most, for a map of ``grid`` a side."""
        down, across = (
            _stretches(side, length, grid) for side, length in zip(size, step, strict=True)
        )
        return cls(
            size,
            tuple(
                tuple(
                    Window(len(across) * i + j, rows, columns) for j, columns in enumerate(across)
                )
                for i, rows in enumerate(down)
            ),
        )

    def __iter__(self) -> Iterator[Window]:
        return (window for band in self.bands for window in band)


def _stretches(size: int, step: int, grid: int) -> list[Stretch]:
    taps = aligned(grid, size)
    cuts = (slice(start, min(start + step, size)) for start in range(0, size, step))
    return [Stretch(cut, taps[cut]) for cut in cuts]


class Cube:
    """The features at the places that the map is made of, summed up from windows in any order.

    Parameters
    ----------
    frame : Frame
        The features.
    grid : int
        Side of the cube, and their number of channels.
    like : Tensor
        Of their device and precision; sums are kept in float32 at least.
    """

    def __init__(self, frame: Frame, grid: int, like: Tensor) -> None:
        self._rows, self._columns = (aligned(side, grid) for side in frame.size)
        self._dtype = like.dtype
        exact = torch.promote_types(like.dtype, torch.float32)
        self._sum = torch.zeros(1, grid, grid, grid, dtype=exact, device=like.device)

    def add(self, window: Window, features: Tensor) -> None:
        """Give each place of the cube what this window holds of its four neighbours."""
        features = features.to(self._sum.dtype)
        for rows, across, matrix in _held_strips(self._rows, window.rows.places):
            near = torch.matmul(matrix.to(features), features[:, :, across])
            for columns, along, weights in _held_strips(self._columns, window.columns.places):
                part = torch.matmul(near[..., along], weights.to(features).t())
                self._sum[:, :, rows, columns] += part

    def features(self) -> Tensor:
        """The cube, (1, C, C, C), once all windows were added."""
        return self._sum.to(self._dtype)


def _held_strips(taps: Taps, held: slice) -> Iterator[tuple[slice, slice, Tensor]]:
    """`tap_strips` with only those sources that are held, counted from the first of them."""
    first = bisect.bisect_left(taps.upper, held.start)
    last = bisect.bisect_left(taps.lower, held.stop)
    for targets, sources, matrix in tap_strips(taps[first:last]):
        start, stop = max(sources.start, held.start), min(sources.stop, held.stop)
        yield (
            slice(first + targets.start, first + targets.stop),
            slice(start - held.start, stop - held.start),
            matrix[:, start - sources.start : stop - sources.start],
        )


class ChunkMeans:
    """`DAEM.means` of a frame, from windows in any order; summed in float64."""

    def __init__(self, frame: Frame, dims: str, channels: int, like: Tensor) -> None:
        self._like = like
        sizes = dict(zip("CHW", (channels, *frame.size), strict=True))
        self._counts = {dim: math.prod(sizes.values()) / sizes[dim] for dim in dims}
        self._sums = {
            dim: torch.zeros(
                [sizes[dim] if axis == AXES[dim] else 1 for axis in range(4)],
                dtype=torch.float64,
                device=like.device,
            )
            for dim in dims
        }

    def add(self, window: Window, features: Tensor) -> None:
        """Count the features of a window in."""
        for dim, place in window.cut(self._sums).items():
            others = [axis for axis in (1, 2, 3) if axis != AXES[dim]]
            place += features.sum(others, keepdim=True, dtype=torch.float64)

    def means(self) -> dict[str, Tensor]:
        """The means by dimension, once all windows were added."""
        return {
            dim: (total / self._counts[dim]).to(self._like.dtype)
            for dim, total in self._sums.items()
        }


class Scratch:
    """The features of a frame in a file without a name, which vanishes with the process.

    A mapped file would be simpler, but what is mapped counts as resident memory.

    Parameters
    ----------
    folder : str or Path
        Where the file lies.
    frame : Frame
        Its windows.
    channels : int
        Of the features.
    like : Tensor
        Of their device and precision.

    Raises
    ------
    UsageError
        No such folder.
    UnavailableError
        Not enough room in it.
    """

    def __init__(self, folder: str | Path, frame: Frame, channels: int, like: Tensor) -> None:
        if not Path(folder).is_dir():
            raise UsageError(f"scratch={str(folder)!r} is no folder; make it, or name another.")
        self._frame = frame
        self._like = like
        self._channels = channels
        sizes = [self._shape(window).numel() * like.element_size() for window in frame]
        free = shutil.disk_usage(folder).free
        if sum(sizes) > free:
            raise UnavailableError(
                f"{folder} has {free / 1e9:.2f} GB free, and the features of this picture take "
                f"{sum(sizes) / 1e9:.2f} GB: name another folder, or leave scratch out."
            )
        self._offsets = list(accumulate(sizes, initial=0))
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - it lives as long as this

    def keep(self, window: Window, features: Tensor) -> None:
        """Store the features of a window in place of what it held before."""
        self._file.seek(self._offsets[window.number])
        self._file.write(_bytes(features.cpu().contiguous()))

    def load(self, window: Window) -> Tensor:
        """The features of a window, as they were kept."""
        features = torch.empty(self._shape(window), dtype=self._like.dtype)
        self._file.seek(self._offsets[window.number])
        self._file.readinto(_bytes(features))
        return features.to(self._like.device)

    def __iter__(self) -> Iterator[tuple[Window, Tensor]]:
        return ((window, self.load(window)) for window in self._frame)

    def _shape(self, window: Window) -> torch.Size:
        return torch.Size((1, self._channels, len(window.rows), len(window.columns)))


def _bytes(tensor: Tensor) -> memoryview:
    """The memory of a contiguous tensor; numpy has no bfloat16, so as bytes."""
    return tensor.view(torch.uint8).numpy().reshape(-1).data
