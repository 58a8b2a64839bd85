"""Verification finds every change to every file, and believes no path in a manifest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dmef_bench.building.verify import verify_dataset
from dmef_bench.imagefile import encode_png, read_image
from dmef_bench.manifest import Manifest


def problems(root: Path, **options) -> str:
    return "\n".join(verify_dataset(root, **options).problems)


def a_picture(root: Path) -> Path:
    return root / Manifest.load(root).scenes[0].canonical_file("low").path


def test_one_flipped_bit_in_any_file_is_found(dataset) -> None:
    files = sorted(p for p in dataset.rglob("*") if p.is_file() and ".dmef" not in p.parts)
    # All kinds of files, and two pictures of the forty.
    chosen = [p for p in files if p.suffix != ".png"] + [p for p in files if p.suffix == ".png"][:2]
    for path in chosen:
        whole = path.read_bytes()
        for at in (len(whole) // 3, len(whole) - 2):
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
