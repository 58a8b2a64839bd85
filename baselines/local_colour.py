"""What a lost channel was, told by the channels that were kept: colours of the pixels around."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from baselines.colour_table import ALL, NONE, Places, lost_pattern
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
    planes, lights = cv2.split(donor), cv2.split(light)
    means = [cv2.blur(plane, window) for plane in planes]
    local = Local(donor.copy(), np.zeros_like(donor), np.zeros_like(donor))

    @cache
    def covariance(one: int, other: int) -> Values:
        if one > other:
            return covariance(other, one)
        return cv2.blur(planes[one] * planes[other], window) - means[one] * means[other]

    patterns = lost_pattern(white)
    for pattern in range(NONE + 1, ALL):
        places = np.flatnonzero(patterns == pattern)
        if not places.size:
            continue

        # A mask would be read through at every use: more than twice as long.
        def asked(plane: Values, places: Places = places) -> Values:
            return plane.ravel()[places]

        kept = [channel for channel in range(3) if not pattern >> channel & 1]
        steps: list[Values] = [asked(lights[channel]) - asked(means[channel]) for channel in kept]
        spread = [asked(covariance(channel, channel)) + _RIDGE for channel in kept]
        across = asked(covariance(*kept)) if len(kept) == 2 else None
        far = [np.abs(step) / np.sqrt(own) for step, own in zip(steps, spread, strict=True)]
        for lost in {0, 1, 2}.difference(kept):
            shared = [asked(covariance(channel, lost)) for channel in kept]
            slopes = _slopes(spread, shared, across)
            told, explained = (_products(slopes, factors) for factors in (steps, shared))
            unexplained = asked(covariance(lost, lost)) - explained
            answers = (
                asked(means[lost]) + told,
                np.sqrt(np.maximum(unexplained, 0)),
                np.minimum(np.maximum.reduce(far), _FARTHEST),
            )
            for picture, answer in zip(local, answers, strict=True):
                picture.reshape(-1, 3)[places, lost] = answer
    return local


def _slopes(spread: list[Values], shared: list[Values], across: Values | None) -> list[Values]:
    """Least squares by Cramer's rule, of one kept channel or of two."""
    if across is None:
        return [shared[0] / spread[0]]
    determinant = spread[0] * spread[1] - across * across
    return [
        (spread[1] * shared[0] - across * shared[1]) / determinant,
        (spread[0] * shared[1] - across * shared[0]) / determinant,
    ]


def _products(slopes: list[Values], factors: list[Values]) -> Values:
    first, *more = (slope * factor for slope, factor in zip(slopes, factors, strict=True))
    return first + more[0] if more else first
