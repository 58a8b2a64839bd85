"""One way to call every measure: pictures, radiance, stacks, and what is missing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage import data

from dmef_bench.errors import ImageContractError
from dmef_bench.metrics import METRICS, psnr, ssim
from dmef_bench.metrics.linear import psnr_l
from dmef_bench.metrics.masked import psnr_clipped
from dmef_bench.metrics.tonemap import to_display, to_radiance
from dmef_bench.scene import ExposureStack, Scene, to_float, to_uint8

PHOTO = data.chelsea()
WORSE = np.clip(PHOTO.astype(int) + np.random.default_rng(0).integers(-9, 10, PHOTO.shape), 0, 255)
WORSE = WORSE.astype(np.uint8)
BRIGHT = np.minimum(PHOTO.astype(int) * 2, 255).astype(np.uint8)
STACK = ExposureStack((PHOTO // 4, BRIGHT), None, reference=1)


def measured(name, fused, truth, **options):
    return METRICS[name].measure(fused, Scene("chelsea", STACK, truth), **options)


def test_a_display_encoded_truth_is_compared_as_it_is():
    assert measured("psnr", WORSE, PHOTO).value == psnr(WORSE, PHOTO)
    assert measured("ssim", to_float(WORSE), PHOTO, threads=1).value == ssim(WORSE, PHOTO)
    assert measured("psnr", WORSE, PHOTO.astype(np.uint16) * 257).value == psnr(WORSE, PHOTO)


def test_a_linear_truth_is_seen_through_the_display_gamma():
    radiance = 2 * to_radiance(to_float(PHOTO))  # the bright half will be clipped
    seen = to_uint8(np.minimum(radiance, 1) ** np.float32(1 / 2.2))
    assert measured("psnr", WORSE, radiance).value == psnr(WORSE, seen)
    assert measured("psnr", seen, radiance).value == math.inf


def test_radiance_is_compared_with_the_picture_taken_back():
    radiance = to_radiance(to_float(PHOTO))
    expected = psnr_l(to_float(WORSE) ** np.float32(2.2), radiance)
    assert measured("psnr-l", to_float(WORSE), radiance).value == expected
    assert measured("psnr-l", WORSE, radiance).value == expected
    # Not quantised on the way: 8-bit codes would leave some 60 dB.
    assert measured("psnr-l", to_display(radiance), radiance).value > 120


@pytest.mark.parametrize("name", ["psnr-l", "psnr-mu", "ssim-mu"])
def test_radiance_is_not_made_up_from_codes(name):
    with pytest.raises(ImageContractError, match=f"{name} needs linear radiance; .*chelsea is"):
        measured(name, WORSE, PHOTO)


def test_measures_over_masks_bring_their_sums():
    found = measured("psnr-clipped", WORSE, PHOTO)
    assert found == psnr_clipped(WORSE, PHOTO, STACK)
    assert found.sse > 0
    assert measured("psnr", WORSE, PHOTO).sse is None


def test_without_a_truth_only_the_exposures_can_be_asked():
    assert measured("psnr", WORSE, None).value is None
    assert measured("psnr-clipped", WORSE, None).reason == (
        "psnr-clipped needs a ground truth; there is none."
    )
    assert 0 < measured("mef-ssim", WORSE, None).value < 1


@pytest.mark.parametrize("name", ["psnr", "psnr-l"])
def test_double_precision_is_refused_and_not_rescaled(name):
    truth = to_float(PHOTO) if name == "psnr-l" else PHOTO
    with pytest.raises(ImageContractError, match=r"fused is float64.*astype"):
        measured(name, WORSE / 255, truth)
