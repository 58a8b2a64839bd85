"""What the user chooses shows in the data set, and only there where it should."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from dmef_bench.building.build import build_dataset
from dmef_bench.building.recipe import Recipe
from dmef_bench.building.split import SplitRule
from dmef_bench.building.tables import Tables
from dmef_bench.building.verify import verify_dataset
from dmef_bench.building.video import VideoReader
from dmef_bench.cli import main
from dmef_bench.cli.build import build
from dmef_bench.datasets import load_scenes
from dmef_bench.errors import UnavailableError, UsageError
from dmef_bench.exposure.camera_response import Sigmoid
from dmef_bench.exposure.synthesis import expose
from dmef_bench.imagefile import read_image, write_image
from dmef_bench.manifest import Manifest

from .clips import photograph, subject_moves, write_clip
from .recipes import FAST


def table(folder, name, header, *rows):
    path = folder / name
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header.split(","), *rows])
    return path


def sides(root) -> dict[str, str]:
    return {scene.source["name"]: scene.split for scene in Manifest.load(root).scenes}


# Exposures


def test_solved_stops_are_recorded_and_clip_the_share(clips, tmp_path) -> None:
    recipe = Recipe.from_preset("adaptive", store="triple", clip_share=0.2)
    for scene in build_dataset(clips[:2], tmp_path / "out", recipe).scenes:
        low, medium, high = scene.evs
        assert (medium - low, high - medium) == pytest.approx((2, 2))
        truth = read_image(tmp_path / "out" / scene.canonical_file("gt").path)
        stored = read_image(tmp_path / "out" / scene.canonical_file("medium").path)
        assert np.array_equal(stored, expose(truth, medium, Sigmoid()))
        # One code of these clips holds up to a twentieth of the pixels.
        assert scene.audit["medium"]["clip"] == pytest.approx(0.2, abs=0.03)
        assert scene.exposure["clip_share"] == 0.2
    assert load_scenes(tmp_path / "out", "all")[0].stack.evs is not None


def test_a_drawn_camera_is_recorded_and_handed_to_no_method(clips, tmp_path) -> None:
    recipe = Recipe(store="triple", crf_jitter=True)
    (scene,) = build_dataset(clips[:1], tmp_path / "out", recipe).scenes
    drawn = scene.exposure["crf_jitter"]
    assert drawn == scene.exposure["parameters"] != {"n": 0.9, "sigma": 0.6}
    truth = read_image(tmp_path / "out" / scene.canonical_file("gt").path)
    stored = read_image(tmp_path / "out" / scene.canonical_file("medium").path)
    assert np.array_equal(stored, expose(truth, scene.evs[1], Sigmoid(**drawn)))
    # What a method gets: pictures, stops, and which of them is the reference. No camera.
    given = load_scenes(tmp_path / "out", "all")[0]
    reachable = repr(vars(given)) + repr(vars(given.stack))
    assert all(f"{constant}" not in reachable for constant in drawn.values())
    assert Manifest.load(tmp_path / "out").dataset["recipe"]["parameters"] is None


def test_a_seed_changes_noise_and_cameras_and_nothing_else(clips, tmp_path) -> None:
    recipe = replace(FAST, noise="1e-4,1e-3", crf_jitter=True)
    found = []
    for seed in (0, 1):
        root = tmp_path / str(seed)
        (scene,) = build_dataset(clips[:1], root, replace(recipe, seed=seed)).scenes
        found.append(scene)
    one, other = found
    assert one.exposure["parameters"] != other.exposure["parameters"]
    assert one.canonical_file("gt").pixels == other.canonical_file("gt").pixels
    assert (one.scene, one.samples, one.split) == (other.scene, other.samples, other.split)


def test_flagged_scenes_are_kept_and_told_of_unless_the_audit_is_strict(clips, tmp_path) -> None:
    # Half a stop down nothing clips, and one tone curve undoes it.
    lenient = replace(FAST, preset=None, ev=(-2.0, -0.5, 2.0))
    report = build_dataset(clips[:2], tmp_path / "kept", lenient)
    assert report.exit_code == 4
    assert {flag for scene in report.scenes for flag in scene.audit["flags"]} == {
        "leak-curve", "reference-complete",
    }  # fmt: skip
    told = report.lines()[-1]
    assert "The audit gate failed" in told
    assert report.scenes[0].scene in told
    strict = replace(lenient, strict_audit=True)
    dropped = build_dataset(clips[:2], tmp_path / "dropped", strict)
    assert dropped.scenes == ()
    assert dropped.exit_code == 3
    assert all("fails the audit" in reason for reason in dropped.refused.values())
    lines = (tmp_path / "dropped" / "selection.jsonl").read_text().splitlines()
    assert [len(json.loads(line)["dropped"]) for line in lines] == [1, 1]
    assert not list((tmp_path / "dropped").rglob("*.png"))


# Frames


def test_a_list_beats_the_choice_and_may_grow(clips, tmp_path) -> None:
    with VideoReader(clips[0]) as reader:
        ticks = [[reader.pts[n] for n in triple] for triple in ((2, 6, 11), (12, 18, 25))]
    name = clips[0].name
    recipe = replace(FAST, pick="list")

    def build(*rows):
        path = table(tmp_path, "picks.csv", "video,pts1,pts2,pts3", *([name, *row] for row in rows))
        return build_dataset(clips[:2], tmp_path / "out", recipe, tables=Tables.read(picks=path))

    report = build(ticks[0])
    assert [s["pts"] for s in report.scenes[0].samples] == ticks[0]
    assert [s["index"] for s in report.scenes[0].samples] == [2, 6, 11]
    assert report.notes == (f"{clips[1].name}: not in the list of triples; left out.",)
    both = build(*ticks)
    assert [[s["pts"] for s in scene.samples] for scene in both.scenes] == ticks
    assert len({scene.group for scene in both.scenes}) == 1
    assert verify_dataset(tmp_path / "out").ok


def test_a_folder_of_pictures_is_built_like_the_video_it_is(tmp_path) -> None:
    folder = tmp_path / "dance"
    folder.mkdir()
    pictures = subject_moves(45)
    for number, picture in enumerate(pictures):
        write_image(folder / f"{number}.png", picture)
    report = build_dataset([tmp_path], tmp_path / "out", Recipe(store="triple"), fps=30)
    (scene,) = report.scenes
    assert scene.scene.startswith("dance-")
    truth = read_image(tmp_path / "out" / scene.canonical_file("gt").path)
    assert np.array_equal(truth, pictures[scene.samples[1]["index"]])
    assert scene.source["container"] == "pictures"
    # The scenes of the data set itself are folders of pictures, too.
    again = build_dataset([tmp_path], tmp_path / "out", Recipe(store="triple"), fps=30)
    assert again.scenes == report.scenes
    assert scene.frame_times[1] == Fraction(scene.samples[1]["index"], 30)


def test_a_truncated_video_gives_its_readable_part_on_request(tmp_path) -> None:
    whole = write_clip(
        tmp_path / "whole.mp4", subject_moves(90),
        codec_options={"g": "12"}, container_options={"movflags": "faststart"},
    )  # fmt: skip
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(whole.read_bytes()[: int(0.8 * whole.stat().st_size)])
    assert build_dataset([clip], tmp_path / "strict", FAST).exit_code == 3
    report = build_dataset([clip], tmp_path / "out", replace(FAST, salvage=True))
    assert report.scenes[0].source["count"] == "salvaged"


def test_hdr_is_tone_mapped_on_request_and_says_how(tmp_path) -> None:
    tags = {"color_trc": 18, "color_primaries": 9, "colorspace": 9}
    clip = write_clip(tmp_path / "a.mp4", subject_moves(30), tags=tags, pixel_format="yuv420p10le")
    (scene,) = build_dataset([clip], tmp_path / "out", replace(FAST, hdr="tonemap")).scenes
    assert scene.source["hdr"] == "HLG BT.2020 10-bit"
    assert scene.source["colour"]["converted"] == "tone-mapped"
    assert scene.exposure["tone_curve"]["diffuse_white_cd_m2"] == 203
    assert scene.exposure["tone_curve"]["white"] > 0


# Groups, sides, rights


def test_listed_groups_stay_on_one_side(clips, tmp_path) -> None:
    names = [clip.name for clip in clips]
    groups = table(tmp_path, "groups.csv", "video,group", *([name, "tour"] for name in names[:3]))
    report = build_dataset(clips, tmp_path / "out", FAST, tables=Tables.read(groups=groups))
    found = sides(tmp_path / "out")
    assert len({found[name] for name in names[:3]}) == 1
    reasons = {scene.source["name"]: scene.group_reason for scene in report.scenes}
    assert reasons[names[0]] == ("groups.csv", "source")
    assert reasons[names[3]] == ("source",)
    assert Manifest.load(tmp_path / "out").dataset["groups"] == 2


def test_rights_are_recorded_and_may_be_stated_later(clips, tmp_path) -> None:
    build_dataset(clips[:2], tmp_path / "out", FAST)
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")}
    row = [clips[0].name, "CC-BY-4.0", "no-people", "https://example.org/1"]
    path = table(tmp_path, "sources.csv", "video,licence,consent,url", row)
    build_dataset(clips[:2], tmp_path / "out", FAST, tables=Tables.read(sources=path))
    found = {scene.source["name"]: scene.source for scene in Manifest.load(tmp_path / "out").scenes}
    keys = ("licence", "consent", "url")
    assert [found[clips[0].name][key] for key in keys] == row[1:]
    assert [found[clips[1].name][key] for key in keys] == [None, "not-recorded", None]
    # Kept when the table is not given again, and no picture was made anew.
    build_dataset(clips[:2], tmp_path / "out", FAST)
    assert Manifest.load(tmp_path / "out").scenes[0].source in found.values()
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert verify_dataset(tmp_path / "out").ok


def test_a_file_of_sides_moves_scenes_and_resplit_moves_them_back(clips, tmp_path) -> None:
    root = tmp_path / "out"
    build_dataset(clips, root, FAST)
    dealt = sides(root)
    other = {"train": "test", "test": "train"}
    rows = [[name, other[side]] for name, side in dealt.items()]
    swapped = Tables.read(split=table(tmp_path, "split.csv", "video,split", *rows))
    build_dataset(clips, root, FAST, tables=swapped)
    assert sides(root) == dict(rows)
    assert {scene.split_reason for scene in Manifest.load(root).scenes} == {"file"}
    assert verify_dataset(root).ok
    # Once decided, it stays: without the file, too.
    build_dataset(clips, root, FAST)
    assert sides(root) == dict(rows)
    build_dataset(clips, root, FAST, resplit=True)
    assert sides(root) == dealt
    assert verify_dataset(root).ok


def test_a_build_killed_while_scenes_change_sides_comes_to_rest(clips, tmp_path) -> None:
    root = tmp_path / "out"
    build_dataset(clips, root, FAST)
    moving = Manifest.load(root).scenes[0]
    place = root / moving.split / moving.scene
    place.rename(root / {"train": "test", "test": "train"}[moving.split] / moving.scene)
    assert not verify_dataset(root).ok
    build_dataset(clips, root, FAST)
    assert verify_dataset(root).ok


@pytest.fixture(scope="module")
def same_place(tmp_path_factory):
    """Two films of one photograph, from two standpoints, and one of another place."""
    folder, count = tmp_path_factory.mktemp("places"), 6
    here = photograph(540, 960)
    height, width = here.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 3, 1.06)
    there = cv2.warpAffine(here, turn, (width, height))
    return [
        write_clip(folder / f"{name}.mp4", [picture] * count)
        for name, picture in (("here", here), ("there", there), ("elsewhere", here[::-1] // 2 + 60))
    ]


def test_scenes_of_one_place_are_found_and_kept_on_one_side(same_place, tmp_path) -> None:
    report = build_dataset(same_place, tmp_path / "out", FAST)
    groups = {scene.source["name"]: scene.group for scene in report.scenes}
    assert groups["here.mp4"] == groups["there.mp4"] != groups["elsewhere.mp4"]
    assert {s.group_reason for s in report.scenes} == {("near-duplicate", "source"), ("source",)}
    assert "show the same place" in report.notes[0]


@pytest.mark.parametrize("scratch", ["kept", "gone"])
def test_a_new_film_of_an_old_place_follows_it(same_place, tmp_path, scratch) -> None:
    here, there, elsewhere = same_place
    root = tmp_path / "out"
    wanted = table(
        tmp_path, "s.csv", "video,split", ["here.mp4", "test"], ["elsewhere.mp4", "train"]
    )
    build_dataset([here, elsewhere], root, FAST, tables=Tables.read(split=wanted))
    if scratch == "gone":
        shutil.rmtree(root / ".dmef")
    report = build_dataset([there], root, FAST)
    found = {scene.source["name"]: (scene.split, scene.split_reason) for scene in report.scenes}
    assert found["there.mp4"] == ("test", "settled")
    assert found["here.mp4"] == ("test", "file")


def test_places_published_on_both_sides_are_an_error_that_publishes_nothing(
    same_place, tmp_path
) -> None:
    here, there, elsewhere = same_place
    root = tmp_path / "out"
    rows = [["here.mp4", "test"], ["elsewhere.mp4", "train"]]
    wanted = table(tmp_path, "s.csv", "video,split", *rows)
    build_dataset([here, elsewhere], root, FAST, tables=Tables.read(split=wanted))
    before = (root / "manifest.jsonl").read_bytes()
    groups = table(
        tmp_path, "g.csv", "video,group", *([f"{n}.mp4", "x"] for n in ("there", "elsewhere"))
    )
    tables = Tables.read(groups=groups)
    with pytest.raises(UsageError, match=r"elsewhere-.*\(train\) and here-.*\(test\) turn out"):
        build_dataset([there], root, FAST, tables=tables)
    assert (root / "manifest.jsonl").read_bytes() == before
    build_dataset([there], root, FAST, tables=tables, resplit=True)
    assert len(set(sides(root).values())) == 1


# Names, changes, words


def test_anonymous_names_say_nothing_of_the_file(tmp_path, clips) -> None:
    folder = tmp_path / "Annas Hochzeit"
    folder.mkdir()
    shutil.copy(clips[0], folder / "Anna tanzt.mp4")
    (folder / "Anna schläft.mp4").write_text("no film")
    root = tmp_path / "out"
    report = build_dataset([folder], root, replace(FAST, anonymous_names=True))
    (scene,) = report.scenes
    assert scene.scene.startswith(scene.source["sha256"][:16])
    assert report.refused["Anna schläft.mp4"].startswith("Anna schläft.mp4: not a video")
    for path in root.rglob("*"):
        assert "anna" not in path.name.lower()
        if path.is_file() and path.suffix not in (".png", ".npz"):
            assert b"anna" not in path.read_bytes().lower(), path


def test_a_source_that_changed_since_is_an_error_and_loses_nothing(clips, tmp_path) -> None:
    clip = tmp_path / "clip.mp4"
    shutil.copy(clips[0], clip)
    build_dataset([clip], tmp_path / "out", FAST)
    before = (tmp_path / "out" / "manifest.jsonl").read_bytes()
    shutil.copy(clips[1], clip)
    with pytest.raises(UnavailableError, match=r"clip\.mp4 has changed: clip-.* was built from"):
        build_dataset([clip], tmp_path / "out", FAST)
    assert (tmp_path / "out" / "manifest.jsonl").read_bytes() == before
    # Moved elsewhere, the old one and the new one are two videos.
    shutil.copy(clips[0], tmp_path / "old.mp4")
    assert len(build_dataset([tmp_path / "old.mp4", clip], tmp_path / "out", FAST).scenes) == 2


def test_the_command_line_passes_every_choice_on(clips, tmp_path) -> None:
    rights = table(
        tmp_path, "sources.csv", "video,licence,consent,url", [clips[0].name, "MIT", "given", ""]
    )
    words = ["build", str(clips[0].parent / "*.mp4"), "-o", str(tmp_path / "out"), "--json"]
    words += ["--preset", "adaptive", "--clip-share", "0.25", "--noise", "1e-4,1e-3"]
    words += ["--crf-jitter", "--seed", "7", "--pick", "uniform", "--store", "triple"]
    words += ["--split", "0.5", "--resize", "4k", "--to-srgb"]
    words += ["--sources", str(rights), "--name", "tour", "--licence", "CC-BY-4.0"]
    result = CliRunner().invoke(main, words)
    report = json.loads(result.stdout)
    assert result.exit_code == report["exit_code"] == 0, result.output
    assert sum(report["scenes"].values()) == 4
    dataset = Manifest.load(tmp_path / "out").dataset
    assert (dataset["name"], dataset["licence"]) == ("tour", "CC-BY-4.0")
    recipe = Recipe.from_record(dataset["recipe"])
    assert recipe == Recipe.from_preset(
        "adaptive", clip_share=0.25, noise="1e-4,1e-3", crf_jitter=True, seed=7, pick="uniform",
        store="triple", split=SplitRule(1, 1, mode="ratio"), resize="4k", to_srgb=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--ev", "-1,0,1"], "EV 0 for the medium exposure makes it equal to the ground truth: "
         "returning it would score infinite PSNR. Choose another EV (the default is -1,1,3), or "
         "pass --allow-identity to build it anyway."),
        (["--preset", "paper"], "adaptive"),
        (["--split", "lots"], "the name of a file"),
        (["--pick", "gone.csv"], "gone.csv"),
        (["--noise", "loud"], "mild or strong"),
        (["--preset", "adaptive", "--ev", "-1,1,3"], "not both"),
    ],
)  # fmt: skip
def test_wrong_words_are_answered_with_the_way_out(clips, tmp_path, words, told) -> None:
    result = CliRunner().invoke(main, ["build", str(clips[0]), "-o", str(tmp_path / "o"), *words])
    assert result.exit_code == 2
    assert told in result.output
    assert not (tmp_path / "o").exists()


def test_the_page_names_options_that_exist_and_all_of_them() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "building.md"
    named = set(re.findall(r"--[a-z0-9][a-z0-9-]*", page.read_text(encoding="utf-8")))
    there = {option for param in build.params for option in param.opts if option[:2] == "--"}
    assert named <= there
    # Of these the page has nothing to say that `--help` does not.
    assert there - named <= {"--out", "--name", "--licence", "--json", "--store"}
