"""Box plots of all scenes' scores, one row a method, as SVG that follows the page's colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from dmef_bench.report.numbers import Writer

_LABELS, _PLOT, _RIGHT = 210, 640, 70
"""Widths in pixels: names, scores, and the count of infinite ones."""
_ROW, _TOP, _BOTTOM = 26, 24, 26
_BOX = 12
_LETTERS = 30
"""Longest name that fits beside the plot."""


@dataclass(frozen=True)
class Sample:
    """The scores of one method.

    Parameters
    ----------
    name : str
        Of the row.
    scores : tuple of (str, float)
        Scene id and score; infinite ones are counted, not drawn.
    bound : bool
        Drawn in a lighter style.
    """

    name: str
    scores: tuple[tuple[str, float], ...]
    bound: bool = False

    @property
    def finite(self) -> list[tuple[str, float]]:
        """Those that have a place on the axis."""
        return [(scene, value) for scene, value in self.scores if math.isfinite(value)]


def box_plot(title: str, samples: Sequence[Sample], write: Writer) -> str:
    """One SVG element: a box from quartile to quartile, the median, whiskers to the ends, dots.

    Parameters
    ----------
    title : str
        Of the metric.
    samples : sequence of Sample
        From the top down.
    write : callable
        How a score is written.
    """
    values = [value for sample in samples for _, value in sample.finite]
    ticks = _ticks(min(values), max(values)) if values else [0.0, 1.0]
    height = _TOP + _ROW * len(samples) + _BOTTOM
    width = _LABELS + _PLOT + _RIGHT
    place = _Axis(ticks[0], ticks[-1])
    rows = [_row(sample, _TOP + _ROW * i, place, write) for i, sample in enumerate(samples)]
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(title)}, scene by scene">\n'
        f'<text x="{_LABELS}" y="14">{escape(title)}</text>\n'
        f"{_grid(ticks, place, height)}\n" + "\n".join(rows) + "\n</svg>"
    )


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float

    def __call__(self, value: float) -> str:
        return f"{_LABELS + _PLOT * (value - self.low) / (self.high - self.low):.1f}"


def _ticks(low: float, high: float) -> list[float]:
    """Round figures, four to nine of them, from below the lowest value to above the highest."""
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / 5))
    step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= 6)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [step * index for index in range(first, max(last, first + 1) + 1)]


def _grid(ticks: Sequence[float], place: _Axis, height: int) -> str:
    bottom = height - _BOTTOM
    digits = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))
    return "\n".join(
        f'<line class="rule" x1="{place(tick)}" x2="{place(tick)}" y1="{_TOP - 4}" y2="{bottom}"/>'
        f'<text class="quiet" x="{place(tick)}" y="{bottom + 16}" text-anchor="middle">'
        f"{tick:.{digits}f}</text>"
        for tick in ticks
    )


def _row(sample: Sample, top: float, place: _Axis, write: Writer) -> str:
    middle = top + _ROW / 2
    shown = sample.name if len(sample.name) <= _LETTERS else f"{sample.name[: _LETTERS - 1]}…"
    parts = [
        f'<text x="{_LABELS - 10}" y="{middle + 4}" text-anchor="end">'
        f"<title>{escape(sample.name)}</title>{escape(shown)}</text>"
    ]
    finite = sample.finite
    if finite:
        parts.append(_box([value for _, value in finite], middle, place))
    parts += [
        f'<circle class="dot" cx="{place(value)}" cy="{middle}" r="3">'
        f"<title>{escape(scene)}: {write(value)}</title></circle>"
        for scene, value in finite
    ]
    if endless := len(sample.scores) - len(finite):
        parts.append(f'<text x="{_LABELS + _PLOT + 8}" y="{middle + 4}">{endless} × ∞</text>')
    return f'<g class="{"bound-row" if sample.bound else "row"}">{"".join(parts)}</g>'


def _box(values: Sequence[float], middle: float, place: _Axis) -> str:
    low, first, median, third, high = np.quantile(values, (0, 0.25, 0.5, 0.75, 1)).tolist()
    top, left, right = middle - _BOX / 2, place(first), place(third)
    return (
        f'<line class="whisker" x1="{place(low)}" x2="{place(high)}" y1="{middle}" y2="{middle}"/>'
        f'<rect class="box" x="{left}" y="{top}" width="{float(right) - float(left):.1f}" '
        f'height="{_BOX}"/>'
        f'<line class="middle" x1="{place(median)}" x2="{place(median)}" y1="{top}" '
        f'y2="{top + _BOX}"/>'
    )
