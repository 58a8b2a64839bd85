"""What a lost channel was, told by the channels that were kept: colours looked up in the donor."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from dmef_bench.scene import Image

Mask = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.float32]
"""(N, 3): some pixels of a picture."""
Places = npt.NDArray[np.intp]
Cells = npt.NDArray[np.float64]

_BINS = 48
_FEWEST = 50
"""Pixels of the donor, below which a table says nothing."""
_FAR = 1e-4
"""Weight of colours six bins away, for cells that hold none of their own."""
_TINY = 1e-9
"""Weight of the mean of all colours, for cells that are farther from any."""
NONE, ALL = 0, 7
"""Patterns of `lost_pattern`."""


@dataclass(frozen=True, eq=False)
class Guess:
    """What a table says of some pixels' lost channels, zeros where it says nothing.

    Parameters
    ----------
    mean, spread : ndarray, shape (N, 3), float32
        Mean and standard deviation of the channel in the donor, where it shows that colour.
    count : ndarray, shape (N, 3), float32
        How many pixels those are, near colours counted by their nearness.
    """

    mean: Pixels
    spread: Pixels
    count: Pixels

    @property
    def told(self) -> Mask:
        """Where the table says anything."""
        return self.count > 0


class ColourTable:
    """Colours of the darker exposure, to be looked up by the channels that the reference kept.

    A red arm that lost its red keeps green and blue; the darker exposure shows the arm somewhere,
    red and all. Where it lies does not matter, so no motion can mislead this.

    Parameters
    ----------
    donor : ndarray, shape (H, W, 3), float32
        The darker exposure at EV 0, aligned or not.
    ceiling : float
        What the reference's maximum is at EV 0: lost channels are no less.
    """

    def __init__(self, donor: Image, ceiling: float) -> None:
        above = donor >= ceiling
        places = partly_lost(above)
        self._pixels: Pixels = donor.reshape(-1, 3)[places]
        self._patterns = lost_pattern(above.reshape(-1, 3)[places])
        self._ceiling = np.float32(ceiling)

    def guess(self, pixels: Pixels, lost: Mask) -> Guess:
        """Guess clipped channels from those that are not, as the donor's colours go together.

        Parameters
        ----------
        pixels : ndarray, shape (N, 3), float32
            Of the reference at EV 0; channels that were kept are right.
        lost : ndarray of bool, shape (N, 3)
            Channels that were not.
        """
        guess = Guess(*np.zeros((3, *pixels.shape), np.float32))
        patterns = lost_pattern(lost)
        for pattern in range(NONE + 1, ALL):
            asked, known = patterns == pattern, self._patterns == pattern
            if not asked.any() or np.count_nonzero(known) < _FEWEST:
                continue
            kept = [channel for channel in range(3) if not pattern >> channel & 1]
            shown = self._pixels[known]
            cells, places = self._cells(shown, kept), self._cells(pixels[asked], kept)
            for channel in {0, 1, 2}.difference(kept):
                moments = _moments(cells, shown[:, channel], _BINS ** len(kept))
                mean, spread, count = (moment[places] for moment in moments)
                guess.mean[asked, channel] = np.maximum(mean, self._ceiling)
                guess.spread[asked, channel] = spread
                guess.count[asked, channel] = count
        return guess

    def _cells(self, pixels: Pixels, kept: list[int]) -> Places:
        """Of which colour, by their kept channels, some pixels are."""
        cells = np.zeros(len(pixels), np.intp)
        for channel in kept:
            place = np.clip(pixels[:, channel] / self._ceiling, 0, 0.999) * _BINS
            cells = cells * _BINS + place.astype(np.intp)
        return cells


def partly_lost(lost: Mask) -> Places:
    """Where in the flattened picture, (H W, 3), pixels lost a channel and kept one."""
    patterns = lost_pattern(lost)
    return np.flatnonzero((patterns != NONE) & (patterns != ALL))


def lost_pattern(lost: Mask) -> npt.NDArray[np.uint8]:
    """Which channels each pixel lost: 1 for red + 2 for green + 4 for blue."""
    red, green, blue = (lost[..., channel].view(np.uint8) for channel in range(3))
    return np.asarray(red | green << 1 | blue << 2, np.uint8)


def _moments(
    cells: Places, values: npt.NDArray[np.float32], size: int
) -> tuple[npt.NDArray[np.float32], ...]:
    """Mean, standard deviation and count of values in each cell, smoothed over near colours."""
    exact = values.astype(np.float64)
    powers = [np.ones_like(exact), exact, exact**2]
    count, first, second = (
        _smoothed(np.bincount(cells, power, size).astype(np.float64, copy=False))
        + _TINY * power.mean()
        for power in powers
    )
    mean = first / count
    spread = np.sqrt(np.maximum(second / count - mean**2, 0))
    return mean.astype(np.float32), spread.astype(np.float32), count.astype(np.float32)


def _smoothed(sums: Cells) -> Cells:
    # Zeros beyond the borders: replicated ones would count border colours twice.
    table = sums.reshape(-1, _BINS)
    near, far = (
        cv2.GaussianBlur(table, (0, 0), deviation, borderType=cv2.BORDER_CONSTANT)
        for deviation in (1.0, 6.0)
    )
    return (near + _FAR * far).ravel()
