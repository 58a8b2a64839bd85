"""The page: one file, nothing fetched, nothing run but our script, whatever a scene is called."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dmef_bench.leaderboard import leaderboard_frame, load_results, render, scenes_frame
from dmef_bench.results import Status

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "leaderboards" / "4k-dmef" / "a96e16da6511"
HOSTILE = "<script>alert(1)</script>\"'&"
VOID = {"meta", "br", "img", "input"}


class Page(HTMLParser):
    """Reads a page and refuses one whose tags do not close in turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes another"

    def handle_data(self, data) -> None:
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


@pytest.fixture(scope="module")
def text() -> str:
    first, second, *others = load_results([PUBLISHED])
    renamed = (replace(first.scenes[0], scene_id=HOSTILE), *first.scenes[1:])
    error = {"kind": "error", "type": "ValueError", "message": HOSTILE}
    failed = (replace(second.scenes[0], status=Status.ERROR, scores={}, error=error),)
    results = [
        replace(first, row=HOSTILE, scenes=renamed, environment={"cpu": HOSTILE}),
        replace(second, scenes=failed + second.scenes[1:], status=Status.ERROR),
        *others,
    ]
    frame = leaderboard_frame(results, resamples=100)
    return render(frame, "html", scenes=scenes_frame(results), title=HOSTILE)


def test_tags_close_in_turn_and_the_only_script_is_ours(text) -> None:
    page = Page(text)
    assert page.count("script") == 1
    assert "alert(1)" not in "".join(page.texts["script"])
    assert HOSTILE in "".join(page.texts["h1"])


def test_the_page_fetches_nothing(text) -> None:
    page = Page(text)
    for tag, attributes in page.tags:
        assert tag not in {"link", "iframe", "object", "a"}
        for name, value in attributes.items():
            assert name not in {"src", "href", "srcset", "action"} or str(value).startswith("data:")
            assert not name.startswith("on"), "handlers are for our script to attach"
    assert "http" not in text.replace("http-equiv", "")
    assert "@import" not in text
    assert "url(" not in text


def test_its_policy_knows_our_script_and_style_and_no_other(text) -> None:
    policy = next(a["content"] for t, a in Page(text).tags if "Content" in a.get("http-equiv", ""))
    assert policy.startswith("default-src 'none'")
    for tag in ("style", "script"):
        content = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert not any("style" in attributes for _, attributes in Page(text).tags)


def test_there_is_a_plot_a_metric_and_a_dot_a_score(text) -> None:
    page = Page(text)
    assert page.count("svg") == 3
    # Seven rows of fourteen scenes, one of them failed; the oracle's infinite PSNR has no dot.
    assert page.count("circle") == 3 * (7 * 14 - 1) - 14
    assert "14 × ∞" in text


def test_failures_stand_with_their_reason(text) -> None:
    section = text[text.index("What went wrong") : text.index("Scene by scene")]
    assert "ValueError: &lt;script&gt;alert(1)" in section
    assert "error" in section


def test_cells_carry_what_they_are_sorted_by(text) -> None:
    values = [attributes.get("data-value") for tag, attributes in Page(text).tags if tag == "td"]
    assert "Infinity" in values
    assert "41.33719000368797" in values


def test_a_board_without_scenes_is_a_page_too() -> None:
    frame = leaderboard_frame(load_results([PUBLISHED]), resamples=100)
    page = Page(render(frame, "html"))
    assert page.count("svg") == 0
    assert page.count("table") == 1
