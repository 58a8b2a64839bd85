"""New files: the pixels, the profile, and nothing of where and when; all of it or nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from skimage import data

from dmef_bench.errors import ImageFileError, UsageError
from dmef_bench.photo.header import read_header
from dmef_bench.photo.pixels import read_pixels
from dmef_bench.photo.saving import bits_in, saving

PHOTO = data.chelsea()
DEEP = PHOTO.astype(np.uint16) * 257 + 3
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def save(path, picture, **options):
    with saving(path, picture.shape[:2], 8 * picture.itemsize, **options) as write:
        for top in range(0, len(picture), 64):
            write(picture[top : top + 64])


@pytest.mark.parametrize("picture", [PHOTO, DEEP], ids=["8 bits", "16 bits"])
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.TIFF"])
def test_pixels_and_profile_come_back(tmp_path, picture, name) -> None:
    save(tmp_path / name, picture, icc=SRGB)
    header = read_header(tmp_path / name)
    assert header.icc == SRGB
    assert np.array_equal(read_pixels(header), picture)


def test_a_jpeg_is_what_pillow_makes_of_the_picture(tmp_path) -> None:
    save(tmp_path / "a.jpg", PHOTO, icc=SRGB, quality=80)
    Image.fromarray(PHOTO).save(tmp_path / "b.jpg", quality=80, subsampling=0, icc_profile=SRGB)
    assert (tmp_path / "a.jpg").read_bytes() == (tmp_path / "b.jpg").read_bytes()


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
def test_a_file_tells_nothing_of_place_time_or_program(tmp_path, name) -> None:
    save(tmp_path / name, PHOTO, icc=SRGB)
    image = Image.open(tmp_path / name)
    assert dict(image.getexif().get_ifd(0x8825)) == {}
    if name == "a.tif":
        tags = {tag.name for tag in tifffile.TiffFile(tmp_path / name).pages.first.tags}
        assert not tags & {"Software", "DateTime", "ImageDescription", "ExifTag", "GPSTag"}
    else:
        assert not set(image.info) & {"exif", "xmp", "comment", "Software", "Time"}


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, name) -> None:
    (tmp_path / name).write_bytes(b"old")

    def stop_halfway():
        with saving(tmp_path / name, PHOTO.shape[:2], 8) as write:
            write(PHOTO[:10])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stop_halfway()
    assert (tmp_path / name).read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_missing_rows_are_told(tmp_path) -> None:
    with (
        pytest.raises(ImageFileError, match="10 rows were written of a picture of 451x300"),
        saving(tmp_path / "a.png", PHOTO.shape[:2], 8) as write,
    ):
        write(PHOTO[:10])
    assert not list(tmp_path.iterdir())


def test_depth_follows_the_format() -> None:
    depths = {name: bits_in(Path(name), 16) for name in ("a.png", "a.TIF", "a.jpeg", "a.jpg")}
    assert depths == {"a.png": 16, "a.TIF": 16, "a.jpeg": 8, "a.jpg": 8}
    with pytest.raises(UsageError, match=r"\.png, \.tif or \.jpg"):
        bits_in(Path("a.webp"), 8)


def test_a_folder_that_does_not_exist_is_told(tmp_path) -> None:
    with (
        pytest.raises(ImageFileError, match="does not exist"),
        saving(tmp_path / "no" / "a.png", (1, 1), 8),
    ):
        pass


def test_a_jpeg_too_long_for_the_format_is_told(tmp_path) -> None:
    with (
        pytest.raises(ImageFileError, match="at most 65500"),
        saving(tmp_path / "a.jpg", (1, 70000), 8),
    ):
        pass
