"""Markdown tables keep their shape whatever a method is called."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from dmef_bench.leaderboard import leaderboard_frame, load_results, render

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "leaderboards" / "4k-dmef" / "a96e16da6511"
HOSTILE = "a|b *c* _d_ `e` <script>f</script> ~g~\nh"


@pytest.fixture(scope="module")
def text() -> str:
    first, *others = load_results([PUBLISHED])
    results = [replace(first, row=HOSTILE, reason=HOSTILE), *others]
    return render(leaderboard_frame(results, resamples=100), "md")


def test_every_line_of_the_table_has_as_many_cells(text) -> None:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 7
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1


def test_nothing_from_a_record_is_markup(text) -> None:
    assert r"a\|b \*c\* \_d\_ \`e\` \<script\>f\</script\> \~g\~ h" in text
    assert "<script>" not in text.replace("`a|b *c* _d_ 'e' <script>f</script> ~g~ h`", "")


def test_in_brief_there_are_figures_and_failures_alone() -> None:
    frame = leaderboard_frame(load_results([PUBLISHED]), resamples=100)
    brief = render(frame, "md", brief=True)
    assert "**41.34** |" in brief
    assert "bootstrap" not in brief
    assert max(map(len, brief.splitlines())) < 160
