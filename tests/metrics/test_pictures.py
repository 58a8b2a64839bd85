"""The door: float32 and uint8 become the same codes, and everything else stays outside."""

from __future__ import annotations

import numpy as np
import pytest

from dmef_bench.errors import ImageContractError
from dmef_bench.metrics.pictures import as_code_pair, as_codes
from dmef_bench.scene import to_float, to_uint8

RNG = np.random.default_rng(255)
PHOTO = RNG.integers(0, 256, (150, 20, 3), dtype=np.uint8)


def test_every_code_survives_the_way_to_float_and_back():
    codes = np.arange(256, dtype=np.uint8).reshape(-1, 1, 1).repeat(3, axis=2)
    assert np.array_equal(as_codes(to_float(codes), name="ramp"), codes)


def test_halves_round_up():
    # Half to even, the rule of rint and convertScaleAbs, would send 0.5, 2.5, 4.5 ... down.
    below = np.arange(0, 254, 2)
    halves = ((below + 0.5) / 255).astype(np.float32)
    exact = halves * np.float32(255) == below + 0.5
    assert exact.sum() > 50  # most of them are halves in float32, too
    picture = halves[exact].reshape(-1, 1, 1).repeat(3, axis=2)
    assert np.array_equal(as_codes(picture, name="halves")[:, 0, 0], below[exact] + 1)


def test_rounding_in_bands_is_rounding_at_once():
    picture = RNG.random((150, 20, 3), dtype=np.float32)
    assert np.array_equal(as_codes(picture, name="noise"), to_uint8(picture))


def test_uint8_passes_untouched():
    assert np.shares_memory(as_codes(PHOTO, name="photo"), PHOTO)


def test_a_float_prediction_meets_a_uint8_truth():
    codes, truth = as_code_pair(to_float(PHOTO), PHOTO)
    assert np.array_equal(codes, truth)


@pytest.mark.parametrize(
    ("picture", "complaint"),
    [
        (np.zeros((4, 4, 3)), "float64.*astype"),
        (np.zeros((4, 4, 3), np.uint16), "uint16.*65535"),
        (np.zeros((4, 4, 2), np.float32), "shape"),
        (np.zeros((4, 4), np.uint8), "shape"),
        (np.zeros((0, 4, 3), np.uint8), "shape"),
        (np.full((4, 4, 3), np.nan, np.float32), "NaN"),
        (np.full((4, 4, 3), 1.0001, np.float32), "1.0001"),
        (np.full((4, 4, 3), -1e-6, np.float32), "-1e-06"),
        ([[[0, 0, 0]]], "list"),
    ],
)
def test_what_is_no_picture_is_refused_and_named(picture, complaint):
    with pytest.raises(ImageContractError, match="fused.*" + complaint):
        as_codes(picture, name="fused")


def test_two_sizes_are_refused_with_both():
    with pytest.raises(ImageContractError, match="fused is 20x149; 20x150"):
        as_code_pair(PHOTO[:-1], PHOTO)
