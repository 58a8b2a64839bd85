"""PNG by bands: the pixels of other decoders, whatever the filters; damage is told."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from dmef_bench.errors import ImageFileError
from dmef_bench.photo import png

PHOTO = data.coffee()
DEEP = PHOTO.astype(np.uint16) * 257 + np.arange(PHOTO.shape[1], dtype=np.uint16)[:, None] % 200


def bands(path):
    stated = png.read_statement(path)
    return list(png.read_bands(path, stated))


def joined(path):
    return np.concatenate([codes for _, codes in bands(path)])


def written(picture, icc=None):
    file = io.BytesIO()
    writer = png.PngWriter(file, picture.shape[:2], 8 * picture.itemsize, icc)
    for top in range(0, len(picture), 77):
        writer.write(picture[top : top + 77])
    writer.close()
    return file.getvalue()


@pytest.mark.parametrize("picture", [PHOTO, DEEP], ids=["8 bits", "16 bits"])
def test_opencv_reads_what_is_written(picture) -> None:
    read = cv2.imdecode(np.frombuffer(written(picture), np.uint8), cv2.IMREAD_UNCHANGED)
    assert read.dtype == picture.dtype
    assert np.array_equal(cv2.cvtColor(read, cv2.COLOR_BGR2RGB), picture)


@pytest.mark.parametrize("picture", [PHOTO, DEEP], ids=["8 bits", "16 bits"])
@pytest.mark.parametrize("kind", ["NONE", "SUB", "UP", "AVG", "PAETH", "ALL"])
def test_every_filter_is_undone_across_the_edges_of_bands(
    tmp_path, monkeypatch, picture, kind
) -> None:
    monkeypatch.setattr(png, "_BAND_BYTES", 100_000)
    name = "IMWRITE_PNG_ALL_FILTERS" if kind == "ALL" else f"IMWRITE_PNG_FILTER_{kind}"
    if not hasattr(cv2, "IMWRITE_PNG_FILTER"):
        pytest.skip("this OpenCV cannot be told which filter to write")
    cv2.imwrite(
        str(tmp_path / "a.png"),
        cv2.cvtColor(picture, cv2.COLOR_RGB2BGR),
        [cv2.IMWRITE_PNG_FILTER, getattr(cv2, name)],
    )
    found = bands(tmp_path / "a.png")
    assert len(found) > 5
    assert [top for top, _ in found] == np.cumsum([0] + [len(c) for _, c in found[:-1]]).tolist()
    assert np.array_equal(joined(tmp_path / "a.png"), picture)


def test_one_row_and_one_column_are_pictures_too(tmp_path) -> None:
    for picture in (PHOTO[:1], PHOTO[:, :1], DEEP[:1, :1]):
        (tmp_path / "a.png").write_bytes(written(picture))
        assert np.array_equal(joined(tmp_path / "a.png"), picture)


def test_the_profile_comes_back_and_pillow_sees_it(tmp_path) -> None:
    profile = bytes(range(256)) * 3
    (tmp_path / "a.png").write_bytes(written(PHOTO, profile))
    assert png.read_statement(tmp_path / "a.png").icc == profile
    assert Image.open(tmp_path / "a.png").info["icc_profile"] == profile


@pytest.mark.parametrize("mode", ["L", "P", "LA", "RGBA", "1"])
def test_what_is_not_plain_rgb_is_decoded_as_a_whole(tmp_path, mode) -> None:
    image = Image.fromarray(PHOTO[:40, :50]).convert(mode)
    image.save(tmp_path / "a.png")
    (found,) = bands(tmp_path / "a.png")
    codes = found[1]
    if mode == "LA":  # OpenCV repeats the grey thrice
        codes = codes[..., 2:]
    expected = np.asarray(image.convert("RGB") if mode == "P" else image)
    assert np.array_equal(codes, expected * np.uint8(255) if mode == "1" else expected)


def test_an_interlaced_png_is_decoded_as_a_whole(tmp_path) -> None:
    # Adam7 of a single pixel is one pass of one row, so it can be written by hand.
    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 1)
    data_ = zlib.compress(b"\0" + bytes([10, 20, 30]))
    chunks = png._chunk(b"IHDR", header) + png._chunk(b"IDAT", data_) + png._chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(png.SIGNATURE + chunks)
    assert png.read_statement(tmp_path / "a.png").interlaced
    assert joined(tmp_path / "a.png").tolist() == [[[10, 20, 30]]]


@pytest.mark.parametrize("kept", [10, 30, 60, 1000, 0.5, -20, -12, -1])
def test_a_cut_png_is_told(tmp_path, kept) -> None:
    whole = written(PHOTO)
    end = int(len(whole) * kept) if isinstance(kept, float) else kept
    (tmp_path / "cut.png").write_bytes(whole[:end])
    with pytest.raises(ImageFileError, match=r"cut\.png: damaged"):
        bands(tmp_path / "cut.png")


def test_a_flipped_bit_is_told_wherever_it_is(tmp_path) -> None:
    whole = written(PHOTO[:50, :50])
    for at in range(12, len(whole) - 12, 331):
        damaged = bytearray(whole)
        damaged[at] ^= 4
        (tmp_path / "flip.png").write_bytes(damaged)
        with pytest.raises(ImageFileError, match="damaged"):
            bands(tmp_path / "flip.png")


def test_too_few_rows_are_told(tmp_path) -> None:
    whole = written(PHOTO[:20])
    taller = png._header_chunk((40, PHOTO.shape[1]), 8)
    (tmp_path / "a.png").write_bytes(whole[:8] + taller + whole[8 + len(taller) :])
    with pytest.raises(ImageFileError, match="20 of 40 rows are missing"):
        bands(tmp_path / "a.png")


def test_a_profile_that_unpacks_to_gigabytes_is_cut_off(tmp_path) -> None:
    bomb = zlib.compress(bytes(2**26))
    (tmp_path / "a.png").write_bytes(written(PHOTO[:4, :4]))
    whole = (tmp_path / "a.png").read_bytes()
    chunk = png._chunk(b"iCCP", b"x\0\0" + bomb)
    (tmp_path / "a.png").write_bytes(whole[:33] + chunk + whole[33:])
    icc = png.read_statement(tmp_path / "a.png").icc
    assert icc is not None
    assert len(icc) <= 2**24
