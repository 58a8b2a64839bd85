"""The demo, small: everything from clips to a page, and a second call that only looks."""

from __future__ import annotations

import pytest

from dmef_bench.demo.run import METHODS, run_demo


@pytest.mark.slow
def test_the_demo_ends_with_a_page_and_finds_its_work_done(tmp_path) -> None:
    told = run_demo(tmp_path, jobs=1, size=(432, 768))
    (page,) = tmp_path.glob("leaderboards/*/board.html")
    text = page.read_text(encoding="utf-8")
    for name in (*METHODS, "reference", "tone-curve"):
        assert name in text
    assert "data:image/jpeg" in text
    assert any(str(page) in line for line in told)
    assert (tmp_path / "contact-sheet.png").stat().st_size > 10_000
    records = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.jsonl")}
    assert run_demo(tmp_path, jobs=1, size=(432, 768))
    assert {path: path.stat().st_mtime_ns for path in records} == records
