"""Dimensional rolling transformation: a global map that mixes the axes of a small cube in turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ipl.daem import Form, chunk_view, convolve_chunks
from ipl.resampling import Taps, aligned

Roll = Literal["chw", "mixnet"]
"""In which order the axes come to stand where channels do."""

PERMUTATIONS = {
    "chw": ((0, 2, 3, 1), (0, 2, 3, 1), (0, 2, 3, 1)),
    "mixnet": ((0, 1, 3, 2), (0, 3, 2, 1), (0, 3, 1, 2)),
}
"""What follows each convolution; either three in a row are the identity."""

MIXED_AXES = {"chw": "CHW", "mixnet": "CCH"}
"""The axis that each convolution meets after the permutations before it."""

# The map is enlarged so many channels and rows at a time: what lies between stays in the caches.
# Narrow matrices do it in half the time of `functional.interpolate` at 4K, and in three quarters
# at 1080p (benchmarks/ipl_batched.py --steps).
GROUP_CHANNELS = 16
STRIP_ROWS = 16


class DRTM(nn.Module):
    """Dimensional rolling transformation module: ``D + D * up(map(D))``.

    The features are resampled to a cube of ``width`` a side, so one matrix serves any of its axes.
    Three times a 1x1 convolution mixes the axis that stands as channels, GELU follows, and the
    axes roll on. With ``roll="mixnet"`` channels are mixed twice, rows once and columns never.

    Parameters
    ----------
    width : int
        Channels of the features, and rows and columns of the cube.
    bias : bool
        Whether the convolutions have one.
    roll : {"chw", "mixnet"}
        Order of the axes.

    References
    ----------
    Eqs. 10-12 of Chen et al., arXiv:2412.11685. Bilinear resampling with aligned corners, erf
    GELU after each of the three, and the order of ``chw`` are our choice; the paper leaves them
    open.
    """

    def __init__(self, width: int, *, bias: bool = True, roll: Roll = "chw") -> None:
        super().__init__()
        self.width = width
        self.roll = roll
        self.stages = nn.ModuleList(nn.Conv2d(width, width, 1, bias=bias) for _ in range(3))

    def forward(self, features: Tensor, form: Form = "batched") -> Tensor:
        """`apply_map` of the features' own `map`."""
        return self.apply_map(features, self.map(features, form), form)

    def map(self, features: Tensor, form: Form = "batched") -> Tensor:
        """Global map of the features, (N, C, h, w) to (N, C, C, C).

        Parameters
        ----------
        features : Tensor, shape (N, C, h, w)
            C is the width; any h and w.
        form : {"loop", "batched", "banded"}
            ``loop`` convolves and permutes, as Eq. 11 has it; the others multiply along the axis
            in question and move no data.
        """
        return self.transform(_resized(features, (self.width, self.width)), form)

    def transform(self, cube: Tensor, form: Form = "batched") -> Tensor:
        """The map of features already resampled, (N, C, C, C) to the same (Eq. 11).

        ``banded`` overwrites the cube.
        """
        if form == "loop":
            for stage, permutation in zip(self.stages, PERMUTATIONS[self.roll], strict=True):
                cube = functional.gelu(stage(cube)).permute(permutation)
            return cube
        if form == "banded":
            return self._in_turns(cube)
        for stage, axis in self._stages():
            mixed = convolve_chunks(stage, chunk_view(cube, axis, self.width))
            cube = functional.gelu(mixed).view(cube.shape)
        return cube

    def _in_turns(self, cube: Tensor) -> Tensor:
        # Two cubes take turns: fresh pages for each stage would cost more than its GELU.
        spare = torch.empty_like(cube)
        for stage, axis in self._stages():
            mixed = convolve_chunks(stage, chunk_view(cube, axis, self.width), spare.flatten())
            functional.gelu(mixed, out=mixed)  # type: ignore[call-arg]  # in the spare's memory
            cube, spare = spare, cube
        return cube

    def _stages(self) -> list[tuple[nn.Conv2d, str]]:
        axes = MIXED_AXES[self.roll]
        return [
            (cast(nn.Conv2d, stage), axis) for stage, axis in zip(self.stages, axes, strict=True)
        ]

    def apply_map(self, features: Tensor, global_map: Tensor, form: Form = "batched") -> Tensor:
        """Features plus features times the enlarged map (Eq. 12); ``banded`` overwrites them.

        Parameters
        ----------
        features : Tensor, shape (N, C, h, w)
            What the map is applied to; not necessarily what it was made of.
        global_map : Tensor, shape (N, C, C, C)
            What `map` returned.
        form : {"loop", "batched", "banded"}
            ``banded`` enlarges a few channels and rows at a time and keeps no gradients.
        """
        height, width = features.shape[2:]
        if form != "banded":
            return features + features * _resized(global_map, (height, width))
        rows, columns = aligned(self.width, height), aligned(self.width, width)
        return apply_window(features, global_map, rows, columns)


def apply_window(features: Tensor, global_map: Tensor, rows: Taps, columns: Taps) -> Tensor:
    """Multiply a window of a frame by one plus the enlarged map, in place.

    Parameters
    ----------
    features : Tensor, shape (N, C, rows, columns)
        The window; overwritten.
    global_map : Tensor, shape (N, C, C, C)
        Of the whole frame.
    rows, columns : Taps
        `aligned` taps of the frame's features in the map, cut to the window.

    Returns
    -------
    Tensor
        ``features``.
    """
    near = range(rows.lower[0], rows.upper[-1] + 1)
    exact = torch.promote_types(features.dtype, torch.float32)
    strips = [
        (targets, sources, matrix.to(features.device, exact))
        for targets, sources, matrix in tap_strips(rows.among(near))
    ]
    for image, its_map in zip(features, global_map[:, :, near.start : near.stop], strict=True):
        for start in range(0, len(image), GROUP_CHANNELS):
            group = slice(start, start + GROUP_CHANNELS)
            wide = columns.columns(its_map[group].to(exact))
            for targets, sources, matrix in strips:
                place = image[group, targets]
                enlarged = torch.matmul(matrix, wide[:, sources])
                place.addcmul_(place, enlarged.to(place.dtype))
    return features


def tap_strips(taps: Taps) -> Iterator[tuple[slice, slice, Tensor]]:
    """Some targets, the sources they need, and the (targets, sources) matrix between the two."""
    for start in range(0, len(taps), STRIP_ROWS):
        part = taps[start : start + STRIP_ROWS]
        sources = slice(part.lower[0], part.upper[-1] + 1)
        places = torch.arange(sources.start, sources.stop)
        lower, upper, weight = (
            torch.tensor(values)[:, None] for values in (part.lower, part.upper, part.weight)
        )
        matrix = (places == lower) * (1 - weight) + (places == upper) * weight
        yield slice(start, start + len(part)), sources, matrix


def _resized(features: Tensor, size: tuple[int, ...]) -> Tensor:
    return functional.interpolate(features, size, mode="bilinear", align_corners=True)
