"""Linear radiance: float64 elsewhere says the same, nothing is quantised, codes are refused."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from skimage import data
from skimage.metrics import structural_similarity

from dmef_bench.errors import ImageContractError
from dmef_bench.metrics.linear import psnr_l, psnr_mu, ssim_l, ssim_mu
from dmef_bench.metrics.tonemap import mu_law, to_display, to_radiance
from dmef_bench.scene import to_float

MEASURES = [psnr_l, psnr_mu, ssim_l, ssim_mu]


def radiances(name):
    """A photograph as light, some of it above 1, and a blurred rendering of it."""
    photo = getattr(data, name)()
    return tuple(
        (1.5 * (p / 255) ** 2.2).astype(np.float32) for p in (cv2.blur(photo, (3, 3)), photo)
    )


def compressed(radiance):
    return np.log(1 + 5000 * np.clip(radiance.astype(np.float64), 0, 1)) / np.log(5001)


def decibels(x, y):
    return -10 * math.log10(np.mean((x - y) ** 2))


def similarity(x, y):
    return structural_similarity(
        255 * x, 255 * y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        channel_axis=2, data_range=255,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["astronaut", "coffee", "rocket"])
def test_agrees_with_float64(name):
    fused, truth = radiances(name)
    x, y = compressed(fused), compressed(truth)
    # Float32 rounds every value by 6e-8 of itself, at random: dB move in the sixth digit.
    assert psnr_mu(fused, truth) == pytest.approx(decibels(x, y), abs=1e-5)
    clipped = [np.clip(p.astype(np.float64), 0, 1) for p in (fused, truth)]
    assert psnr_l(fused, truth) == pytest.approx(decibels(*clipped), abs=1e-5)
    # The tolerance is the target of the design.
    assert ssim_mu(fused, truth) == pytest.approx(similarity(x, y), abs=1e-6)
    assert ssim_l(fused, truth) == pytest.approx(similarity(*clipped), abs=1e-6)


def test_the_mu_law_runs_from_nothing_to_one_and_lifts_the_dark():
    light = np.linspace(0, 1, 1001, dtype=np.float32)
    assert mu_law(light)[[0, -1]].tolist() == [0, 1]
    assert (np.diff(mu_law(light)) > 0).all()
    # T'(0) = 5000 / ln 5001; one percent of the light is half of the scale.
    assert mu_law(np.float32([1e-7]))[0] == pytest.approx(1e-7 * 5000 / math.log(5001), rel=1e-3)
    assert mu_law(light)[10] == pytest.approx(math.log(51) / math.log(5001), rel=1e-6)


def test_display_gamma_and_back_is_the_same_light():
    light = np.linspace(0, 1, 1001, dtype=np.float32)
    # Two float32 powers, each within a few roundings of 6e-8.
    np.testing.assert_allclose(to_radiance(to_display(light)), light, rtol=1e-6)
    assert to_display(np.float32([4.0, -1.0])).tolist() == [1, 0]


def test_light_beyond_the_scale_is_clipped_on_both_sides():
    fused, truth = radiances("coffee")
    for measure in MEASURES:
        assert measure(np.clip(fused, 0, 1), truth) == measure(fused, truth)
    assert psnr_l(np.full_like(truth, np.inf), np.ones_like(truth)) == math.inf


def test_a_thousandth_is_seen_although_no_code_would_show_it():
    grey = np.full((20, 20, 3), 0.5, np.float32)
    assert psnr_l(grey + np.float32(0.001), grey) == pytest.approx(60, abs=1e-3)
    assert psnr_l(grey, grey) == psnr_mu(grey, grey) == math.inf


@pytest.mark.parametrize("measure", MEASURES)
def test_what_is_no_radiance_is_refused(measure):
    photo = data.rocket()
    light = to_float(photo)
    with pytest.raises(ImageContractError, match="uint8, which is display-encoded"):
        measure(light, photo)
    with pytest.raises(ImageContractError, match="fused is float64"):
        measure(light.astype(np.float64), light)
    with pytest.raises(ImageContractError, match=r"640x426.*640x427"):
        measure(light[:426], light)
    holed = light.copy()
    holed[3, 4, 1] = np.nan
    with pytest.raises(ImageContractError, match="ground_truth holds NaN"):
        measure(light, holed)
