"""Dimensional rolling transformation: a global map that mixes the axes of a small cube in turn."""

from __future__ import annotations

from typing import Literal, cast

from torch import Tensor, nn
from torch.nn import functional

from ipl.daem import Form, chunk_view, convolve_chunks

Roll = Literal["chw", "mixnet"]
"""In which order the axes come to stand where channels do."""

PERMUTATIONS = {
    "chw": ((0, 2, 3, 1), (0, 2, 3, 1), (0, 2, 3, 1)),
    "mixnet": ((0, 1, 3, 2), (0, 3, 2, 1), (0, 3, 1, 2)),
}
"""What follows each convolution; either three in a row are the identity."""

MIXED_AXES = {"chw": "CHW", "mixnet": "CCH"}
"""The axis that each convolution meets after the permutations before it."""

# The enlarged map of so many channels takes 17 MB at 4K, and smaller groups are no faster.
GROUP_CHANNELS = 8


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
        cube = _resized(features, (self.width, self.width))
        if form == "loop":
            for stage, permutation in zip(self.stages, PERMUTATIONS[self.roll], strict=True):
                cube = functional.gelu(stage(cube)).permute(permutation)
            return cube
        for stage, axis in zip(self.stages, MIXED_AXES[self.roll], strict=True):
            mixed = convolve_chunks(cast(nn.Conv2d, stage), chunk_view(cube, axis, self.width))
            cube = functional.gelu(mixed).view(cube.shape)
        return cube

    def apply_map(self, features: Tensor, global_map: Tensor, form: Form = "batched") -> Tensor:
        """Features plus features times the enlarged map (Eq. 12); ``banded`` overwrites them.

        Parameters
        ----------
        features : Tensor, shape (N, C, h, w)
            What the map is applied to; not necessarily what it was made of.
        global_map : Tensor, shape (N, C, C, C)
            What `map` returned.
        form : {"loop", "batched", "banded"}
            ``banded`` enlarges a few channels at a time and keeps no gradients.
        """
        size = features.shape[2:]
        if form != "banded":
            return features + features * _resized(global_map, size)
        for start in range(0, self.width, GROUP_CHANNELS):
            group = features[:, start : start + GROUP_CHANNELS]
            group.addcmul_(group, _resized(global_map[:, start : start + GROUP_CHANNELS], size))
        return features


def _resized(features: Tensor, size: tuple[int, ...]) -> Tensor:
    return functional.interpolate(features, size, mode="bilinear", align_corners=True)
