"""What a lost channel was, told by the channels that were kept: colours of the pixels around."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from dmef_bench.scene import Image

Mask = npt.NDArray[np.bool_]
Values = npt.NDArray[np.floating[Any]]

_RIDGE = np.float32(1e-4)
"""Variance that a channel is granted beyond its own: flat windows then predict their mean."""
_FARTHEST = 5.0
"""Standard deviations beyond which `Local.reach` no longer counts."""


class Local(NamedTuple):
    """What neighbours say of lost channels; meaningless elsewhere.

    Parameters
    ----------
    guess : ndarray, shape (H, W, 3), float32
        The lost channels.
    residual : ndarray, shape (H, W, 3), float32
        Standard deviation of what the kept channels leave unexplained in the window.
    reach : ndarray, shape (H, W, 3), float32
        How far the kept channels lie from the window's mean, in its standard deviations, at most 5.
    """

    guess: Image
    residual: Image
    reach: Image


def regress_colours(light: Image, white: Mask, donor: Image, radius: int) -> Local:
    """Predict clipped channels from those that are not, by the least squares of a window.

    In each window of the donor a lost channel is regressed on the kept ones, and the line is asked
    for the reference's own kept channels. So their detail, which is in its place, carries over to
    the channel that was lost, and a donor that lies a little wrong does little harm: the local
    linear model of the guided filter (He, Sun and Tang, ECCV 2010, Eq. 5), with a guide that is
    not the picture that it was fitted on.

    Parameters
    ----------
    light : ndarray, shape (H, W, 3), float32
        The reference at EV 0.
    white : ndarray of bool, shape (H, W, 3)
        Channels that it lost.
    donor : ndarray, shape (H, W, 3), float32
        The darker exposure at EV 0, aligned.
    radius : int
        Of the window, in pixels.

    Returns
    -------
    Local
        Where one or two of three channels were lost; elsewhere the guess is the donor.
    """
    window = (2 * radius + 1,) * 2
    mean = cv2.blur(donor, window)
    planes, means = cv2.split(donor), cv2.split(mean)
    lights = cv2.split(light)
    guess, residual, reach = donor.copy(), np.zeros_like(donor), np.zeros_like(donor)

    @cache
    def covariance(one: int, other: int) -> Values:
        return cv2.blur(planes[one] * planes[other], window) - means[one] * means[other]

    for channel in range(3):
        first, second = (other for other in range(3) if other != channel)
        gone = white[..., channel]
        for kept in ((first, second), (first,), (second,)):
            others = {first, second} - set(kept)
            asked = gone & ~np.logical_or.reduce([white[..., other] for other in kept])
            for other in others:
                asked &= white[..., other]
            if not asked.any():
                continue
            ahead = [(lights[other] - means[other])[asked] for other in kept]
            spread = [covariance(other, other)[asked] + _RIDGE for other in kept]
            shared = [covariance(*sorted((other, channel)))[asked] for other in kept]
            slopes = _slopes(spread, shared, covariance(*kept)[asked] if len(kept) == 2 else None)
            explained = sum(slope * part for slope, part in zip(slopes, shared, strict=True))
            told = sum(slope * step for slope, step in zip(slopes, ahead, strict=True))
            own = covariance(channel, channel)[asked]
            far = [np.abs(step) / np.sqrt(s) for step, s in zip(ahead, spread, strict=True)]
            guess[asked, channel] = means[channel][asked] + told
            residual[asked, channel] = np.sqrt(np.maximum(own - explained, 0))
            reach[asked, channel] = np.minimum(np.maximum.reduce(far), _FARTHEST)
    return Local(guess, residual, reach)


def _slopes(spread: list[Values], shared: list[Values], across: Values | None) -> list[Values]:
    """Least squares by Cramer's rule, of one kept channel or of two."""
    if across is None:
        return [shared[0] / spread[0]]
    determinant = spread[0] * spread[1] - across * across
    return [
        (spread[1] * shared[0] - across * shared[1]) / determinant,
        (spread[0] * shared[1] - across * shared[0]) / determinant,
    ]
