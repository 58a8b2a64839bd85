"""Box plots put figures where they belong."""

from __future__ import annotations

import math
import re

import pytest

from dmef_bench.report.box_plot import Sample, box_plot
from dmef_bench.report.numbers import decimals


def numbers(svg: str, pattern: str) -> list[float]:
    return [float(found) for found in re.findall(pattern, svg)]


def test_box_median_and_whiskers_are_the_quartiles() -> None:
    scores = tuple((f"s{n}", float(n)) for n in range(101))
    svg = box_plot("PSNR", [Sample("a", scores)], decimals(2))
    # The axis runs from 0 at 210 px to 100 at 850 px.
    assert numbers(svg, r'class="box" x="([\d.]+)"') == [210 + 0.25 * 640]
    assert numbers(svg, r'class="box" [^>]*width="([\d.]+)"') == [0.5 * 640]
    assert numbers(svg, r'class="middle" x1="([\d.]+)"') == [210 + 0.5 * 640]
    assert re.search(r'class="whisker" x1="210.0" x2="850.0"', svg)


@pytest.mark.parametrize("values", [[3.0], [3.0, 3.0], [0.0], [1e-9, 2e-9], [-4.0, 1e6]])
def test_every_score_lies_within_the_plot(values) -> None:
    scores = tuple((str(n), value) for n, value in enumerate(values))
    places = numbers(box_plot("m", [Sample("a", scores)], decimals(2)), r'cx="([\d.]+)"')
    assert len(places) == len(values)
    assert all(210 <= place <= 850 for place in places)


def test_infinite_scores_are_counted_and_rows_without_scores_are_there() -> None:
    samples = [Sample("a", (("x", math.inf), ("y", 3.0))), Sample("b", ())]
    svg = box_plot("m", samples, decimals(2))
    assert "1 × ∞" in svg
    assert svg.count("<circle") == 1
    assert "<title>b</title>" in svg
    assert box_plot("m", [Sample("b", ())], decimals(2)).count("<circle") == 0
