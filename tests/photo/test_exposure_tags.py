"""Stops from EXIF: light is time times sensitivity over the square of the f-number."""

from __future__ import annotations

from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dmef_bench.photo.exposure_tags import (
    EXIF_IFD,
    ExposureTags,
    parse_exif,
    stops_between,
    tags_from,
)


def test_a_stop_is_twice_the_time_or_the_iso_or_half_the_aperture_squared() -> None:
    base = ExposureTags(1 / 100, 8.0, 100)
    assert stops_between([base, ExposureTags(1 / 50, 8.0, 100)]) == (0.0, 1.0)
    assert stops_between([base, ExposureTags(1 / 100, 8.0, 200)]) == (0.0, 1.0)
    assert stops_between([base, ExposureTags(1 / 100, 4.0, 100)]) == (0.0, 2.0)


def test_what_no_picture_states_has_not_changed() -> None:
    manual_lens = [ExposureTags(1 / 8, None, 100), ExposureTags(1 / 2, None, 100)]
    assert stops_between(manual_lens) == (0.0, 2.0)


def test_what_only_some_pictures_state_is_no_help() -> None:
    assert stops_between([ExposureTags(1 / 8, 4.0), ExposureTags(1 / 2, None)]) is None
    assert stops_between([ExposureTags(None), ExposureTags(1 / 2)]) is None
    assert stops_between([ExposureTags(), ExposureTags()]) is None
    assert stops_between([]) is None


def test_tags_survive_the_way_through_a_file() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(EXIF_IFD).update({0x829A: 1 / 250, 0x829D: 2.8, 0x8827: 400})
    tags = parse_exif(exif.tobytes())
    assert tags.orientation == 6
    # Rationals are rounded to what two 32-bit integers hold.
    assert astuple(tags.exposure) == pytest.approx((1 / 250, 2.8, 400.0))


@pytest.mark.parametrize("value", [None, (0, 1), (), "soon", -1, float("nan"), b"\0"])
def test_what_is_no_positive_number_counts_as_not_stated(value) -> None:
    assert tags_from(1, {0x829A: value}).exposure.time_s is None


@pytest.mark.parametrize("value", [0, 9, 99, None, "up", (), -3])
def test_an_orientation_that_does_not_exist_is_upright(value) -> None:
    assert tags_from(value, {}).orientation == 1


@given(st.binary(max_size=200))
def test_any_bytes_are_read_as_exif_or_as_nothing(noise) -> None:
    for block in (noise, b"Exif\0\0II*\0" + noise, b"Exif\0\0MM\0*" + noise):
        assert 1 <= parse_exif(block).orientation <= 8
