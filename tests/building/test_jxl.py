"""JPEG XL on request: the same pixels in fewer bytes, or the name of the package it takes."""

from __future__ import annotations

import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from dmef_bench.building.again import rebuild_dataset
from dmef_bench.building.build import build_dataset
from dmef_bench.building.export import export_dataset
from dmef_bench.building.recipe import Recipe
from dmef_bench.building.verify import verify_dataset
from dmef_bench.datasets import load_scenes
from dmef_bench.errors import ImageFileError, UnavailableError
from dmef_bench.imagefile import decode_image, encode_jxl, encode_png, pixels_sha256, read_image
from dmef_bench.manifest import Manifest

from .test_build import contents

JXL = Recipe(pick="uniform", store="triple", format="jxl")


def needs_imagecodecs():
    return pytest.importorskip("imagecodecs", reason="the extra jxl is not installed")


@pytest.mark.parametrize("deep", [False, True], ids=["8 bits", "16 bits"])
def test_no_code_is_lost(deep) -> None:
    needs_imagecodecs()
    picture = data.coffee()
    if deep:
        picture = 255 * picture.astype(np.uint16) + np.arange(3, dtype=np.uint16)
    again = decode_image(encode_jxl(picture), Path("a.jxl"))
    assert pixels_sha256(again) == pixels_sha256(picture)


def test_a_photograph_takes_fewer_bytes_than_as_png() -> None:
    needs_imagecodecs()
    assert len(encode_jxl(data.coffee())) < len(encode_png(data.coffee()))


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_cut_picture_is_refused_by_name(share) -> None:
    needs_imagecodecs()
    coded = encode_jxl(data.coffee())
    with pytest.raises(ImageFileError, match=r"^a\.jxl: not a JPEG XL picture, or damaged"):
        decode_image(coded[: int(share * len(coded))], Path("a.jxl"))


def test_a_grey_picture_is_refused() -> None:
    codec = needs_imagecodecs()
    with pytest.raises(ImageFileError, match="grey"):
        decode_image(codec.jpegxl_encode(data.camera(), lossless=True), Path("a.jxl"))


def test_a_data_set_of_jpeg_xl_holds_the_pixels_of_one_of_png(clips, tmp_path) -> None:
    needs_imagecodecs()
    build_dataset(clips[:1], tmp_path / "png", replace(JXL, format="png"))
    build_dataset(clips[:1], tmp_path / "jxl", JXL)
    assert verify_dataset(tmp_path / "jxl").ok
    (png,), (jxl,) = (Manifest.load(tmp_path / kind).scenes for kind in ("png", "jxl"))
    assert [file.pixels for file in jxl.files] == [file.pixels for file in png.files]
    assert {Path(file.path).suffix for file in jxl.files} == {".jxl"}
    assert "imagecodecs" in jxl.built_with
    (scene,) = load_scenes(tmp_path / "jxl", "all", verify=True)
    assert np.array_equal(scene.ground_truth, read_image(tmp_path / "png" / png.files[0].path))
    card = (tmp_path / "jxl" / "README.md").read_text()
    assert "4 JPEG XL files" in card
    assert ".png" not in card
    assert '"includes": "*/*/gt.jxl"' in (tmp_path / "jxl" / "croissant.json").read_text()


def test_it_is_exported_and_made_again_as_it_is(clips, tmp_path) -> None:
    needs_imagecodecs()
    root = tmp_path / "first"
    build_dataset(clips[:1], root, JXL)
    (shard,) = export_dataset(root, tmp_path / "tar", "webdataset")
    with tarfile.open(shard) as tar:
        assert sorted(Path(name).suffixes[-1] for name in tar.getnames()) == [
            ".json", *[".jxl"] * 4
        ]  # fmt: skip
    rebuild_dataset(root / "manifest.jsonl", clips[:1], tmp_path / "again")
    assert contents(tmp_path / "again") == contents(root)


def test_without_the_package_its_name_is_told_before_anything_is_made(
    clips, tmp_path, monkeypatch
) -> None:
    # What Python itself does where a package cannot be imported.
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(UnavailableError, match=r'pip install "dmef\[jxl\]"') as caught:
        build_dataset(clips[:1], tmp_path / "out", JXL)
    assert caught.value.exit_code == 3
    assert not (tmp_path / "out").exists()
    (tmp_path / "a.jxl").write_bytes(b"\xff\x0a")
    with pytest.raises(UnavailableError, match="imagecodecs"):
        read_image(tmp_path / "a.jxl")
