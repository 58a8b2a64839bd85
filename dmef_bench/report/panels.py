"""Panels of crops for a paper: what a method was given, what it made of it, and how far off."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dmef_bench.report.comparison import (
    GAIN,
    GROUND_TRUTH,
    Codes,
    Comparison,
    Window,
    heat,
)
from dmef_bench.report.figures import KINDS, drawing, figure_bytes

PANELS = ("compare", "ablation")
"""As in Figures 3 and 4 of the paper, and as in its Figure 5."""

_COLUMNS = 6
_CELL = 2.56
"""Inches; at 200 pixels an inch a window of 512 pixels is shown pixel by pixel."""
_DPI = 200
_GAP, _WORDS, _MARGIN, _FOOT = 0.08, 0.46, 0.12, 0.62
"""Inches: between cells, for the words above one, around all, and for the scale below."""
_LETTERS = 34
_FRAME = "#00b7ff"


@dataclass(frozen=True, eq=False)
class _Cell:
    """One picture of a panel, ``span`` columns wide, with up to two lines above it."""

    picture: Codes
    title: str = ""
    words: str = ""
    span: int = 1
    frame: Window | None = None


def panels(comparison: Comparison, kind: str = "compare") -> Iterator[tuple[str, bytes]]:
    """Draw each window of a scene.

    Parameters
    ----------
    comparison : Comparison
        The scene.
    kind : {"compare", "ablation"}
        ``compare``: the scene, the exposures, the truth; below them each method, the best first,
        and its error. ``ablation``: the truth and each method in the order of their names, with
        what it was told.

    Yields
    ------
    tuple of str and bytes
        File name, ``panel-SCENE-N.svg`` or ``.png``, and content. Words in the SVG are text.
    """
    name = re.sub(r"[^\w.-]+", "_", comparison.scene_id, flags=re.ASCII).strip(".") or "scene"
    for number, window in enumerate(comparison.windows, start=1):
        lines = (
            _ablation(comparison, window) if kind == "ablation" else _compare(comparison, window)
        )
        with drawing():
            figure = _draw(lines, window)
            _foot(figure, f"{comparison.scene_id}, {window}: {window.why}")
            for ending in KINDS:
                yield f"panel-{name}-{number}.{ending}", figure_bytes(figure, ending, dpi=_DPI)


def _compare(comparison: Comparison, window: Window) -> list[list[_Cell]]:
    pictures = comparison.pictures
    given = [name for name in pictures if name not in (GROUND_TRUTH, *comparison.methods)]
    whole = _Cell(pictures[GROUND_TRUTH], "the scene", span=2, frame=window)
    crops = [_Cell(window.of(pictures[name]), name) for name in [*given, GROUND_TRUTH]]
    lines = _folded([whole, *crops])
    cells = [
        _Cell(window.of(pictures[name]), name, comparison.scores.get(name, ""))
        for name in comparison.methods
    ]
    return lines + _with_errors(cells, window.of(pictures[GROUND_TRUTH]))


def _ablation(comparison: Comparison, window: Window) -> list[list[_Cell]]:
    truth = window.of(comparison.pictures[GROUND_TRUTH])
    cells = [
        _Cell(
            window.of(comparison.pictures[name]),
            " ".join(filter(None, [f"{name}:", comparison.options.get(name, "")])).rstrip(":"),
            comparison.scores.get(name, ""),
        )
        for name in sorted(comparison.methods)
    ]
    return _with_errors([_Cell(truth, GROUND_TRUTH), *cells], truth)


def _folded(cells: Sequence[_Cell]) -> list[list[_Cell]]:
    """Lines of at most so many columns."""
    lines: list[list[_Cell]] = [[]]
    for cell in cells:
        if sum(other.span for other in lines[-1]) + cell.span > _COLUMNS:
            lines.append([])
        lines[-1].append(cell)
    return lines


def _with_errors(cells: Sequence[_Cell], truth: Codes) -> list[list[_Cell]]:
    """Each line of crops, and below it the line of their errors."""
    lines = []
    for line in _folded(cells):
        lines += [line, [_Cell(heat(cell.picture, truth)) for cell in line]]
    return lines


def _draw(lines: Sequence[Sequence[_Cell]], window: Window) -> Figure:
    tall = _CELL * window.height / window.width
    columns = max(sum(cell.span for cell in line) for line in lines)
    width = 2 * _MARGIN + columns * (_CELL + _GAP) - _GAP
    heights = [tall + (_WORDS if any(cell.title for cell in line) else _GAP) for line in lines]
    height = 2 * _MARGIN + sum(heights) + _FOOT
    figure = Figure(figsize=(width, height))
    below = height - _MARGIN
    for line, own in zip(lines, heights, strict=True):
        below -= own
        left = _MARGIN
        for cell in line:
            across = cell.span * (_CELL + _GAP) - _GAP
            place = (left / width, below / height, across / width, tall / height)
            _show(figure.add_axes(place), cell)
            left += across + _GAP
    return figure


def _show(axes: Axes, cell: _Cell) -> None:
    axes.set_axis_off()
    axes.imshow(cell.picture, interpolation="none", aspect="equal")
    axes.set_anchor("SW")
    for text, points, up in ((cell.title, 11, 16 if cell.words else 4), (cell.words, 9, 4)):
        axes.annotate(
            _short(text), (0, 1), xytext=(0, up), fontsize=points, parse_math=False,
            xycoords="axes fraction", textcoords="offset points",
        )  # fmt: skip
    if cell.frame:
        corner, size = (cell.frame.left, cell.frame.top), (cell.frame.width, cell.frame.height)
        axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=_FRAME, linewidth=2))


def _short(text: str) -> str:
    return text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1]}…"


def _foot(figure: Figure, caption: str) -> None:
    """The scale of the errors, and what is seen."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes((_MARGIN / width, 0.36 / height, 2 * _CELL / width, 0.12 / height))
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2) // GAIN
    axes.imshow(heat(ramp, np.zeros_like(ramp)), aspect="auto", interpolation="none")
    axes.set_yticks([])
    ticks = range(0, 256, 64)
    axes.set_xticks([*ticks, 255], [*(str(tick // GAIN) for tick in ticks), f"≥ {256 // GAIN}"])
    axes.grid(visible=False)
    axes.tick_params(labelsize=8, length=2)
    words = (
        "Error: the largest of the three channels, in 8-bit codes. Scores are of the whole picture."
    )
    left = (3 * _MARGIN + 2 * _CELL) / width
    figure.text(left, 0.36 / height, words, fontsize=9, parse_math=False)
    figure.text(left, 0.14 / height, caption, fontsize=9, parse_math=False, color="#555555")
