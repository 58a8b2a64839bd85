"""A contact sheet of one scene: its moments down, their exposures across, the truth beside."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import numpy.typing as npt

from dmef_bench.manifest import SceneEntry

Picture = npt.NDArray[np.uint8]

MOTION = "motion"
"""Role of the medium exposure with what moves in it marked."""

_LEVELS = ("low", "medium", "high")
_GAP = 8
_CAPTION = 22
_PAPER, _INK = 250, (40, 40, 40)


def contact_sheet(scene: SceneEntry, small: Mapping[str, Picture]) -> Picture:
    """Lay out the pictures of a scene; what is not stored leaves its place empty.

    Parameters
    ----------
    scene : SceneEntry
        Names stops and times.
    small : mapping
        Role to picture, RGB, all of one size; `MOTION` for the picture of what moves.

    Returns
    -------
    ndarray, shape (h, w, 3), uint8
        Rows: samples 1 to 3. Columns: low, medium, high, and the truth in sample 2's row.
    """
    height, width = next(iter(small.values())).shape[:2]
    step = (height + _CAPTION + _GAP, width + _GAP)
    sheet = np.full((3 * step[0] + _GAP, 4 * step[1] + _GAP, 3), _PAPER, np.uint8)
    for (row, column), role, caption in _places(scene):
        top, left = _GAP + row * step[0], _GAP + column * step[1]
        if role in small:
            sheet[top : top + height, left : left + width] = small[role]
        if role in small or not role:
            _write(sheet, caption, (left, top + height + _CAPTION - 7))
    return sheet


def _places(scene: SceneEntry) -> list[tuple[tuple[int, int], str, str]]:
    """Row and column, role and caption of every picture that there may be."""
    times = [f"{float(time):.3f} s" for time in scene.frame_times]
    given = {scene.canonical[name] for name in _LEVELS}
    places = [((1, 3), scene.canonical["gt"], f"truth, {times[1]}")]
    places.append(((0, 3), MOTION, "yellow: moves"))
    places.append(((2, 3), "", "orange: burnt out; blue: black"))
    for row, time in enumerate(times):
        for column, (level, ev) in enumerate(zip(_LEVELS, scene.evs, strict=True)):
            role = f"sample{row + 1}_{level}"
            note = "" if role in given else " (aux)"
            places.append(((row, column), role, f"{level}, EV {ev:+.3g}, {time}{note}"))
    return places


def _write(sheet: Picture, text: str, place: tuple[int, int]) -> None:
    cv2.putText(sheet, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)
