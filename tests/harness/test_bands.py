"""Rows in and rows out: what is read is the picture, and a method cannot write nonsense."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from dmef_bench.errors import ImageContractError
from dmef_bench.harness.bands import PictureRows, PictureSink, Scratch, to_codes
from dmef_bench.method import RowReader, RowSink
from dmef_bench.scene import to_float, to_uint8

PHOTO = data.chelsea()


def sink(size=PHOTO.shape[:2], bits=8):
    written = []
    return PictureSink(written.append, size, bits, "fake"), written


def test_scratch_holds_what_is_put_into_it_and_leaves_no_file(tmp_path) -> None:
    scratch = Scratch(tmp_path)
    kept = scratch.empty(PHOTO.shape, np.uint8)
    other = scratch.empty((3, 5), np.uint16)
    kept[...] = PHOTO
    other[...] = 7
    scratch.release()
    assert np.array_equal(kept, PHOTO)
    assert (other == 7).all()
    assert not list(tmp_path.iterdir())


def test_any_band_is_the_picture_there() -> None:
    rows: RowReader = PictureRows([PHOTO, PHOTO.astype(np.uint16) * 257], (-1.0, 1.0))
    for start, stop in ((0, 1), (17, 90), (0, len(PHOTO)), (299, 300)):
        dark, bright = rows.read(start, stop)
        assert np.array_equal(dark, to_float(PHOTO[start:stop]))
        # 257 code / 65535 is code / 255 but for the last bit of a float32.
        assert np.allclose(bright, dark, rtol=0, atol=1e-7)


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (5, 5), (6, 5), (290, 301)])
def test_rows_that_are_not_there_are_refused(start, stop) -> None:
    with pytest.raises(ImageContractError, match="rows"):
        PictureRows([PHOTO], None).read(start, stop)


def test_a_sink_hands_on_the_codes_in_order() -> None:
    target, written = sink()
    picture = to_float(PHOTO)
    typed: RowSink = target
    for top in range(0, len(picture), 41):
        typed.write(top, picture[top : top + 41])
    target.close()
    assert np.array_equal(np.concatenate(written), PHOTO)


@pytest.mark.parametrize(
    ("start", "rows", "told"),
    [
        (1, np.zeros((1, 451, 3), np.float32), "row 0 of 300 was due"),
        (0, np.zeros((301, 451, 3), np.float32), "row 0 of 300 was due"),
        (0, np.zeros((1, 450, 3), np.float32), "450x1"),
        (0, np.full((1, 451, 3), np.nan, np.float32), "NaN"),
        (0, np.full((1, 451, 3), 1.01, np.float32), r"\[0, 1\]"),
        (0, np.zeros((1, 451, 3), np.float64), "float64"),
    ],
)
def test_a_sink_takes_nothing_but_the_next_rows_of_a_picture(start, rows, told) -> None:
    target, written = sink()
    with pytest.raises(ImageContractError, match=told) as caught:
        target.write(start, rows)
    assert "fake" in str(caught.value)
    assert not written


def test_a_method_that_stops_early_is_told() -> None:
    target, _ = sink()
    target.write(0, to_float(PHOTO[:7]))
    with pytest.raises(ImageContractError, match="wrote 7 of 300 rows"):
        target.close()


def test_codes_of_8_bits_are_those_of_the_metrics() -> None:
    values = np.linspace(0, 1, 300_000, dtype=np.float32).reshape(-1, 100, 3)
    assert np.array_equal(to_codes(values, 8), to_uint8(values))


def test_all_65536_codes_survive_the_way_through_float32() -> None:
    codes = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1).repeat(3, axis=2)
    assert np.array_equal(to_codes(to_float(codes), 16), codes)
