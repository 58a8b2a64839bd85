"""Pixels of photographs: as other programs read them, upright, RGB, or refused with the reason."""

from __future__ import annotations

import io
import random
import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from skimage import data

from dmef_bench.errors import ImageFileError
from dmef_bench.photo.header import read_header
from dmef_bench.photo.pixels import read_pixels

PHOTO = data.coffee()[:200, :301]
DEEP = PHOTO.astype(np.uint16) * 257
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def read(path):
    return read_pixels(read_header(path))


def jpeg(path, picture, orientation=1, **kwargs):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(picture).save(path, "JPEG", exif=exif, quality=95, **kwargs)


def test_a_jpeg_is_read_as_pillow_reads_it(tmp_path) -> None:
    jpeg(tmp_path / "a.jpg", PHOTO, progressive=True)
    assert np.array_equal(read(tmp_path / "a.jpg"), np.asarray(Image.open(tmp_path / "a.jpg")))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright(tmp_path, orientation) -> None:
    jpeg(tmp_path / "a.jpg", PHOTO, orientation)
    # OpenCV turns by EXIF too, and has its own JPEG decoder: the same codes, but for one.
    seen = cv2.cvtColor(cv2.imread(str(tmp_path / "a.jpg")), cv2.COLOR_BGR2RGB)
    ours = read(tmp_path / "a.jpg")
    assert ours.shape == seen.shape
    assert np.abs(ours.astype(int) - seen).max() <= 2
    assert read_header(tmp_path / "a.jpg").size == seen.shape[:2]


@pytest.mark.parametrize("picture", [PHOTO, DEEP], ids=["8 bits", "16 bits"])
@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"compression": "zlib", "predictor": True, "rowsperstrip": 7},
        {"compression": "zlib", "tile": (64, 48)},
        {"tile": (64, 48)},
        {"byteorder": ">"},
        {"byteorder": ">", "compression": "zlib"},
        {"bigtiff": True},
        {"planarconfig": "separate"},
    ],
    ids=str,
)
def test_tiffs_of_all_layouts_give_the_same_pixels(tmp_path, picture, layout) -> None:
    options = dict(layout)
    stored = picture
    if options.get("planarconfig"):
        stored = np.moveaxis(picture, 2, 0)
    outer = {key: options.pop(key) for key in ("byteorder", "bigtiff") if key in options}
    with tifffile.TiffWriter(tmp_path / "a.tif", **outer) as writer:
        writer.write(stored, photometric="rgb", **options)
    ours = read(tmp_path / "a.tif")
    assert ours.dtype == picture.dtype
    assert np.array_equal(ours, picture)


@pytest.mark.parametrize("picture", [PHOTO, DEEP], ids=["8 bits", "16 bits"])
@pytest.mark.parametrize("compression", [5, 32773], ids=["LZW", "PackBits"])
def test_tiffs_as_editors_save_them_are_read(tmp_path, picture, compression) -> None:
    cv2.imwrite(
        str(tmp_path / "a.tif"),
        cv2.cvtColor(picture, cv2.COLOR_RGB2BGR),
        [cv2.IMWRITE_TIFF_COMPRESSION, compression],
    )
    assert np.array_equal(read(tmp_path / "a.tif"), picture)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_an_lzw_tiff_is_turned_once_and_not_twice(tmp_path, orientation) -> None:
    jpeg(tmp_path / "a.jpg", PHOTO, orientation)
    expected = read(tmp_path / "a.jpg")
    coded = Image.open(tmp_path / "a.jpg")
    coded.save(tmp_path / "a.tif", compression="tiff_lzw", exif=coded.getexif())
    assert read_header(tmp_path / "a.tif").tags.orientation == orientation
    assert np.array_equal(read(tmp_path / "a.tif"), expected)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_grey_becomes_rgb_with_a_word(tmp_path, suffix) -> None:
    Image.fromarray(data.camera()[:90, :80]).save(tmp_path / f"g{suffix}", quality=100)
    ours = read(tmp_path / f"g{suffix}")
    assert ours.shape == (90, 80, 3)
    assert (np.ptp(ours, axis=2) == 0).all()
    assert "grey" in read_header(tmp_path / f"g{suffix}").remarks[0]


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_opaque_alpha_is_left_out_and_glass_is_refused(tmp_path, suffix, dtype) -> None:
    full = np.iinfo(dtype).max
    picture = PHOTO.astype(dtype) * (full // 255)
    path = tmp_path / f"a{suffix}"
    for alpha in (full, full - 1):
        layer = np.full((*picture.shape[:2], 1), full, dtype)
        layer[7, 9] = alpha
        rgba = np.concatenate([picture, layer], axis=2)
        if suffix == ".png":
            cv2.imwrite(str(path), cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA))
        else:
            tifffile.imwrite(path, rgba, photometric="rgb", extrasamples=["unassalpha"])
        if alpha == full:
            assert np.array_equal(read(path), picture)
            assert "alpha" in read_header(path).remarks[0]
        else:
            with pytest.raises(ImageFileError, match="transparent"):
                read(path)


def test_the_profile_is_found_in_every_format(tmp_path) -> None:
    image = Image.fromarray(PHOTO)
    for name in ("a.jpg", "a.png", "a.tif"):
        image.save(tmp_path / name, icc_profile=SRGB)
        assert read_header(tmp_path / name).icc == SRGB


def _tiff_with_exif(path):
    """Neither Pillow nor tifffile writes an EXIF directory into a TIFF; here it goes to the end."""
    placeholder = 65000
    tags = [(0x0112, 3, 1, 6, True), (placeholder, 4, 1, 0, True)]
    tifffile.imwrite(path, PHOTO, photometric="rgb", metadata=None, extratags=tags)
    at = path.stat().st_size
    values = at + 2 + 3 * 12 + 4
    directory = struct.pack("<H", 3)
    directory += struct.pack("<HHII", 0x829A, 5, 1, values)
    directory += struct.pack("<HHII", 0x829D, 5, 1, values + 8)
    directory += struct.pack("<HHIHH", 0x8827, 3, 1, 200, 0)
    directory += struct.pack("<I4I", 0, 1, 50, 40, 10)
    pointer = struct.pack("<HHII", 0x8769, 4, 1, at)
    named = path.read_bytes().replace(struct.pack("<HHII", placeholder, 4, 1, 0), pointer)
    path.write_bytes(named + directory)


def test_exposure_times_are_found_in_every_format(tmp_path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769).update({0x829A: 1 / 50, 0x829D: 4.0, 0x8827: 200})
    for name in ("a.jpg", "a.png"):
        Image.fromarray(PHOTO).save(tmp_path / name, exif=exif)
    _tiff_with_exif(tmp_path / "a.tif")
    for name in ("a.jpg", "a.png", "a.tif"):
        tags = read_header(tmp_path / name).tags
        assert tags.orientation == 6
        found = (tags.exposure.time_s, tags.exposure.f_number, tags.exposure.iso)
        assert found == pytest.approx((1 / 50, 4.0, 200))


def _cmyk(path):
    Image.fromarray(PHOTO).convert("CMYK").save(path, "JPEG")


def _animation(path):
    frames = [Image.fromarray(PHOTO), Image.fromarray(PHOTO[::-1])]
    frames[0].save(path, "PNG", save_all=True, append_images=frames[1:])


def _pages(path):
    tifffile.imwrite(path, np.stack([PHOTO, PHOTO]), photometric="rgb")


def _floats(path):
    tifffile.imwrite(path, PHOTO / np.float32(255), photometric="rgb")


def _inks(path):
    tifffile.imwrite(path, np.dstack([PHOTO, PHOTO[..., :1]]), photometric="separated")


def _text(path):
    path.write_text("a letter")


def _raw(path):
    tifffile.imwrite(path, PHOTO, photometric="rgb")


@pytest.mark.parametrize(
    ("name", "make", "told"),
    [
        ("a.jpg", _cmyk, "CMYK; convert it to RGB"),
        ("a.png", _animation, "animation of 2 frames"),
        ("a.tif", _pages, "holds 2 pictures"),
        ("a.tif", _floats, "float32"),
        ("a.tif", _inks, "SEPARATED"),
        ("a.jpg", _text, "not a JPEG, PNG or TIFF"),
        ("a.dng", _raw, "raw files"),
        ("gone.jpg", None, "cannot be read"),
    ],
)
def test_what_cannot_be_fused_says_why(tmp_path, name, make, told) -> None:
    if make:
        make(tmp_path / name)
    with pytest.raises(ImageFileError, match=told) as caught:
        read(tmp_path / name)
    assert name in str(caught.value)


def test_a_picture_is_known_by_its_bytes_not_by_its_name(tmp_path) -> None:
    Image.fromarray(PHOTO).save(tmp_path / "really-png.jpg", "PNG")
    assert np.array_equal(read(tmp_path / "really-png.jpg"), PHOTO)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_pixels_that_are_fewer_than_stated_are_not_made_up(tmp_path, name) -> None:
    Image.fromarray(PHOTO).save(tmp_path / name)
    header = read_header(tmp_path / name)
    Image.fromarray(PHOTO[:100, :150]).save(tmp_path / name)
    with pytest.raises(ImageFileError, match=name):
        read_pixels(header)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "lzw.tif", "zip.tif"])
def test_a_cut_file_is_never_read_as_whole(tmp_path, name) -> None:
    path = tmp_path / name
    compression = {"lzw.tif": "tiff_lzw", "zip.tif": "tiff_adobe_deflate"}.get(name)
    extra = {"compression": compression} if compression else {}
    Image.fromarray(PHOTO).save(path, **extra)
    whole = path.read_bytes()
    for share in (0.3, 0.6, 0.95):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ImageFileError, match=name):
            read(path)


def test_a_small_file_of_a_huge_picture_is_refused_before_it_is_decoded(tmp_path) -> None:
    file = io.BytesIO()
    Image.fromarray(PHOTO[:1, :1]).save(file, "PNG")
    claimed = bytearray(file.getvalue())
    claimed[16:24] = struct.pack(">II", 100_000, 100_000)
    claimed[29:33] = struct.pack(">I", zlib.crc32(bytes(claimed[12:29])))
    (tmp_path / "a.png").write_bytes(claimed)
    with pytest.raises(ImageFileError, match="100000x100000 pixels"):
        read_header(tmp_path / "a.png")


def test_files_of_random_damage_are_read_or_refused_and_nothing_else(tmp_path) -> None:
    Image.fromarray(PHOTO[:40, :50]).save(tmp_path / "a.jpg")
    Image.fromarray(PHOTO[:40, :50]).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", PHOTO[:40, :50], photometric="rgb", compression="zlib")
    draw = random.Random(7)
    refused = 0
    for name in ("a.jpg", "a.png", "a.tif"):
        whole = (tmp_path / name).read_bytes()
        for _ in range(40):
            damaged = bytearray(whole)
            # Headers and tags break programs, pixels only pictures.
            for at in draw.sample(range(4, 300), 2):
                damaged[at] = draw.randrange(256)
            (tmp_path / f"d{name}").write_bytes(damaged)
            try:
                read(tmp_path / f"d{name}")
            except ImageFileError:
                refused += 1
    assert refused > 30
