"""Two plots of a board: score against score with time as area, and time against score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from dmef_bench.errors import UsageError
from dmef_bench.report.columns import metric_title
from dmef_bench.report.figures import KINDS, drawing, figure_bytes

VIDEO_S = 1 / 40
"""The time of one frame at 40 a second, which real-time fusion would have to keep."""

_INK, _BOUND = "#1f5fa8", "#8a8a8a"
_FACE, _HOLLOW = "#1f5fa88c", "#ffffff00"
_LARGEST = 600.0
"""Area of the slowest method's circle, in square points."""
_DOT = 60.0
"""Area of a mark that says nothing by its size."""
_NAMED = 12
"""Ranks whose names are written; more of them hide the plot, and the table has them all."""
_DEEP, _HIGH = 2.0, 6.5
"""Points that letters reach below the line they stand on, and above it."""
_SHIFT, _FARTHEST = 4, 120
"""Points that a name is shifted up or down and still stands beside its point; and at all."""
_FAR = 10.0
"""Points above or below its usual place from which a name is tied to its point by a thread."""
_LIFT = 4.0
"""Points from the height of a point to the line its name stands on, where there is room."""
_KERNEL = 5.0
"""Points around the middle of a circle, however large, that no name covers."""
_LETTER = 5.0
"""Points that a letter of a name is wide, about."""
_Box = tuple[float, float, float, float]
"""Left, right, lower and upper edge in points."""
_CLOCKS = {
    "t_core_s": "t_core, seconds",
    "t_e2e_s": "t_e2e, seconds",
    "t_single_s": "one call a scene, seconds",
}


def scatter_plots(frame: pd.DataFrame) -> dict[str, bytes]:
    """Draw the plots.

    Parameters
    ----------
    frame : DataFrame
        From `leaderboard_frame`.

    Returns
    -------
    dict of str to bytes
        ``quality.svg``, ``quality.png``: SSIM against PSNR, circles by time, as Figure 1 of the
        paper. ``speed.svg``, ``speed.png``: time, logarithmic, against PSNR, with the line of 40
        frames a second; only where times are on record. Bounds are lines, implausible times
        hollow, the best twelve methods named. The same board gives the same bytes.

    Raises
    ------
    UsageError
        Fewer than two metrics, or no method with a finite score.
    """
    across, up = _axes(frame)
    time = next((clock for clock in _CLOCKS if len(_shown(frame, across, clock))), "")
    with drawing():
        plots = {"quality": _quality(frame, across, up, time)}
        if time:
            plots["speed"] = _speed(frame, across, time)
        return {
            f"{name}.{kind}": figure_bytes(figure, kind)
            for name, figure in plots.items()
            for kind in KINDS
        }


def _axes(frame: pd.DataFrame) -> tuple[str, str]:
    metrics = list(frame.attrs["conventions"])
    if len(metrics) < 2:
        raise UsageError(f"A scatter plot needs two metrics; the board has {', '.join(metrics)}.")
    across = frame.attrs["sort"]
    up = "ssim" if "ssim" in metrics and across != "ssim" else ""
    up = up or next(name for name in metrics if name != across)
    if not len(_shown(frame, across, up)):
        raise UsageError(f"No method has a finite {across} and {up}; there is nothing to plot.")
    return across, up


def _shown(frame: pd.DataFrame, *names: str, bounds: bool = False) -> pd.DataFrame:
    """Ranked methods, or complete bounds, that have a finite figure in each of the columns."""
    finite = np.isfinite(frame[list(names)].astype(float)).all(axis=1)
    bound = frame["kind"].eq("bound") & frame["status"].eq("ok")
    return frame[finite & (bound if bounds else frame["rank"].notna())]


def _quality(frame: pd.DataFrame, across: str, up: str, time: str) -> Figure:
    figure, axes = _figure()
    shown = _shown(frame, across, up)
    seconds = shown[time] if time else pd.Series(math.nan, index=shown.index)
    shown = shown.assign(area=seconds.map(lambda own: _area(own, seconds.max())))
    _circles(axes, shown[seconds.notna()], across, up)
    # Whatever has no time has no area either.
    timeless = shown[seconds.isna()]
    axes.scatter(timeless[across], timeless[up], marker="+", color=_INK)
    bounds = _shown(frame, across, up, bounds=True)
    axes.scatter(bounds[across], bounds[up], marker="x", color=_BOUND)
    axes.margins(0.12)
    axes.set_xlabel(metric_title(across))
    axes.set_ylabel(metric_title(up))
    if time:
        _area_legend(figure, axes, float(seconds.max()), time, untimed=len(timeless) > 0)
    _name_points(axes, pd.concat([shown, bounds.assign(area=_DOT)]), across, up)
    return figure


def _speed(frame: pd.DataFrame, across: str, time: str) -> Figure:
    figure, axes = _figure()
    shown = _shown(frame, across, time)
    shown = shown.assign(area=_DOT)
    _circles(axes, shown, time, across)
    axes.set_xscale("log")
    axes.margins(0.12)
    decades = math.log10(shown[time].max() / min(shown[time].min(), VIDEO_S))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 3 else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{seconds:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.axvline(VIDEO_S, color="#b03030", linewidth=1, linestyle="--")
    axes.annotate(
        "40 frames/s", (VIDEO_S, 0.01), xycoords=("data", "axes fraction"), rotation=90,
        xytext=(-9, 0), textcoords="offset points", color="#b03030", fontsize=8,
    )  # fmt: skip
    for row in _shown(frame, across, bounds=True).to_dict("records"):
        axes.axhline(row[across], color=_BOUND, linewidth=1, linestyle=":")
        axes.annotate(
            row["method"], (1, row[across]), xycoords=("axes fraction", "data"), color=_BOUND,
            xytext=(-2, 2), textcoords="offset points", ha="right", fontsize=8, parse_math=False,
        )  # fmt: skip
    axes.set_xlabel(_CLOCKS[time])
    axes.set_ylabel(metric_title(across))
    _name_points(axes, shown, time, across)
    return figure


def _figure() -> tuple[Figure, Axes]:
    # Without pyplot: no window, no state that one plot could leave for the next.
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    return figure, figure.subplots()


def _area(seconds: float, slowest: float) -> float:
    """Proportional to time; the very fast are still a dot that can be seen."""
    return max(_DOT / 3, _LARGEST * seconds / slowest) if seconds <= slowest else _DOT


def _circles(axes: Axes, rows: pd.DataFrame, x: str, y: str) -> None:
    faces = [_HOLLOW if "implausible" in flags else _FACE for flags in rows["flags"]]
    axes.scatter(rows[x], rows[y], s=rows["area"], c=faces, edgecolors=_INK, zorder=3)


def _name_points(axes: Axes, rows: pd.DataFrame, x: str, y: str) -> None:
    """Write names beside their points of some ``area``, none over a name or another's point.

    To be called last: whatever else is drawn decides where the points lie.
    """
    cast(Figure, axes.figure).draw_without_rendering()
    rows = rows.assign(place=list(axes.transData.transform(rows[[x, y]]) * 72 / axes.figure.dpi))
    marks = {
        row["method"]: (*row["place"], min(math.sqrt(row["area"] / math.pi), _KERNEL))
        for row in rows.to_dict("records")
    }
    named = rows[rows["rank"].fillna(0) <= _NAMED]
    waiting = named.sort_values([y, "method"], ascending=[False, True]).to_dict("records")
    taken: list[_Box] = []
    # First those that have room beside their points: who has none must not take it from them.
    for reach in (_SHIFT, _FARTHEST):
        for row in tuple(waiting):
            others = [_around(*mark) for name, mark in marks.items() if name != row["method"]]
            found = _free_place(axes, row, [*taken, *others], reach)
            if found is not None:
                taken.append(_name_box(row, *found))
                _write_name(axes, row, (row[x], row[y]), *found)
                waiting.remove(row)


def _write_name(
    axes: Axes, row: Mapping[str, Any], point: tuple[float, float], side: int, lift: float
) -> None:
    # A thread to the point, where the name had to go elsewhere.
    thread = {"arrowstyle": "-", "color": _BOUND, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 0}
    axes.annotate(
        row["method"], point, xytext=(side * _away(row), lift), textcoords="offset points",
        ha={-1: "right", 0: "center", 1: "left"}[side], fontsize=8, zorder=4, parse_math=False,
        color=_BOUND if row["kind"] == "bound" else "black",
        arrowprops=thread if abs(lift - _LIFT) >= _FAR else None,
    ).set_in_layout(False)  # fmt: skip


def _free_place(
    axes: Axes, row: Mapping[str, Any], taken: Sequence[_Box], reach: int
) -> tuple[int, float] | None:
    """Where a name goes: right of its point (1), left (-1), over or under it (0); how far above."""
    begin, bottom, end, top = (edge * 72 / axes.figure.dpi for edge in axes.bbox.extents)
    for step in sorted(range(-reach, reach + 1, 2), key=lambda step: (abs(step), step)):
        for side in (1, -1, 0) if abs(step) > _away(row) + _HIGH else (1, -1):
            left, right, low, high = box = _name_box(row, side, _LIFT + step)
            inside = left >= begin and right <= end and low >= bottom and high <= top
            if inside and not any(_meet(box, other) for other in taken):
                return side, _LIFT + step
    return None


def _name_box(row: Mapping[str, Any], side: int, lift: float) -> _Box:
    across, up = row["place"]
    long = _LETTER * len(row["method"])
    left = across + side * _away(row) - long * (1 - side) / 2
    return left, left + long, up + lift - _DEEP, up + lift + _HIGH


def _around(across: float, up: float, radius: float) -> _Box:
    return across - radius, across + radius, up - radius, up + radius


def _meet(one: _Box, other: _Box) -> bool:
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]


def _away(row: Mapping[str, Any]) -> float:
    """Points from a mark's middle to its name."""
    return 4 + math.sqrt(row["area"] / math.pi)


def _area_legend(figure: Figure, axes: Axes, slowest: float, time: str, *, untimed: bool) -> None:
    handles = [
        axes.scatter([], [], s=_area(seconds, slowest), c=_FACE, edgecolors=_INK)
        for seconds in (slowest, slowest / 3, slowest / 10)
    ]
    labels = [f"{slowest / part:.3g} s" for part in (1, 3, 10)]
    if untimed:
        handles.append(axes.scatter([], [], marker="+", color=_INK))
        labels.append("not timed")
    # Beside the plot: within it there is no corner that is always free.
    figure.legend(
        handles, labels, title=_CLOCKS[time].replace(", ", ",\n"), loc="outside right lower",
        labelspacing=1.6, borderpad=1.2, frameon=False, alignment="left",
    )  # fmt: skip
