"""A plan says what the build then does, and leaves no trace."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from click.testing import CliRunner

from dmef_bench.building.build import build_dataset, plan_build
from dmef_bench.building.plan import check_room
from dmef_bench.building.recipe import Recipe
from dmef_bench.cli import main
from dmef_bench.errors import UnavailableError

from .clips import photograph, write_clip


@pytest.fixture
def mixed(clips, tmp_path):
    """Two good videos, a text, and one too short."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for clip in clips[:2]:
        shutil.copy(clip, folder)
    (folder / "notes.mp4").write_text("milk, eggs")
    write_clip(folder / "three.mp4", [photograph()] * 3)
    return folder


def test_a_plan_touches_nothing(mixed, tmp_path) -> None:
    root = tmp_path / "deep" / "out"
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    plan = plan_build([mixed], root)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert (len(plan.videos), plan.scenes, len(plan.refused)) == (2, 2, 2)


def test_the_plan_refuses_what_the_build_refuses_for_the_same_reason(mixed, tmp_path) -> None:
    plan = plan_build([mixed], tmp_path / "out")
    report = build_dataset([mixed], tmp_path / "out")
    assert sorted(plan.refused.values()) == sorted(report.refused.values())
    assert plan.exit_code == report.exit_code == 4


def test_room_is_estimated_on_the_safe_side(mixed, tmp_path) -> None:
    plan = plan_build([mixed], tmp_path / "out")
    scenes = build_dataset([mixed], tmp_path / "out").scenes
    needed = sum(entry.bytes for scene in scenes for entry in scene.files)
    # Half as much again is no waste of anybody's time; too little is.
    assert needed <= 1.1 * plan.bytes <= 2 * needed


def test_what_is_built_needs_no_plan(mixed, tmp_path) -> None:
    build_dataset([mixed], tmp_path / "out")
    plan = plan_build([mixed], tmp_path / "out")
    assert len(plan.done) == 2
    assert plan.videos == ()
    assert plan.bytes == 0


def test_more_scenes_a_video_are_planned_as_far_as_they_fit(tmp_path) -> None:
    path = write_clip(tmp_path / "a.mp4", [photograph()] * 150)
    one = plan_build([path], tmp_path / "out", Recipe())
    many = plan_build([path], tmp_path / "out", Recipe(scenes_per_video=9))
    # Five seconds less the ends hold three sample 2 that lie two seconds apart.
    assert (one.scenes, many.scenes) == (1, 3)
    assert many.bytes == 3 * one.bytes


def test_a_build_that_cannot_fit_does_not_begin(mixed, tmp_path) -> None:
    plan = replace(plan_build([mixed], tmp_path / "out"), free=2_000_000)
    assert plan.exit_code == 3
    with pytest.raises(
        UnavailableError,
        match=r"^Needs \d+ MB, 2 MB free at .*out\. "
        r"Use --store triple \(\d+ MB\) or --format jxl \(\d+ MB\)\.$",
    ):
        check_room(plan, Recipe())
    with pytest.raises(UnavailableError, match="Make room"):
        check_room(plan, Recipe(store="triple", format="jxl"))


def test_the_command_line_shows_the_plan_as_text_and_as_json(mixed, tmp_path) -> None:
    words = ["build", str(mixed), "-o", str(tmp_path / "out"), "--dry-run"]
    shown = CliRunner().invoke(main, words)
    assert shown.exit_code == 4
    assert "2 videos to build, up to 2 scenes; 2 refused, 0 already built." in shown.output
    assert "refused: notes.mp4: not a video (no streams recognised). Skipped." in shown.output
    spoken = CliRunner().invoke(main, [*words, "--json"])
    record = json.loads(spoken.stdout)
    assert record["scenes"] == 2
    assert record["fits"] is True
    assert len(record["refused"]) == 2
    assert not (tmp_path / "out").exists()
