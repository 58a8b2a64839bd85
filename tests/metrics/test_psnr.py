"""PSNR: exact sums of squares, known decibels, no cap."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from dmef_bench.errors import ImageContractError
from dmef_bench.metrics import psnr
from dmef_bench.metrics.psnr import decibels, squared_error
from dmef_bench.scene import to_float


def counted(a, b):
    """The sum of squares in integers, which cannot round."""
    return int(((a.astype(np.int64) - b) ** 2).sum())


def two_noises(shape, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (2, *shape), dtype=np.uint8)


def test_51_codes_apart_are_20_log10_of_5():
    black = np.zeros((7, 9, 3), np.uint8)
    assert psnr(black + np.uint8(51), black) == pytest.approx(20 * math.log10(5), abs=1e-12)
    assert psnr(np.full((7, 9, 3), 0.2, np.float32), black) == psnr(black + np.uint8(51), black)


def test_identical_pictures_are_infinitely_alike():
    photo = data.chelsea()
    assert psnr(photo, photo) == math.inf
    assert psnr(to_float(photo), photo) == math.inf


def test_agrees_with_scikit_image():
    photo = data.coffee()
    worse = np.clip(photo.astype(int) + 9, 0, 255).astype(np.uint8)
    # Both are a handful of float64 operations away from the same integer.
    assert psnr(worse, photo) == pytest.approx(
        peak_signal_noise_ratio(photo, worse, data_range=255), abs=1e-10
    )


@settings(deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_the_sum_of_squares_is_exact_for_any_size(height, width, seed):
    a, b = two_noises((height, width, 3), seed)
    assert squared_error(a, b) == (counted(a, b), 3 * height * width)


# Seed 0 at 4K: OpenCV 5 answers ...193.00003 where 4 answers the integer.
@pytest.mark.parametrize("shape", [(2160, 3840, 3), (1081, 1917, 3)])
def test_the_sum_of_squares_is_exact_for_large_pictures(shape):
    a, b = two_noises(shape)
    assert squared_error(a, b)[0] == counted(a, b)


def test_the_sum_of_squares_is_exact_at_its_largest():
    black = np.zeros((2160, 3840, 3), np.uint8)
    assert squared_error(black, ~black) == (24_883_200 * 255**2, 24_883_200)


def test_one_code_apart_does_not_wrap_around():
    seven = np.full((33, 17, 3), 7, np.uint8)
    assert squared_error(seven, seven + np.uint8(1))[0] == seven.size
    assert squared_error(seven + np.uint8(1), seven)[0] == seven.size


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[::-1],
        lambda a: a[:, ::-1],
        lambda a: a[..., ::-1],
        lambda a: a[::2, ::3],
        lambda a: a[3:-4, 5:-6],
        lambda a: a.transpose(1, 0, 2),
        np.asfortranarray,
    ],
)
def test_views_count_like_copies(view):
    a, b = (view(noise) for noise in two_noises((61, 47, 3)))
    assert squared_error(a, b)[0] == counted(a, b)


def test_the_pooled_value_is_that_of_the_pictures_joined():
    a, b = two_noises((40, 30, 3))
    sums, samples = zip(squared_error(a[:10], b[:10]), squared_error(a[10:], b[10:]), strict=True)
    assert decibels(sum(sums), sum(samples)) == psnr(a, b)


def test_two_sizes_are_refused():
    a, b = two_noises((8, 8, 3))
    with pytest.raises(ImageContractError, match="8x7"):
        psnr(a[:7], b)
