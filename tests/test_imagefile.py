"""Files and pictures: what is written comes back, what is no picture says so."""

from __future__ import annotations

import hashlib
import struct

import cv2
import imageio.v3 as iio
import numpy as np
import pytest
from skimage import data

from dmef_bench import imagefile
from dmef_bench.errors import ImageFileError

RED = np.array([[[200, 10, 30], [0, 255, 128]]], np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_written_is_read(tmp_path, suffix, dtype) -> None:
    image = data.astronaut().astype(dtype) * (257 if dtype is np.uint16 else 1)
    image[0, 0] = [1, 2, 3]
    imagefile.write_image(tmp_path / f"a{suffix}", image)
    read = imagefile.read_image(tmp_path / f"a{suffix}")
    assert read.dtype == dtype
    assert np.array_equal(read, image)


def test_files_are_rgb_to_other_programs(tmp_path) -> None:
    imagefile.write_image(tmp_path / "red.png", RED)
    assert np.array_equal(iio.imread(tmp_path / "red.png"), RED)


def test_names_may_be_of_any_alphabet(tmp_path) -> None:
    imagefile.write_image(tmp_path / "夜景 über.PNG".lower(), RED)
    assert np.array_equal(imagefile.read_image(tmp_path / "夜景 über.png"), RED)


def test_pngs_carry_no_text_time_or_exif() -> None:
    chunks, png = [], imagefile.encode_png(data.astronaut())
    at = 8
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        chunks.append(kind.decode())
        at += 12 + length
    assert set(chunks) == {"IHDR", "IDAT", "IEND"}


@pytest.mark.parametrize(
    ("image", "told"),
    [(np.zeros((4, 4), np.uint8), "grey"), (np.zeros((4, 4, 4), np.uint8), "alpha")],
)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_grey_and_alpha_are_refused_with_the_way_out(tmp_path, image, told, suffix) -> None:
    iio.imwrite(tmp_path / f"x{suffix}", image)
    with pytest.raises(ImageFileError, match=told):
        imagefile.read_image(tmp_path / f"x{suffix}")


def test_no_picture_is_not_read_as_one(tmp_path) -> None:
    for name, content in (
        ("a.png", b"hello"),
        ("b.png", b""),
        ("c.tif", b"II*\0hello"),
        ("d.tif", b""),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ImageFileError, match=name):
            imagefile.read_image(tmp_path / name)


def test_a_cut_png_is_not_read_as_whole(tmp_path) -> None:
    png = imagefile.encode_png(data.astronaut())
    (tmp_path / "cut.png").write_bytes(png[: len(png) // 2])
    with pytest.raises(ImageFileError, match="damaged"):
        imagefile.read_image(tmp_path / "cut.png")


def test_a_png_of_damaged_pixels_is_not_read_as_whole(tmp_path) -> None:
    png = bytearray(imagefile.encode_png(data.astronaut()))
    png[len(png) // 2] ^= 0xFF
    (tmp_path / "flipped.png").write_bytes(png)
    with pytest.raises(ImageFileError, match="damaged"):
        imagefile.read_image(tmp_path / "flipped.png")


def test_a_missing_file_and_an_unknown_ending_are_named(tmp_path) -> None:
    with pytest.raises(ImageFileError, match=r"gone\.png"):
        imagefile.read_image(tmp_path / "gone.png")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ImageFileError, match=r"does not read \.txt"):
        imagefile.read_image(tmp_path / "notes.txt")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path) -> None:
    path = tmp_path / "a.txt"
    imagefile.write_atomic(path, b"old")
    with pytest.raises(TypeError):
        imagefile.write_atomic(path, "text fails where bytes are written")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_a_file_takes_its_name_only_once_it_is_whole(tmp_path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    with imagefile.replacing(path) as staging:
        staging.write_bytes(b"half")
        assert path.read_bytes() == b"old"
        staging.write_bytes(b"whole")
    assert path.read_bytes() == b"whole"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_the_pixel_hash_is_the_documented_one() -> None:
    expected = hashlib.sha256(b"uint8:1x2x3\n" + RED.tobytes()).hexdigest()
    assert imagefile.pixels_sha256(RED) == expected
    assert imagefile.pixels_sha256(RED[:, ::-1][:, ::-1]) == expected


def test_the_pixel_hash_does_not_depend_on_compression(tmp_path) -> None:
    image = data.chelsea()
    hashes = set()
    for level in (0, 9):
        (tmp_path / "a.png").write_bytes(imagefile.encode_png(image, level=level))
        hashes.add(imagefile.pixels_sha256(imagefile.read_image(tmp_path / "a.png")))
    assert hashes == {imagefile.pixels_sha256(image)}


def test_an_animation_holds_its_frames(tmp_path) -> None:
    frames = [np.full((8, 8, 3), level, np.uint8) for level in (0, 128, 255)]
    imagefile.write_animation(tmp_path / "a.gif", frames, seconds=0.2)
    assert len(iio.imread(tmp_path / "a.gif", index=None)) == 3


def test_grey_jpeg_of_a_photograph_is_refused_too(tmp_path) -> None:
    cv2.imwrite(str(tmp_path / "g.jpg"), data.camera())
    with pytest.raises(ImageFileError, match="grey"):
        imagefile.read_image(tmp_path / "g.jpg")
