"""Verification finds every change to every file, and believes no path in a manifest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from skimage import data

from dmef_bench.building.build import build_dataset
from dmef_bench.building.derived import write_derived
from dmef_bench.building.describing import describe_dataset
from dmef_bench.building.inventory import write_checksums
from dmef_bench.building.layout import manifest_digest, split_lists
from dmef_bench.building.papers_check import check_papers
from dmef_bench.building.recipe import Recipe
from dmef_bench.building.split import SplitRule
from dmef_bench.building.tables import Tables
from dmef_bench.building.verify import verify_dataset
from dmef_bench.cli import main
from dmef_bench.errors import UsageError
from dmef_bench.imagefile import encode_png, read_image, write_image
from dmef_bench.manifest import Manifest

from .recipes import FAST


def problems(root: Path, **options) -> str:
    return "\n".join(verify_dataset(root, **options).problems)


def a_picture(root: Path) -> Path:
    return root / Manifest.load(root).scenes[0].canonical_file("low").path


def test_one_flipped_bit_in_any_file_is_found(clips, tmp_path) -> None:
    dataset = tmp_path / "out"
    build_dataset(clips[:2], dataset, FAST)
    files = sorted(p for p in dataset.rglob("*") if p.is_file() and ".dmef" not in p.parts)
    # All kinds of files, and two pictures of the eight.
    chosen = [p for p in files if p.suffix != ".png"] + [p for p in files if p.suffix == ".png"][:2]
    for path in chosen:
        whole = path.read_bytes()
        for at in (len(whole) // 3, len(whole) - 2)[: 2 if path.suffix == ".png" else 1]:
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            assert problems(dataset), f"{path.name}, byte {at}"
        path.write_bytes(whole)
    assert problems(dataset) == ""


def test_a_missing_picture_and_a_stray_file_are_named(dataset) -> None:
    gone = a_picture(dataset)
    gone.unlink()
    (dataset / "train" / "extra.txt").write_text("?")
    found = problems(dataset, quick=True)
    assert f"{gone.relative_to(dataset)}: missing" in found
    assert "train/extra.txt: not part of the data set" in found


def test_a_cut_picture_is_found_without_opening_it(dataset) -> None:
    path = a_picture(dataset)
    path.write_bytes(path.read_bytes()[:-1])
    assert "bytes instead of" in problems(dataset, quick=True)


def test_other_bytes_of_the_same_pixels_are_told_apart_from_damage(dataset) -> None:
    path = a_picture(dataset)
    entry = Manifest.load(dataset).scenes[0].canonical_file("low")
    again = encode_png(read_image(path), level=9)
    manifest = dataset / "manifest.jsonl"
    manifest.write_text(
        manifest.read_text().replace(f'"bytes": {entry.bytes}', f'"bytes": {len(again)}', 1)
    )
    path.write_bytes(again)
    assert "same pixels, other bytes" in problems(dataset)


def edit_first_line(root: Path, change) -> None:
    path = root / "manifest.jsonl"
    first, *rest = path.read_text().splitlines()
    record = json.loads(first)
    change(record)
    path.write_text("\n".join([json.dumps(record), *rest]) + "\n")


@pytest.mark.parametrize(
    "path",
    ["../../x.png", "/etc/passwd", "train/../../x", "a\\b.png", "C:/x.png", "", "./x.png", "a//b"],
)
def test_a_path_that_leaves_the_data_set_is_refused_before_anything_is_read(dataset, path) -> None:
    edit_first_line(dataset, lambda record: record["files"][0].update(path=path))
    found = problems(dataset)
    assert "manifest.jsonl line 1" in found
    assert "leaves the dataset" in found


def test_a_link_that_leaves_the_data_set_is_not_followed(dataset, tmp_path) -> None:
    (tmp_path / "secret.png").write_bytes(a_picture(dataset).read_bytes())
    a_picture(dataset).unlink()
    a_picture(dataset).symlink_to(tmp_path / "secret.png")
    found = problems(dataset)
    assert "through a link" in found
    assert "data sets hold files" in found


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.pop("files"),
        lambda record: record.update(schema="dmef-scene/9"),
        lambda record: record.update(split="validation"),
        lambda record: record["canonical"].pop("gt"),
        lambda record: record["exposure"].update(ev={"low": 3, "medium": 1, "high": 0}),
        lambda record: record["exposure"].update(ev=None),
        lambda record: record["source"].update(time_base="1/0"),
        lambda record: record["samples"].pop(),
        lambda record: record["files"][0].update(sha256="zz"),
        lambda record: record.update(height="tall"),
        lambda record: record.update(files=[1, 2]),
    ],
)
def test_a_damaged_line_is_named_and_never_raises(dataset, change) -> None:
    edit_first_line(dataset, change)
    assert "manifest.jsonl line 1" in problems(dataset)


@pytest.mark.parametrize("name", ["dataset.json", "manifest.jsonl", "manifest-sha256.txt"])
@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"[1", b"[]", b"NaN"])
def test_a_damaged_head_is_a_problem_and_not_a_crash(dataset, name, content) -> None:
    if content is None:
        (dataset / name).unlink()
    else:
        (dataset / name).write_bytes(content)
    assert problems(dataset)


def test_no_folder_is_a_problem_with_advice(tmp_path) -> None:
    assert "dmef build" in problems(tmp_path / "nowhere")
    assert "4k-dmef" in problems(tmp_path, dataset="imagenet")


def forge(root: Path, change) -> None:
    """Change the manifest as someone would who knows how all other files hang on it."""
    lines = [json.loads(line) for line in (root / "manifest.jsonl").read_text().splitlines()]
    for record in lines:
        change(record)
    text = "".join(json.dumps(r, sort_keys=True, ensure_ascii=False) + "\n" for r in lines)
    (root / "manifest.jsonl").write_text(text)
    stated = json.loads((root / "dataset.json").read_text())
    stated["manifest_sha256"] = manifest_digest(root)
    (root / "dataset.json").write_text(json.dumps(stated))
    for name, listed in split_lists(Manifest.load(root).scenes).items():
        (root / name).write_text(listed)
    write_derived(root)


def test_what_is_forged_throughout_is_found_by_what_the_pictures_show(dataset) -> None:
    def flatter(record) -> None:
        record["audit"]["medium"]["curve_db"] -= 1.0

    forge(dataset, flatter)
    # One scene of four is measured again.
    assert problems(dataset).count("its audit says other figures") == 1
    assert problems(dataset, quick=True) == ""


def test_one_video_on_both_sides_is_found_whatever_its_groups_are_called(dataset) -> None:
    def same_source(record) -> None:
        record["source"]["sha256"] = "0" * 64

    forge(dataset, same_source)
    assert f"video {'0' * 64} stands on both sides" in problems(dataset, quick=True)


def test_one_place_on_both_sides_is_found_by_looking(tmp_path) -> None:
    """Two walks past the same picture, dealt to both sides by hand."""
    coffee = data.coffee()
    for number, shift in enumerate((0, 40), start=1):
        folder = tmp_path / f"walk{number}"
        folder.mkdir()
        for frame in range(30):
            left = shift + 2 * frame
            write_image(folder / f"{frame:02d}.png", coffee[40:340, left : left + 420])
    sides = tmp_path / "sides.csv"
    sides.write_text("video,split\nwalk1,train\nwalk2,test\n")
    groups = tmp_path / "groups.csv"
    groups.write_text("video,group\nwalk1,one\nwalk2,two\n")
    root = tmp_path / "dataset"
    walks = [tmp_path / "walk1", tmp_path / "walk2"]
    recipe = Recipe(pick="uniform", store="triple", split=SplitRule(1, 1))
    built = build_dataset(walks, root, recipe, fps=30)
    assert len({scene.group for scene in built.scenes}) == 1, "the build itself sees one place"

    first = built.scenes[0].scene
    move(root, first, "train" if built.scenes[0].split == "test" else "test")
    found = problems(root)
    assert "show the same place" in found
    assert first in found


def move(root: Path, scene: str, side: str) -> None:
    """Deal one scene to the other side, in a group of its own."""
    other = "train" if side == "test" else "test"

    def change(record) -> None:
        if record["scene"] == scene:
            record.update(split=side, group="alone")
            for file in record["files"]:
                file["path"] = file["path"].replace(f"{other}/", f"{side}/", 1)

    (root / side).mkdir(exist_ok=True)
    shutil.move(root / other / scene, root / side / scene)
    forge(root, change)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("manifest.parquet", lambda path: path.write_bytes(b"PAR1")),
        ("train/metadata.jsonl", lambda path: path.write_text("{}\n")),
        ("croissant.json", lambda path: path.write_text("{}")),
    ],
)
def test_a_table_that_tells_of_other_scenes_is_found_behind_right_hashes(
    dataset, name, change
) -> None:
    change(dataset / name)
    manifest = Manifest.load(dataset)
    listed = (dataset / "manifest-sha256.txt").read_text().splitlines()
    pictures = {entry.path for scene in manifest.scenes for entry in scene.files}
    others = {line[66:] for line in listed} - pictures
    write_checksums(dataset, manifest.scenes, others)
    assert name in problems(dataset)
    describe_dataset(dataset, {})
    assert problems(dataset) == ""


def test_croissant_that_mlcroissant_refuses_is_told(dataset) -> None:
    pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    path = dataset / "croissant.json"
    described = json.loads(path.read_text())
    described["recordSet"][1]["field"][0]["source"]["fileSet"]["@id"] = "nowhere"
    path.write_text(json.dumps(described))
    assert "mlcroissant refuses" in "".join(check_papers(Manifest.load(dataset), quick=False))


@pytest.mark.parametrize("audit", [{"medium": 3, "flags": 4}, {"low": [1]}, {"high": {}}])
def test_an_audit_of_another_form_is_a_problem_and_not_a_crash(dataset, audit) -> None:
    edit_first_line(dataset, lambda record: record.update(audit=audit))
    found = check_papers(Manifest.load(dataset), quick=False)
    assert "manifest.parquet: does not hold what the manifest says" in found[0]


def test_a_missing_paper_is_named_with_the_command_that_writes_it(dataset) -> None:
    (dataset / "README.md").unlink()
    assert "README.md: missing. `dmef describe ROOT` writes it again." in problems(
        dataset, quick=True
    )


def test_a_release_has_no_blanks(dataset, clips, recipe, tmp_path) -> None:
    found = problems(dataset, quick=True, release=True)
    for word in ("TODO: grant", "states no licence", "states no contact", "No licence is stated",
                 "Consent is none of"):  # fmt: skip
        assert word in found
    rights = tmp_path / "sources.csv"
    rows = [f"{clip.name},CC0-1.0,no-people," for clip in clips]
    rights.write_text("\n".join(["video,licence,consent,url", *rows]))
    build_dataset(clips, dataset, recipe, tables=Tables.read(sources=rights))
    sheet = dataset / "DATASHEET.md"
    sheet.write_text(sheet.read_text().replace("TODO:", "Answer:"))
    describe_dataset(dataset, {"licence": "CC-BY-4.0", "contact": "a@example.org"})
    assert problems(dataset, quick=True, release=True) == ""


@pytest.mark.parametrize(
    ("part", "value", "told"),
    [
        ("audit", {"passed": False}, "The audit did not pass"),
        ("leakage", {"medium_identity": True}, "equals the ground truth"),
        ("complete", False, "did not finish"),
    ],
)
def test_a_release_is_refused_for_what_no_word_can_mend(dataset, part, value, told) -> None:
    path = dataset / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {part: value}))
    assert told in problems(dataset, quick=True, release=True)


def test_four_threads_find_what_one_finds(dataset) -> None:
    pictures = sorted(dataset.rglob("*.png"))
    for path in pictures[::7]:
        path.write_bytes(path.read_bytes()[:-9] + b"123456789")
    one, four = verify_dataset(dataset), verify_dataset(dataset, jobs=4)
    assert len(one.problems) >= len(pictures[::7])
    assert one == four
    with pytest.raises(UsageError, match="at least 1"):
        verify_dataset(dataset, jobs=0)


def test_json_says_what_lines_say(built) -> None:
    result = CliRunner().invoke(main, ["verify", str(built), "--quick", "--json"])
    assert json.loads(result.stdout) == {"ok": True, "problems": [], "scenes": 4, "files": 40}


def public_set(root: Path, scenes: int) -> Path:
    """Folders of three exposures and a truth, as people lay them out."""
    for number in range(scenes):
        folder = root / f"scene{number}"
        folder.mkdir(parents=True)
        for name, gain in (("1", 0.3), ("2", 0.6), ("3", 0.9), ("gt", 0.5)):
            picture = (data.chelsea()[number : number + 64, :96] * gain).astype(np.uint8)
            write_image(folder / f"{name}.png", picture)
    return root


def test_a_public_set_is_held_against_its_folders(tmp_path) -> None:
    root = public_set(tmp_path / "set", 3)
    report = verify_dataset(root, "folders")
    assert (report.problems, report.scenes) == ((), 3)
    shutil.copytree(root / "scene0", root / "scene9")
    cut = root / "scene1" / "2.png"
    cut.write_bytes(cut.read_bytes()[:100])
    found = problems(root, dataset="folders")
    assert "holds the very files of scene0" in found
    assert "scene1" in found


def test_a_public_set_that_is_not_there_is_told_with_its_layout(tmp_path) -> None:
    assert "does not look like kalantari" in problems(tmp_path, dataset="kalantari")
    with pytest.raises(UsageError, match="of your own"):
        verify_dataset(tmp_path, "kalantari", release=True)
