"""Plots: the same bytes for the same board, and hollow where a time is implausible."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from dmef_bench.errors import UsageError
from dmef_bench.leaderboard import leaderboard_frame, load_results
from dmef_bench.report.scatter import scatter_plots

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "leaderboards" / "4k-dmef" / "a96e16da6511"


@pytest.fixture(scope="module")
def frame():
    return leaderboard_frame(load_results([PUBLISHED]), resamples=100)


def test_two_plots_in_two_formats_repeat_to_the_last_byte(frame) -> None:
    plots = scatter_plots(frame)
    assert set(plots) == {"quality.svg", "quality.png", "speed.svg", "speed.png"}
    assert scatter_plots(frame) == plots
    for name, content in plots.items():
        for stamp in (b"dc:date", b"Matplotlib v", b"Matplotlib version"):
            assert stamp not in content, name


def test_an_implausible_time_is_hollow(frame) -> None:
    doubted = frame.copy()
    doubted.attrs = frame.attrs
    doubted.loc[doubted["method"] == "gdc", "flags"] = "implausible"
    plain, hollow = (scatter_plots(f)["speed.svg"].decode() for f in (frame, doubted))
    filled, empty = "fill: #1f5fa8", "fill: none; stroke: #1f5fa8"
    assert hollow.count(filled) == plain.count(filled) - 1 > 0
    assert hollow.count(empty) == plain.count(empty) + 1


def test_without_times_only_quality_is_plotted(frame) -> None:
    timeless = frame.assign(t_single_s=math.nan)
    timeless.attrs = frame.attrs
    assert set(scatter_plots(timeless)) == {"quality.svg", "quality.png"}


def test_a_name_is_never_taken_for_mathematics(frame) -> None:
    odd = frame.assign(method=[f"${name}_^{{" for name in frame["method"]])
    odd.attrs = frame.attrs
    assert len(scatter_plots(odd)) == 4


def test_there_must_be_something_to_plot(frame) -> None:
    nothing = frame.assign(ssim=math.nan)
    nothing.attrs = frame.attrs
    with pytest.raises(UsageError, match="nothing to plot"):
        scatter_plots(nothing)


def test_of_many_methods_the_best_are_named_and_all_are_drawn() -> None:
    first, *others = load_results([PUBLISHED])
    bounds = [result for result in (first, *others) if result.is_bound]
    method = next(result for result in (first, *others) if not result.is_bound)
    many = [replace(method, row=f"method-{number:02}") for number in range(40)]
    frame = leaderboard_frame([*bounds, *many], resamples=10)
    frame["rank"] = frame["rank"].where(frame["rank"].isna(), frame["rank"].notna().cumsum())
    svg = scatter_plots(frame)["quality.svg"].decode()
    assert len(set(re.findall(r"method-\d\d", svg))) == 12
    # Forty circles and the legend's three, as references to one path or another.
    assert len(re.findall(r"fill: #1f5fa8", svg)) >= 40


@pytest.fixture(scope="module")
def crowded():
    """The plots of a board with many rows, and the rows' names."""
    board = leaderboard_frame(load_results([PUBLISHED.parent / "f492c87eeb8f"]), resamples=10)
    return scatter_plots(board), set(board["method"])


def name_boxes(svg, names):
    """Left, right and baseline of the names in a plot."""
    boxes = []
    for style, across, up, name in re.findall(
        r'<text style="([^"]*)" x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]+)</text>', svg
    ):
        if name in names:
            # Of 8 points, a letter is 4 wide at least, and a line 8 high.
            wide, left = 4 * len(name), float(across)
            left -= wide * {"end": 1, "middle": 0.5}.get(style.rpartition("text-anchor: ")[2], 0)
            boxes.append((left, left + wide, float(up)))
    assert len(boxes) >= 7
    return boxes


@pytest.mark.parametrize("plot", ["quality.svg", "speed.svg"])
def test_no_name_is_written_over_another(crowded, plot) -> None:
    plots, names = crowded
    boxes = name_boxes(plots[plot].decode(), names)
    for (begin, end, up), (start, stop, line) in itertools.combinations(boxes, 2):
        assert begin >= stop or start >= end or abs(up - line) >= 8


@pytest.mark.parametrize("plot", ["quality.svg", "speed.svg"])
def test_no_name_is_written_over_a_point(crowded, plot) -> None:
    plots, names = crowded
    svg = plots[plot].decode()
    crosses = re.findall(
        r'<use [^>]*x="([\d.]+)" y="([\d.]+)" style="[^"]*stroke: #(?:1f5fa8|8a8a8a)', svg
    )
    # A circle begins at its lowest point, and its second curve ends at the rightmost.
    circles = re.findall(
        r'<path d="M ([\d.]+) [\d.]+ \nC [^\n]*\nC (?:[\d.]+ ){5}([\d.]+) \n[^"]*"'
        r' clip-path="[^"]*" style="fill: #1f5fa8',
        svg,
    )
    points = crosses + circles
    assert len(points) >= 7
    for begin, end, line in name_boxes(svg, names):
        for across, up in points:
            # What rises from the line of writing: seven points of eight.
            assert not (begin < float(across) < end and line - 7 < float(up) < line)
