"""A data set is made again from its manifest and its videos, to the bit, or not at all."""

from __future__ import annotations

import json
import shutil

import pytest
from click.testing import CliRunner

from dmef_bench.building.again import rebuild_dataset
from dmef_bench.building.build import build_dataset
from dmef_bench.building.recipe import Recipe
from dmef_bench.building.split import SplitRule
from dmef_bench.building.verify import verify_dataset
from dmef_bench.cli import main
from dmef_bench.errors import ManifestError, UnavailableError
from dmef_bench.manifest import Manifest

from .test_build import contents

MANY_CHOICES = Recipe.from_preset(
    "adaptive", noise="1e-4,1e-3", crf_jitter=True, seed=5, store="triple", pick="uniform",
    split=SplitRule(1, 1),
)  # fmt: skip


def edit(root, change):
    """Change every line of a manifest."""
    path = root / "manifest.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        change(line)
    path.write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in lines))


def test_the_data_set_comes_out_the_same_whatever_the_videos_are_called(
    built, clips, tmp_path
) -> None:
    folder = tmp_path / "renamed"
    folder.mkdir()
    for number, clip in enumerate(clips):
        shutil.copy(clip, folder / f"{number}.mp4")
    report = rebuild_dataset(built / "manifest.jsonl", [folder], tmp_path / "again")
    assert report.exit_code == 0
    assert contents(tmp_path / "again") == contents(built)
    assert (tmp_path / "again" / "dataset.json").read_text() == (built / "dataset.json").read_text()
    assert verify_dataset(tmp_path / "again").ok


def test_solved_stops_drawn_cameras_and_noise_are_repeated(clips, tmp_path) -> None:
    first = build_dataset(clips[:2], tmp_path / "first", MANY_CHOICES)
    assert len({scene.evs for scene in first.scenes}) == 2
    assert len({json.dumps(scene.exposure["parameters"]) for scene in first.scenes}) == 2
    rebuild_dataset(tmp_path / "first" / "manifest.jsonl", clips[:2], tmp_path / "again")
    assert contents(tmp_path / "again") == contents(tmp_path / "first")


def test_what_is_recorded_counts_not_what_would_be_drawn_today(clips, tmp_path) -> None:
    build_dataset(clips[:1], tmp_path / "first", MANY_CHOICES)
    before = Manifest.load(tmp_path / "first").scenes[0]

    def elsewhere(line):
        line["exposure"]["seed"] += 1

    edit(tmp_path / "first", elsewhere)
    report = rebuild_dataset(tmp_path / "first" / "manifest.jsonl", clips[:1], tmp_path / "again")
    # Other noise than the recorded pictures carry: found out, and nothing is stored.
    assert report.exit_code == 3
    assert before.scene in next(iter(report.refused.values()))
    assert "other pixels than the manifest states" in next(iter(report.refused.values()))


def test_a_scene_that_differs_is_listed_and_the_others_are_made(built, clips, tmp_path) -> None:
    shutil.copytree(built, tmp_path / "stated")
    worst = Manifest.load(built).scenes[0].scene

    def one_wrong(line):
        if line["scene"] == worst:
            line["files"][0]["pixels"] = "0" * 64

    edit(tmp_path / "stated", one_wrong)
    report = rebuild_dataset(tmp_path / "stated" / "manifest.jsonl", clips, tmp_path / "again")
    assert report.exit_code == 4
    assert len(report.scenes) == 3
    assert [worst in reason for reason in report.refused.values()] == [True]
    assert not list((tmp_path / "again").rglob(f"*{worst}*"))
    assert verify_dataset(tmp_path / "again").ok


def test_missing_videos_are_named_with_the_scenes_they_would_give(built, clips, tmp_path) -> None:
    report = rebuild_dataset(built / "manifest.jsonl", clips[:3], tmp_path / "again")
    assert report.exit_code == 4
    (reason,) = report.refused.values()
    assert reason.startswith(f"{clips[3].name}: no video given has its SHA-256")
    # The last one may come later.
    assert rebuild_dataset(built / "manifest.jsonl", clips, tmp_path / "again").exit_code == 0
    assert contents(tmp_path / "again") == contents(built)
    shutil.rmtree(tmp_path / "again" / ".dmef")
    rebuild_dataset(built / "manifest.jsonl", clips, tmp_path / "again")
    assert contents(tmp_path / "again") == contents(built)


def test_a_manifest_whose_recipe_was_changed_is_refused(built, clips, tmp_path) -> None:
    shutil.copytree(built, tmp_path / "stated")
    path = tmp_path / "stated" / "dataset.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(ManifestError, match="recipe"):
        rebuild_dataset(tmp_path / "stated", clips, tmp_path / "again")


def test_a_folder_of_another_recipe_is_left_alone(built, clips, tmp_path) -> None:
    build_dataset(clips[:1], tmp_path / "other", Recipe(store="triple", pick="uniform"))
    with pytest.raises(UnavailableError, match="--rebuild"):
        rebuild_dataset(built / "manifest.jsonl", clips, tmp_path / "other")


def test_options_that_would_contradict_the_manifest_are_refused(built, clips, tmp_path) -> None:
    words = ["build", *map(str, clips), "-o", str(tmp_path / "again")]
    words += ["--from-manifest", str(built / "manifest.jsonl"), "--ev", "-2,1,4"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert "leave out --ev" in result.output
    assert not (tmp_path / "again").exists()
