"""What a lost channel was, told by the channels that were kept: colours looked up in the donor."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from dmef_bench.scene import Image

Mask = npt.NDArray[np.bool_]
Plane = npt.NDArray[np.float32]

_BINS = 48
_FEWEST = 50
"""Pixels of the donor, below which a table says nothing."""
_FAR = 1e-4
"""Weight of colours six bins away, for cells that hold none of their own."""


def complete_colours(light: Image, white: Mask, donor: Image, ceiling: float) -> tuple[Image, Mask]:
    """Guess clipped channels from those that are not, as the donor's colours go together.

    A red arm that lost its red keeps green and blue; the darker exposure shows the arm somewhere,
    red and all. Where it lies does not matter, so no motion can mislead this.

    Parameters
    ----------
    light : ndarray, shape (H, W, 3), float32
        The reference at EV 0; channels that were kept are right.
    white : ndarray of bool, shape (H, W, 3)
        Channels that were not.
    donor : ndarray, shape (H, W, 3), float32
        The darker exposure at EV 0, aligned or not.
    ceiling : float
        What the reference's maximum is at EV 0: lost channels are no less.

    Returns
    -------
    guessed : ndarray, shape (H, W, 3), float32
        ``light``, with guesses where `told` is true.
    told : ndarray of bool, shape (H, W, 3)
        Lost channels with a channel beside them that was kept, of colours that the donor knows.
    """
    guessed, told = light.copy(), np.zeros_like(white)
    above = donor >= ceiling
    for channel in range(3):
        others = [other for other in range(3) if other != channel]
        for kept in ((others[0],), (others[1],), tuple(others)):
            known, asked = (_pattern(mask, channel, kept) for mask in (above, white))
            if not asked.any() or np.count_nonzero(known) < _FEWEST:
                continue
            table = _table(donor, known, channel, kept, ceiling)
            answers = table[_cells(light[asked], kept, ceiling)]
            guessed[asked, channel] = np.maximum(answers, np.float32(ceiling))
            told[asked, channel] = True
    return guessed, told


def _pattern(mask: Mask, channel: int, kept: tuple[int, ...]) -> Mask:
    """Where ``channel`` is above the ceiling, ``kept`` are not, and the third, if any, is."""
    found: Mask = mask[..., channel].copy()
    for other in range(3):
        if other != channel:
            found &= ~mask[..., other] if other in kept else mask[..., other]
    return found


def _cells(pixels: Image, kept: tuple[int, ...], ceiling: float) -> npt.NDArray[np.intp]:
    cells = np.zeros(len(pixels), np.intp)
    for other in kept:
        place = np.clip(pixels[:, other] / np.float32(ceiling), 0, 0.999) * _BINS
        cells = cells * _BINS + place.astype(np.intp)
    return cells


def _table(donor: Image, known: Mask, channel: int, kept: tuple[int, ...], ceiling: float) -> Plane:
    """Mean of ``channel`` over the donor's pixels of each colour, smoothed over near colours."""
    pixels = donor[known]
    cells = _cells(pixels, kept, ceiling)
    shape = (_BINS,) * 2 if len(kept) == 2 else (1, _BINS)
    values = pixels[:, channel].astype(np.float64)
    counts, sums = (
        np.bincount(cells, weights, _BINS ** len(kept)).astype(np.float64).reshape(shape)
        for weights in (np.ones_like(values), values)
    )
    tiny = 1e-9
    near = _spread(counts) + tiny
    return ((_spread(sums) + tiny * values.mean()) / near).ravel().astype(np.float32)


def _spread(cells: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    # Zeros beyond the borders: replicated ones would count border colours twice.
    near, far = (
        cv2.GaussianBlur(cells, (0, 0), deviation, borderType=cv2.BORDER_CONSTANT)
        for deviation in (1.0, 6.0)
    )
    return near + _FAR * far
