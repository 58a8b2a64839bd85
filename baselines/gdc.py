"""GDC: every picture is trusted where its gradients are strong and its directions win the vote."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from dmef_bench.errors import UsageError
from dmef_bench.scene import ExposureStack, Image

Plane = npt.NDArray[np.float32]
"""(H, W) float32: one number a pixel."""

LUMINANCE = np.array([[0.2126, 0.7152, 0.0722]], np.float32)
VANISHING = 1e-12
"""Sums of evidence up to this are no evidence: the next rule decides."""

# A 4K triple takes 235 MB by bands of 64 rows (benchmarks/gdc_4k.py), and as one band 800 MB
# and nearly twice the time.
BAND_ROWS = 64
# OpenCV's remap addresses less than 32768 pixels or cells along an axis.
TILE_COLUMNS = 4096


class GDC:
    """Gradient-directed composition of Zhang and Cham.

    Strong gradients show what an exposure resolves (visibility). A change of exposure keeps the
    directions of gradients and a moved object does not, so the exposures vote by direction
    (consistency). The product, smoothed by a bilateral grid, weighs the pictures.

    There is no reference frame: where two exposures agree by chance on something that moved,
    a ghost stays.

    Parameters
    ----------
    dynamic : bool
        Whether things may move. If not, visibility alone weighs the pictures.
    sigma_gradient : float
        Gaussian derivative in pixels, on ``2 ceil(2 sigma) + 1`` taps.
    window : int
        Directions are compared over squares of ``2 window + 1`` pixels.
    sigma_consistency : float
        Mean difference of directions, in radians, at which trust falls to exp(-1/2).
    clip : float
        Luminance is well exposed strictly between ``1 - clip`` and ``clip``.

    Raises
    ------
    UsageError
        A parameter outside its range.

    Notes
    -----
    Ours: differences of directions are wrapped to [0, pi], and pixels that every exposure clips
    fall back to visibility. Without, equal directions near pi look opposite, and NaN appears.

    References
    ----------
    Zhang and Cham, "Gradient-directed composition of multi-exposure images", CVPR 2010;
    "Gradient-directed multiexposure composition", IEEE Transactions on Image Processing 2012.
    """

    name = "gdc"
    paper = "Zhang and Cham, CVPR 2010; TIP 2012"
    stride = 1
    # The grid's cells follow the size of the picture and its range of luminance.
    is_global = True

    def __init__(
        self,
        *,
        dynamic: bool = True,
        sigma_gradient: float = 1.0,
        window: int = 9,
        sigma_consistency: float = 0.2,
        clip: float = 0.9,
    ) -> None:
        _check(0 < sigma_gradient < np.inf, "sigma_gradient", sigma_gradient, "pixels above 0")
        _check(isinstance(window, int) and window >= 0, "window", window, "a whole number from 0")
        _check(sigma_consistency > 0, "sigma_consistency", sigma_consistency, "radians above 0")
        _check(0.5 < clip <= 1, "clip", clip, "a luminance above 0.5 and up to 1")
        self.dynamic = dynamic
        self.window = window
        self.sigma_consistency = sigma_consistency
        self.clip = clip
        self._smoothing, self._difference = derivative_taps(sigma_gradient)

    @property
    def halo(self) -> int:
        """Pixels around a pixel that vote on its weight, before the grid smooths the weights."""
        return self._smoothing.size // 2 + self.window

    def fuse(self, stack: ExposureStack) -> Image:
        """Fuse any number of exposures.

        Parameters
        ----------
        stack : ExposureStack
            One picture or more; neither EVs nor the reference matter.

        Returns
        -------
        ndarray, shape (H, W, 3), float32
            A weighted mean of the exposures at every pixel, in [0, 1].
        """
        images = stack.images
        if len(images) == 1:
            return images[0].copy()
        luminances = [luminance(image) for image in images]
        grids = [BilateralGrid(guide) for guide in luminances]
        for rows in _bands(stack.size[0]):
            for grid, weight in zip(grids, self._band_weights(luminances, rows), strict=True):
                grid.splat(weight, rows)
        for grid in grids:
            grid.blur()
        fused = np.empty((*stack.size, 3), np.float32)
        for rows in _bands(stack.size[0]):
            smooth = np.stack([grid.read(rows) for grid in grids])
            fused[rows] = weighted_mean([image[rows] for image in images], smooth)
        return fused

    def _band_weights(self, luminances: Sequence[Plane], rows: slice) -> npt.NDArray[np.float32]:
        """Weights of some rows; they see as many rows beyond as vote on them."""
        top = max(rows.start - self.halo, 0)
        seen = slice(top, rows.stop + self.halo)
        weights = self.weights([plane[seen] for plane in luminances])
        return weights[:, rows.start - top : rows.stop - top]

    def weights(self, luminances: Sequence[Plane]) -> npt.NDArray[np.float32]:
        """How much each exposure counts at each pixel, before smoothing.

        Parameters
        ----------
        luminances : sequence of ndarray, shape (H, W), float32
            Luminance of the display-encoded exposures, in [0, 1].

        Returns
        -------
        ndarray, shape (N, H, W), float32
            Not negative; the N weights of a pixel sum to 1.
        """
        magnitudes, directions = zip(*map(self._gradient, luminances), strict=True)
        visibility = np.stack(magnitudes)
        if not self.dynamic:
            return normalised(visibility)
        consistency = self._agreement(directions)
        for trust, plane in zip(consistency, luminances, strict=True):
            trust *= (plane > 1.0 - self.clip) & (plane < self.clip)
        return normalised(visibility * consistency, consistency, visibility)

    def _gradient(self, plane: Plane) -> tuple[Plane, Plane]:
        """Magnitude, and direction in radians [0, 2 pi), by Gaussian derivatives."""
        smooth, difference, border = self._smoothing, self._difference, cv2.BORDER_REPLICATE
        along_x = cv2.sepFilter2D(plane, cv2.CV_32F, difference, smooth, borderType=border)
        along_y = cv2.sepFilter2D(plane, cv2.CV_32F, smooth, difference, borderType=border)
        magnitude, direction = cv2.cartToPolar(along_x, along_y)
        return _float32(magnitude), _float32(direction)

    def _agreement(self, directions: Sequence[Plane]) -> npt.NDArray[np.float32]:
        """Sum over the other exposures of exp(-d^2 / (2 sigma^2)), d the difference."""
        agreement = np.zeros((len(directions), *directions[0].shape), np.float32)
        for one, other in combinations(range(len(directions)), 2):
            mean = mean_direction_difference(directions[one], directions[other], self.window)
            similarity = np.exp(mean * mean * (-0.5 / self.sigma_consistency**2))
            agreement[one] += similarity
            agreement[other] += similarity
        return agreement


class BilateralGrid:
    """Smooths weights over space and luminance, band by band of a 4K picture.

    A weight falls into the nearest cell of a coarse grid (row, luminance, column), cells are
    blurred by a Gaussian of one cell, and a pixel reads its smooth weight between eight cells:
    neighbours share their weights where they are equally bright, and edges stay.

    Parameters
    ----------
    guide : ndarray, shape (H, W), float32
        Luminance. Cells are min(H, W) / 16 pixels and a tenth of its range wide.

    References
    ----------
    Chen, Paris and Durand, "Real-time edge-aware image processing with the bilateral grid",
    SIGGRAPH 2007.
    """

    def __init__(self, guide: Plane) -> None:
        height, width = guide.shape
        darkest, brightest = float(guide.min()), float(guide.max())
        self._guide = guide
        self._darkest = np.float32(darkest)
        self._per_luminance = np.float32(1 / max(0.1 * (brightest - darkest), 1e-3))
        # Pixels four cells apart cannot reach one another; larger cells are waste, not smoothing.
        per_pixel = 1 / max(min(height, width) / 16, 0.25)
        self._row_positions = np.arange(height) * per_pixel
        self._column_positions = np.arange(width) * per_pixel
        highest_level = float((np.float32(brightest) - self._darkest) * self._per_luminance)
        furthest = (self._row_positions[-1], highest_level, self._column_positions[-1])
        self._shape = tuple(int(position) + 2 for position in furthest)
        self._sums = np.zeros(self._shape)
        self._counts = np.zeros(self._shape)

    def _levels(self, rows: slice) -> Plane:
        return (self._guide[rows] - self._darkest) * self._per_luminance

    def splat(self, weights: Plane, rows: slice) -> None:
        """Let the weights of some rows, shape (rows, W), fall into their nearest cells."""
        _, levels, columns = self._shape
        row_cells = np.rint(self._row_positions[rows]).astype(np.intp)
        column_cells = np.rint(self._column_positions).astype(np.intp)
        reached = slice(row_cells[0], row_cells[-1] + 1)
        cells = np.rint(self._levels(rows)).astype(np.intp)
        cells += (row_cells - row_cells[0])[:, None] * levels
        cells *= columns
        cells += column_cells
        size = self._sums[reached].size
        sums = np.bincount(cells.ravel(), weights.ravel(), size)
        counts = np.bincount(cells.ravel(), minlength=size)
        self._sums[reached] += sums.reshape(-1, levels, columns)
        self._counts[reached] += counts.reshape(-1, levels, columns)

    def blur(self) -> None:
        """Spread all cells over their neighbours; nothing lies beyond the grid."""
        self._sums = _blurred(self._sums)
        self._counts = _blurred(self._counts)

    def read(self, rows: slice) -> Plane:
        """Smooth weights of some rows, trilinear between cells, shape (rows, W)."""
        levels = self._levels(rows)
        width = levels.shape[1]
        tiles = [slice(left, left + TILE_COLUMNS) for left in range(0, width, TILE_COLUMNS)]
        return np.hstack([self._read_tile(levels[:, tile], rows, tile) for tile in tiles])

    def _read_tile(self, levels: Plane, rows: slice, columns: slice) -> Plane:
        """Interpolate cells along the rows' axis first, then look up both other axes at once."""
        across = self._column_positions[columns]
        first = int(across[0])
        used = slice(first, int(across[-1]) + 2)
        atlas_x = np.tile((across - first).astype(np.float32), (levels.shape[0], 1))
        # The atlas shows, one below the other, the (luminance, column) cells of every row.
        own_cells = np.arange(levels.shape[0], dtype=np.float32) * self._shape[1]
        atlas_y = levels + own_cells[:, None]
        # Sums and counts apart, since OpenCV 5 interpolates single planes exactly, but pairs in
        # steps of 1/32 of a cell, as OpenCV 4 does both.
        sums, counts = (
            cv2.remap(self._atlas(cells[:, :, used], rows), atlas_x, atlas_y, cv2.INTER_LINEAR)
            for cells in (self._sums, self._counts)
        )
        return _float32(sums) / _float32(counts)

    def _atlas(self, cells: npt.NDArray[np.float64], rows: slice) -> Plane:
        positions = self._row_positions[rows]
        below = positions.astype(np.intp)
        share = (positions - below)[:, None, None]
        atlas = cells[below] * (1 - share) + cells[below + 1] * share
        return _float32(atlas.reshape(-1, cells.shape[2]))


def _check(holds: bool, name: str, given: object, wanted: str) -> None:
    if not holds:
        raise UsageError(f"gdc: {name} is {given!r}; give {wanted}.")


def _float32(computed: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """OpenCV's types are looser than ours; float32 is handed on as it is."""
    return np.asarray(computed, np.float32)


def _bands(height: int) -> Iterator[slice]:
    edges = [*range(0, height, BAND_ROWS), height]
    return (slice(top, bottom) for top, bottom in pairwise(edges))


def luminance(image: Image) -> Plane:
    """Luminance of the display-encoded values, shape (H, W), by the weights of BT.709."""
    return _float32(cv2.transform(image, LUMINANCE))


def derivative_taps(sigma: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Gaussian on ``2 ceil(2 sigma) + 1`` taps that sums to 1, and its numeric gradient.

    Examples
    --------
    >>> smoothing, difference = derivative_taps(1.0)
    >>> smoothing.round(6).tolist()
    [0.054489, 0.244201, 0.40262, 0.244201, 0.054489]
    >>> difference.round(6).tolist()
    [0.189713, 0.174066, 0.0, -0.174066, -0.189713]
    """
    reach = int(np.ceil(2 * sigma))
    smoothing = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    smoothing /= smoothing.sum()
    return smoothing, np.gradient(smoothing)


def mean_direction_difference(one: Plane, other: Plane, window: int) -> Plane:
    """Angle between two fields of directions, averaged over squares of 2 window + 1 pixels.

    Parameters
    ----------
    one, other : ndarray, shape (H, W), float32
        Directions in radians, less than one turn apart.
    window : int
        Half the square's side; borders are replicated.

    Returns
    -------
    ndarray, shape (H, W), float32
        Mean over the square of the smaller angle, in [0, pi].
    """
    difference = np.abs(one - other)
    # min(a, 2 pi - a) = pi - |pi - a|
    wrapped = np.float32(np.pi) - np.abs(np.float32(np.pi) - difference)
    side = 2 * window + 1
    return _float32(
        cv2.boxFilter(wrapped, cv2.CV_32F, (side, side), borderType=cv2.BORDER_REPLICATE)
    )


def normalised(*evidence: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Shares of the first evidence that does not vanish at a pixel; equal shares if all do.

    Parameters
    ----------
    *evidence : ndarray, shape (N, H, W), float32
        Not negative, most telling first.

    Returns
    -------
    ndarray, shape (N, H, W), float32
        Shares that sum to 1 over the first axis.
    """
    shares = np.full_like(evidence[0], 1 / len(evidence[0]))
    for voices in reversed(evidence):
        total = voices.sum(axis=0)
        np.divide(voices, total, out=shares, where=total > VANISHING)
    return shares


def weighted_mean(images: Sequence[Image], weights: npt.NDArray[np.float32]) -> Image:
    """Mean of N pictures, shape (H, W, 3), by N weights a pixel, shape (N, H, W)."""
    shares = weights / weights.sum(axis=0)
    mean = np.zeros(images[0].shape, np.float32)
    for image, share in zip(images, shares, strict=True):
        cv2.accumulateProduct(image, cv2.merge((share, share, share)), mean)
    return np.clip(mean, 0.0, 1.0, out=mean)


def _blurred(cells: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Gaussian of sigma one cell on 5 taps along each axis."""
    taps, _ = derivative_taps(1.0)
    for axis in range(cells.ndim):
        beyond = [(2, 2) if axis == padded else (0, 0) for padded in range(cells.ndim)]
        cells = np.lib.stride_tricks.sliding_window_view(np.pad(cells, beyond), 5, axis) @ taps
    return cells
