"""Patches known by their moments: exact, cut as one likes, at three scales."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from skimage import data

from dmef_bench.errors import ImageContractError
from dmef_bench.metrics.structural_patches import (
    PATCH,
    Patches,
    over_scales,
    patches_by_scale,
)

CAMERA = data.camera()


def as_vectors(plane):
    """Every patch as a row of 64 numbers, float64."""
    windows = sliding_window_view(plane.astype(np.float64), (PATCH, PATCH))
    return windows.reshape(*windows.shape[:2], PATCH**2)


def halved(plane):
    height, width = (side // 2 for side in plane.shape)
    even = plane[: 2 * height, : 2 * width].astype(np.float64)
    return even.reshape(height, 2, width, 2).mean((1, 3))


def test_moments_are_exact_at_every_scale():
    planes = [CAMERA[:91, :120], CAMERA[100:191, 60:180]]
    found = list(patches_by_scale(planes))
    for scale in range(3):
        strips = [patches for level, patches in found if level == scale]
        x, y = (as_vectors(plane) for plane in planes)
        mean = np.concatenate([first.mean for first, _ in strips])
        covariance = np.concatenate([first.covariance(second) for first, second in strips])
        # Numbers of a few binary digits, divided by powers of two: float64 holds every step.
        assert np.array_equal(mean, x.mean(-1))
        assert np.array_equal(covariance, (x * y).mean(-1) - x.mean(-1) * y.mean(-1))
        planes = [halved(plane) for plane in planes]


@pytest.mark.parametrize("height", [32, 39, 40, 71, 103])
def test_strips_hold_every_patch_once(height):
    plane = CAMERA[:height, :50]
    strips = [patches[0] for scale, patches in patches_by_scale([plane]) if scale == 0]
    whole = Patches(plane.astype(np.float32)).variance
    assert np.array_equal(np.concatenate([strip.variance for strip in strips]), whole)


def test_a_flat_patch_has_no_contrast_at_all():
    for _, (patches,) in patches_by_scale([np.full((40, 70), 77, np.uint8)]):
        assert not patches.contrast.any()


def test_scales_are_weighted_and_an_empty_one_has_no_say():
    weights, means = np.array([0.0448, 0.2856, 0.3001]), np.array([0.9, 0.8, 0.7])
    expected = np.prod(means ** (weights / weights.sum()))
    assert over_scales(means, np.ones(3)) == pytest.approx(expected, abs=1e-15)
    two = np.prod(means[:2] ** (weights[:2] / weights[:2].sum()))
    assert over_scales(means, np.array([9, 4, 0])) == pytest.approx(two, abs=1e-15)
    assert over_scales(np.array([0.9, -0.1, 0.7]), np.ones(3)) == 0


def test_less_than_one_patch_at_the_coarsest_scale_is_refused():
    assert [scale for scale, _ in patches_by_scale([CAMERA[:32, :32]])] == [0, 1, 2]
    with pytest.raises(ImageContractError, match=r"40x31; MEF-SSIM needs 32 pixels a side"):
        next(patches_by_scale([CAMERA[:31, :40]]))
