"""Many pictures on one sheet, with captions, to be looked at by a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from dmef_bench.errors import UsageError
from dmef_bench.scene import Encoded, to_uint8

Sheet = npt.NDArray[np.uint8]

_BAND = 30
_GAP = 8
_PAPER, _INK = 250, 40


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture of a sheet.

    Parameters
    ----------
    caption : str
        ASCII; written above the picture.
    picture : ndarray, shape (H, W, 3), uint8 or uint16
        RGB, any size.
    """

    caption: str
    picture: Encoded


def contact_sheet(rows: Sequence[Sequence[Tile]], *, tile_width: int = 480) -> Sheet:
    """Lay rows of pictures out on white paper.

    Parameters
    ----------
    rows : sequence of sequence of Tile
        Rows may differ in length and pictures in size; each is shrunk to ``tile_width``.
    tile_width : int
        Pixels.

    Returns
    -------
    ndarray, shape (H, W, 3), uint8
        RGB.
    """
    if not rows or not all(rows):
        raise UsageError("A contact sheet needs at least one picture in every row.")
    drawn = [[_draw(tile, tile_width) for tile in row] for row in rows]
    width = max(sum(tile.shape[1] + _GAP for tile in row) for row in drawn) + _GAP
    height = sum(max(tile.shape[0] for tile in row) + _GAP for row in drawn) + _GAP
    sheet = np.full((height, width, 3), _PAPER, np.uint8)
    top = _GAP
    for row in drawn:
        left = _GAP
        for tile in row:
            sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
            left += tile.shape[1] + _GAP
        top += max(tile.shape[0] for tile in row) + _GAP
    return sheet


def _draw(tile: Tile, width: int) -> Sheet:
    picture = to_uint8(tile.picture)
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    drawn = np.full((height + _BAND, width, 3), _PAPER, np.uint8)
    drawn[_BAND:] = small
    cv2.putText(
        drawn, tile.caption, (2, _BAND - 9), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (_INK,) * 3, 1,
        cv2.LINE_AA,
    )  # fmt: skip
    return drawn
