"""What could stand in the pixels that the reference lost, and what speaks for and against each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from baselines.colour_table import ALL, ColourTable, lost_pattern, partly_lost
from baselines.exposure_pair import Pair
from baselines.local_colour import regress_colours
from baselines.response_fill import ResponseFill, mend
from baselines.row_bands import widened
from dmef_bench.scene import Image

CANDIDATES = 7
"""Pictures of `FillEvidence.pictures` that a lost value may be; the first is response-fill's."""
EVIDENCE = 7
"""Pictures after them."""
PICTURES = CANDIDATES + EVIDENCE
_COMMON = 2
"""Those at the end that tell of a pixel, and not of one channel of it."""

FARTHEST = 60.0
"""Pixels to the next one that kept the channel, beyond which all are alike."""
COUNTED = 20.0
"""Natural logarithm of pixels of a colour, beyond which all are alike."""
REACHED = 5.0
"""Standard deviations from a window's mean, beyond which all are alike."""

_CLOSE, _WIDE = 2, 10
"""Radii of the windows of local colour, in pixels."""
_WIDEST = 20
"""Radius of the widest window that anything is looked at through."""

Mask = npt.NDArray[np.bool_]
Plane = npt.NDArray[np.float32]
Values = npt.NDArray[np.floating[Any]]
Words = npt.NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class FillEvidence:
    """A stack fused by response-fill, and what its alternatives are made of.

    Parameters
    ----------
    fused : ndarray, shape (H, W, 3), float32
        By response-fill.
    pair : Pair
        The reference, and the darker exposure that knows more.
    aligned, mended : ndarray, shape (H, W, 3), float32
        The darker exposure on the reference's pixels, as found, and where it can be trusted.
    doubt : ndarray, shape (H, W), float32
        How far ``aligned`` contradicts what the reference kept.
    table, spread, count : ndarray, shape (H, W, 3), float32
        What the colour table says of lost channels, response-fill where it says nothing.
    distance : ndarray, shape (H, W, 3), float32
        Pixels to the next one that kept the channel, zero where it was kept.
    """

    fused: Image
    pair: Pair
    aligned: Image
    mended: Image
    doubt: Plane
    table: Image
    spread: Plane
    count: Plane
    distance: Values

    @classmethod
    def gather(cls, fused: Image, pair: Pair, method: ResponseFill) -> FillEvidence:
        """Look at the whole frame, after ``method.fill`` has given its picture and its pair."""
        white = pair.reference.white
        aligned, doubt = method.aligned(pair)
        mended = aligned.copy()
        mend(mended, doubt, white)
        colours = _looked_up_colours(fused, pair)
        return cls(fused, pair, aligned, mended, doubt, *colours, _distances(white))

    def pictures(self, rows: slice) -> Iterator[Words]:
        """Candidates and evidence of some rows, `PICTURES` of them, (rows, W, 3), uint16.

        `CANDIDATES`, none below what the reference can have lost: response-fill; the donor aligned,
        and as it lies; the colour table; local colour in windows of 5 and of 21 pixels; the aligned
        donor, mended. Where nothing is known they are response-fill's.

        Then `EVIDENCE`, scaled to [0, 1] by the constants of this module. Of each channel: distance
        to the next pixel that kept it; spread of the colour table, and how many pixels it knows;
        residual and reach of the wide window. Of each pixel: disagreement of the aligned donor with
        what was kept, there, and around in 5 and in 15 pixels; in 41 pixels, and that of the donor
        as it lies in 5 and in 15.
        """
        seen, inside = widened(rows, _WIDEST)
        reference, ceiling = self.pair.reference, np.float32(self.pair.reference.ceiling)
        light, white = reference.light[seen], reference.white[seen]
        lying = np.minimum(self.pair.donor.light[seen], np.float32(1))
        close = regress_colours(light, white, self.aligned[seen], _CLOSE)
        wide = regress_colours(light, white, self.mended[seen], _WIDE)
        partly = white & (lost_pattern(white) != ALL)[..., None]
        fused, doubt = self.fused[seen], self.doubt[seen]
        candidates = (
            self.aligned[seen],
            lying,
            self.table[seen],
            np.where(partly, close.guess, fused),
            np.where(partly, wide.guess, fused),
            self.mended[seen],
        )
        yield _words(self.fused[rows])
        for candidate in candidates:
            yield _words(np.maximum(candidate[inside], ceiling))
        yield _words(self.distance[rows] / FARTHEST)
        yield _words(self.spread[rows])
        yield _words(np.log1p(self.count[rows]) / COUNTED)
        yield _words(wide.residual[inside])
        yield _words(wide.reach[inside] / REACHED)
        still = self.pair.disagreement(lying, seen)
        for planes in (
            [doubt, _around(doubt, 5), _around(doubt, 15)],
            [_around(doubt, 41), _around(still, 5), _around(still, 15)],
        ):
            yield _words(cv2.merge(planes)[inside])


def lost_values(words: Sequence[Words]) -> tuple[Mask, tuple[Words, Words, Words, Words]]:
    """Where values were lost, and what `baselines.fill_gate.FillGate.mixed` asks of each.

    Parameters
    ----------
    words : sequence of ndarray, shape (rows, W, 3), uint16
        `FillEvidence.pictures`, contiguous.

    Returns
    -------
    lost : ndarray of bool, shape (rows, W, 3)
        Where; the values below are in its order.
    values : tuple of ndarray, uint16
        Candidates, evidence of the channel, evidence of the pixel, and how many channels it lost;
        all in the words of ``words``, but for the last.
    """
    lost = words[CANDIDATES] > 0
    places = np.flatnonzero(lost)
    pixels = places // 3
    given, own, common = words[:CANDIDATES], words[CANDIDATES:-_COMMON], words[-_COMMON:]
    beside = lost.sum(axis=2, dtype=np.uint16).ravel()[pixels]
    return lost, (
        np.stack([picture.ravel()[places] for picture in given], axis=1),
        np.stack([picture.ravel()[places] for picture in own], axis=1),
        np.concatenate([picture.reshape(-1, 3)[pixels] for picture in common], axis=1),
        beside,
    )


def nothing_lost(fused: Image, rows: slice) -> Iterator[Words]:
    """`FillEvidence.pictures` of a stack whose reference lost nothing that another one has."""
    words = _words(fused[rows])
    for picture in range(PICTURES):
        yield words if picture < CANDIDATES else np.zeros_like(words)


def _looked_up_colours(fused: Image, pair: Pair) -> tuple[Image, Plane, Plane]:
    """The colour table's guess, response-fill where it has none, with its spread and count."""
    white = pair.reference.white
    places = partly_lost(white)
    pixels = pair.reference.light.reshape(-1, 3)[places]
    colours = ColourTable(pair.donor.shown(0, 1), pair.reference.ceiling)
    guess = colours.guess(pixels, white.reshape(-1, 3)[places])
    table, spread, count = fused.copy(), np.zeros_like(fused), np.zeros_like(fused)
    rows = table.reshape(-1, 3)
    rows[places] = np.where(guess.told, guess.mean, rows[places])
    spread.reshape(-1, 3)[places] = guess.spread
    count.reshape(-1, 3)[places] = guess.count
    return table, spread, count


def _distances(white: Mask) -> Values:
    planes = cv2.split(white.view(np.uint8))
    return np.dstack([cv2.distanceTransform(plane, cv2.DIST_L2, 3) for plane in planes])


def _around(plane: Plane, side: int) -> Plane:
    return cv2.blur(plane, (side, side))


def _words(picture: Values) -> Words:
    return (np.clip(picture, 0, 1) * np.float32(65535) + np.float32(0.5)).astype(np.uint16)
