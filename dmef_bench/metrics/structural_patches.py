"""Patches of grey pictures over three scales: their moments, exact, in strips of little memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from dmef_bench.errors import ImageContractError
from dmef_bench.scene import size_text

Map = npt.NDArray[np.float64]
"""One value a patch, at the patch's upper left pixel."""

PATCH = 8
"""Side of the square patches, which lie at every pixel."""
C = (0.03 * 255) ** 2
"""What steadies a ratio of variances, in squared codes."""
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001)
"""Of the finest, the middle and the coarsest scale, up to their sum."""
_STRIP = 32  # rows of patches: the dozens of float64 maps of a 4K strip are 1 MB each


class Patches:
    """The patches of some rows of one picture, known by their moments alone.

    No digit is lost: a product of sixteenths of a code fits float32, 64 of them fit float64, and
    64 is a power of two. So a flat patch has a variance of exactly zero, and how a picture was
    cut into strips cannot show.

    Parameters
    ----------
    rows : ndarray, shape (h, W), float32
        Grey, 0 to 255, in sixteenths of a code.
    """

    def __init__(self, rows: npt.NDArray[np.float32]) -> None:
        self._rows = rows

    @cached_property
    def mean(self) -> Map:
        """Of every patch; shape (h - 7, W - 7)."""
        return _mean(self._rows)

    @cached_property
    def variance(self) -> Map:
        """Of every patch's 64 pixels, in squared codes."""
        return self.covariance(self)

    @cached_property
    def contrast(self) -> Map:
        """The standard deviation: an eighth of the length of the patch without its mean."""
        return np.sqrt(self.variance)

    def covariance(self, other: Patches) -> Map:
        """Of every patch with the other picture's."""
        return _mean(self._rows * other._rows) - self.mean * other.mean


def _mean(plane: npt.NDArray[np.float32]) -> Map:
    sums = cv2.boxFilter(plane, cv2.CV_64F, (PATCH, PATCH), anchor=(0, 0), normalize=False)
    # Patches at the last rows and columns would reach beyond the border.
    return sums[: 1 - PATCH, : 1 - PATCH] / PATCH**2


def patches_by_scale(planes: Iterable[npt.NDArray[Any]]) -> Iterator[tuple[int, list[Patches]]]:
    """Some rows of patches of all planes at a time, from the finest scale to the coarsest.

    Parameters
    ----------
    planes : iterable of ndarray, shape (H, W), uint8
        Grey pictures of one size. Handed over for good, they are let go as the scales pass.

    Yields
    ------
    scale : int
        0 for the planes as they are, 1 and 2 for the half and the quarter of their size, by means
        of 2 x 2 pixels.
    patches : list of Patches
        One a plane; each patch of a scale comes once.

    Raises
    ------
    ImageContractError
        Below 32 pixels a side: no patch at the coarsest scale.
    """
    planes = list(planes)
    smallest = PATCH * 2 ** (len(SCALE_WEIGHTS) - 1)
    if min(planes[0].shape) < smallest:
        raise ImageContractError(
            f"The pictures are {size_text(planes[0].shape)}; MEF-SSIM needs {smallest} pixels a "
            "side, one patch at the coarsest of its scales."
        )
    for scale in range(len(SCALE_WEIGHTS)):
        if scale > 0:
            # One by one: the larger planes of ten and more need not live beside the smaller.
            for index in range(len(planes)):
                planes[index] = _halve(planes[index])
        for rows in _strips(planes[0].shape[0]):
            yield scale, [Patches(plane[rows].astype(np.float32)) for plane in planes]


def _halve(plane: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    height, width = (side // 2 for side in plane.shape)
    even = plane[: 2 * height, : 2 * width].astype(np.float32)
    return cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)


def _strips(height: int) -> Iterator[slice]:
    """Overlapping rows of pixels, so that every patch lies in exactly one strip."""
    patch_rows = height - PATCH + 1
    for top in range(0, patch_rows, _STRIP):
        yield slice(top, min(top + _STRIP, patch_rows) + PATCH - 1)


def over_scales(means: npt.NDArray[np.float64], counts: npt.NDArray[np.float64]) -> float:
    """Join the scales' mean similarities: the product of their powers by `SCALE_WEIGHTS`.

    Parameters
    ----------
    means : ndarray, shape (3,)
        One a scale; a negative one counts as zero, for it has no such power.
    counts : ndarray, shape (3,)
        Patches of each scale; a scale without any has no say.

    Returns
    -------
    float
        In [0, 1].

    Examples
    --------
    >>> over_scales(np.array([0.5, 0.5, 0.5]), counts=np.array([9, 4, 0]))
    0.5
    """
    weights = np.where(counts > 0, SCALE_WEIGHTS, 0)
    return float(np.prod(np.maximum(means, 0) ** (weights / weights.sum())))
