"""Luma: the restoration field's PSNR and SSIM on Y, in float64 elsewhere."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from dmef_bench.metrics import psnr
from dmef_bench.metrics.luma import psnr_y, ssim_y

PHOTOS = ["astronaut", "chelsea", "coffee", "rocket"]


def luma(codes):
    return 16 + (codes / 255) @ np.array([65.481, 128.553, 24.966])


def photo_and_blur(name):
    photo = getattr(data, name)()
    return photo, cv2.GaussianBlur(photo, (0, 0), 0.9)


@pytest.mark.parametrize("name", PHOTOS)
def test_psnr_agrees_with_scikit_image(name):
    photo, worse = photo_and_blur(name)
    expected = peak_signal_noise_ratio(luma(photo), luma(worse), data_range=255)
    # Differences of codes are exact; float32 rounds their luma by 6e-8 of itself.
    assert psnr_y(worse, photo) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", PHOTOS)
def test_ssim_agrees_with_scikit_image(name):
    photo, worse = photo_and_blur(name)
    expected = structural_similarity(
        luma(worse),
        luma(photo),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
    )
    assert ssim_y(worse, photo) == pytest.approx(expected, abs=1e-6)  # the target of the design


def test_grey_errors_gain_the_studio_swing_alone():
    photo = np.minimum(data.coffee(), 250)
    assert psnr_y(photo + np.uint8(5), photo) - psnr(photo + np.uint8(5), photo) == pytest.approx(
        20 * math.log10(255 / 219), abs=1e-5
    )


def test_pictures_of_one_luma_are_infinitely_alike():
    assert psnr_y(data.rocket(), data.rocket()) == math.inf
    assert ssim_y(data.rocket(), data.rocket()) == 1.0


def test_the_score_of_luma_is_the_same_for_any_number_of_threads():
    photo, worse = photo_and_blur("chelsea")
    assert len({ssim_y(worse, photo, threads=n) for n in (None, 1, 2, 5)}) == 1
