"""A build ends in the same files whatever happened on the way, and says what it refused."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner

from dmef_bench.building.build import build_dataset
from dmef_bench.building.lock import build_lock
from dmef_bench.building.recipe import Recipe
from dmef_bench.building.sources import find_videos
from dmef_bench.building.split import SplitRule
from dmef_bench.building.verify import verify_dataset
from dmef_bench.building.video import VideoReader
from dmef_bench.cli import main
from dmef_bench.errors import UnavailableError, UsageError
from dmef_bench.exposure.camera_response import Sigmoid
from dmef_bench.exposure.synthesis import expose
from dmef_bench.imagefile import read_image
from dmef_bench.manifest import Manifest

from .recipes import FAST

NAMED = {"dataset.json", "manifest-sha256.txt", "README.md", "DATASHEET.md", "croissant.json"}


def contents(root: Path) -> dict[str, bytes]:
    """Every file of a data set but for the moment and the name it was given."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".dmef" not in path.parts and path.name not in NAMED
    }


def test_what_is_built_is_proven(built) -> None:
    assert verify_dataset(built).problems == ()


def test_the_truth_is_the_videos_own_frame(built, clips) -> None:
    by_name = {clip.name: clip for clip in clips}
    for scene in Manifest.load(built).scenes:
        with VideoReader(by_name[scene.source["name"]]) as reader:
            frames = list(reader.frames([sample["index"] for sample in scene.samples]))
        assert np.array_equal(read_image(built / scene.canonical_file("gt").path), frames[1])


def test_every_exposure_is_the_response_applied_to_its_own_sample(built, clips) -> None:
    by_name = {clip.name: clip for clip in clips}
    scene = Manifest.load(built).scenes[0]
    with VideoReader(by_name[scene.source["name"]]) as reader:
        frames = list(reader.frames([sample["index"] for sample in scene.samples]))
    evs = dict(zip(("low", "medium", "high"), (-1.0, 1.0, 3.0), strict=True))
    exposures = [entry for entry in scene.files if entry.level]
    assert len(exposures) == 9
    for entry in exposures:
        expected = expose(frames[entry.sample - 1], evs[entry.level], Sigmoid())
        assert np.array_equal(read_image(built / entry.path), expected), entry.role


def test_only_the_moving_triple_is_input(built) -> None:
    for scene in Manifest.load(built).scenes:
        inputs = {entry.role for entry in scene.files if entry.use == "input"}
        assert inputs == {"sample1_low", "sample2_medium", "sample3_high"}
        assert len(scene.aux) == 6
        times = scene.frame_times
        # 66 to 330 ms between neighbours, as bracketing phones take them.
        assert all(0.066 <= b - a <= 0.330 for a, b in pairwise(times))


def test_a_second_run_does_no_work_and_changes_nothing(dataset, clips, recipe) -> None:
    before = contents(dataset)
    stamps = {path: path.stat().st_mtime_ns for path in dataset.rglob("*.png")}
    report = build_dataset(clips, dataset, recipe)
    assert len(report.scenes) == 4
    assert contents(dataset) == before
    assert {path: path.stat().st_mtime_ns for path in dataset.rglob("*.png")} == stamps


def test_the_scratch_folder_may_be_removed_once_all_is_built(dataset, clips, recipe) -> None:
    before = contents(dataset)
    shutil.rmtree(dataset / ".dmef")
    build_dataset(clips, dataset, recipe)
    assert contents(dataset) == before
    assert verify_dataset(dataset).ok


@pytest.mark.slow
def test_processes_and_order_change_no_byte(built, clips, recipe, tmp_path) -> None:
    build_dataset(reversed(clips), tmp_path / "two", recipe, jobs=2, name="dataset")
    assert contents(tmp_path / "two") == contents(built)


def test_videos_may_come_one_by_one(quick, clips, tmp_path) -> None:
    root = tmp_path / "dataset"
    seen: dict[str, str] = {}
    for clip in clips:
        for scene in build_dataset([clip], root, FAST).scenes:
            # Once decided, a scene never changes its side.
            assert seen.setdefault(scene.scene, scene.split) == scene.split
    assert verify_dataset(root).ok
    pixels = [{entry.pixels for entry in scene.files} for scene in Manifest.load(root).scenes]
    whole = [{entry.pixels for entry in scene.files} for scene in Manifest.load(quick).scenes]
    assert pixels == whole


def test_a_killed_build_goes_on_and_ends_in_the_same_bytes(quick, clips, tmp_path) -> None:
    root = tmp_path / "dataset"
    command = [sys.executable, "-m", "dmef_bench.cli", "build", *map(str, clips), "-o", str(root)]
    command += ["--split", "2/2", "--pick", "uniform", "--store", "triple"]
    child = subprocess.Popen(command)
    deadline = time.monotonic() + 60
    while not list(root.glob(".dmef/records/*.json")):
        assert time.monotonic() < deadline
        assert child.poll() is None
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not (root / "manifest.jsonl").exists()
    assert subprocess.run(command, check=False).returncode == 0
    assert contents(root) == contents(quick)
    assert verify_dataset(root).ok
    assert not list((root / ".dmef" / "staging").iterdir())


def test_another_recipe_needs_another_folder_or_rebuild(dataset, clips, recipe) -> None:
    other = Recipe(preset=None, ev=(-2.0, 1.0, 4.0), split=recipe.split)
    with pytest.raises(
        UnavailableError, match=r"a dataset with EV -1,1,3, .*; you asked EV -2,1,4"
    ):
        build_dataset(clips, dataset, other)
    assert verify_dataset(dataset).ok
    report = build_dataset(clips[:1], dataset, other, rebuild=True)
    assert [scene.evs for scene in report.scenes] == [(-2.0, 1.0, 4.0)]
    assert verify_dataset(dataset).ok


def test_rebuilding_leaves_strange_files_alone(dataset, clips, recipe) -> None:
    (dataset / "thesis.txt").write_text("mine")
    build_dataset(clips[:1], dataset, recipe, rebuild=True)
    assert (dataset / "thesis.txt").read_text() == "mine"


def test_a_second_builder_is_refused_while_the_first_lives(dataset, clips, recipe) -> None:
    with (
        build_lock(dataset / ".dmef"),
        pytest.raises(UnavailableError, match=rf"process {os.getpid()} on host"),
    ):
        build_dataset(clips, dataset, recipe)


def test_a_lock_of_a_dead_process_is_no_lock(dataset, clips, recipe) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with build_lock(dataset / ".dmef"):
        held = (dataset / ".dmef" / "lock").read_text()
    (dataset / ".dmef" / "lock").write_text(held.replace(str(os.getpid()), str(dead.pid)))
    assert len(build_dataset(clips, dataset, recipe).scenes) == 4


def test_the_same_bytes_twice_are_one_video(clips, tmp_path) -> None:
    shutil.copy(clips[0], tmp_path / "again.mp4")
    report = build_dataset([clips[0], tmp_path / "again.mp4"], tmp_path / "out", FAST)
    assert len(report.scenes) == 1
    assert "same bytes" in report.notes[0]


def test_two_videos_of_one_name_are_two_scenes(clips, tmp_path) -> None:
    for number, clip in enumerate(clips[:2]):
        (tmp_path / str(number)).mkdir()
        shutil.copy(clip, tmp_path / str(number) / "Ünter den Linden.mp4")
    report = build_dataset([tmp_path / "0", tmp_path / "1"], tmp_path / "out", FAST)
    assert len({scene.scene for scene in report.scenes}) == 2
    assert all(scene.scene.startswith("unter-den-linden-") for scene in report.scenes)
    assert verify_dataset(tmp_path / "out").ok


def test_the_triple_alone_is_stored_on_request(clips, tmp_path, recipe) -> None:
    report = build_dataset(clips[:1], tmp_path / "out", Recipe(store="triple", split=recipe.split))
    assert {entry.role for entry in report.scenes[0].files} == {
        "gt", "sample1_low", "sample2_medium", "sample3_high",
    }  # fmt: skip
    assert verify_dataset(tmp_path / "out").ok


def test_noise_is_drawn_from_the_seed_and_never_touches_the_truth(clips, tmp_path) -> None:
    def build(name: str, seed: int) -> dict[str, str]:
        recipe = Recipe.from_preset("noisy-reference", seed=seed, store="triple", pick="uniform")
        (scene,) = build_dataset(clips[:1], tmp_path / name, recipe).scenes
        return {entry.role: entry.pixels for entry in scene.files}

    one, again, other = build("one", 0), build("again", 0), build("other", 1)
    assert one == again
    assert {role for role in one if one[role] != other[role]} == set(one) - {"gt"}


def test_bad_videos_are_refused_by_name_and_the_good_one_is_built(clips, tmp_path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    shutil.copy(clips[0], folder / "good.mp4")
    (folder / "notes.mp4").write_text("milk, eggs")
    (folder / "empty.mp4").write_bytes(b"")
    whole = clips[1].read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: int(len(whole) * 0.6)])
    write_three_frames(folder / "three.mp4")
    result = CliRunner().invoke(main, ["build", str(folder), "-o", str(tmp_path / "out")])
    assert result.exit_code == 4
    for name in ("notes.mp4", "empty.mp4", "cut.mp4", "three.mp4"):
        assert f"refused: {name}: " in result.output
    assert verify_dataset(tmp_path / "out").ok
    assert len(Manifest.load(tmp_path / "out").scenes) == 1
    assert not list((tmp_path / "out" / ".dmef" / "staging").iterdir())


def write_three_frames(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for level in (0, 90, 180):
            picture = np.full((64, 64, 3), level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))


def test_if_every_video_fails_there_is_no_data_set_and_the_code_is_3(tmp_path) -> None:
    (tmp_path / "notes.mp4").write_text("milk, eggs")
    out = tmp_path / "out"
    result = CliRunner().invoke(main, ["build", str(tmp_path / "notes.mp4"), "-o", str(out)])
    assert result.exit_code == 3
    assert "not a video" in result.output
    # No data set, but the reasons at length.
    assert sorted(entry.name for entry in out.iterdir()) == [".dmef", "selection.jsonl"]


def test_folders_are_searched_whatever_the_case_of_the_ending(tmp_path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("b.MOV", "a.mp4", "deep/c.MkV", "notes.txt"):
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in find_videos([tmp_path])]
    assert found == ["a.mp4", "b.MOV", "deep/c.MkV"]


def test_a_preset_brings_its_noise_and_refuses_to_go_without() -> None:
    assert Recipe.from_preset("noisy-reference").noise == "mild"
    with pytest.raises(UsageError, match="--noise"):
        Recipe.from_preset("noisy-reference", noise=None)


def test_a_recipes_digest_changes_with_every_choice() -> None:
    recipes = [
        Recipe(),
        Recipe(ev=(-2.0, 1.0, 3.0), preset=None),
        Recipe(model="Beta"),
        Recipe(noise="mild"),
        Recipe(pick="uniform"),
        Recipe(scenes_per_video=2),
        Recipe(split=SplitRule(1, 1)),
        Recipe(store="triple"),
        Recipe(seed=1),
    ]
    assert len({recipe.digest for recipe in recipes}) == len(recipes)


def test_nothing_of_where_or_with_what_it_was_filmed_reaches_the_outputs(shared, tmp_path) -> None:
    clip = shared("videos/iphone_livephoto_sensoji_crowd_1440p.mov")
    with av.open(str(clip)) as container:
        private = [
            value.encode()
            for key, value in container.metadata.items()
            if any(word in key.lower() for word in ("location", "make", "model", "software"))
        ]
    assert private, "the clip is expected to carry its place of recording"
    root = tmp_path / "out"
    recipe = Recipe(store="triple", pick="uniform")
    assert build_dataset([clip], root, recipe).scenes
    for path in root.rglob("*"):
        if path.is_file():
            written = path.read_bytes()
            assert not any(value in written for value in private), path.name
