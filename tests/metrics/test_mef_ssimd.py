"""MEF-SSIM of dynamic scenes: MEF-SSIM where nothing moves, and a price on ghosts."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from dmef_bench.errors import ImageContractError
from dmef_bench.exposure.camera_response import Sigmoid
from dmef_bench.exposure.synthesis import expose
from dmef_bench.metrics import mef_ssim, mef_ssimd
from dmef_bench.scene import ExposureStack

EVS = (-1.0, 0.0, 1.0)
PLACES = (20, 180, 340)


def stacked(frames):
    exposures = (expose(frame, ev, Sigmoid()) for frame, ev in zip(frames, EVS, strict=True))
    return ExposureStack(tuple(exposures), EVS)


def cat_at(left):
    """A cup of coffee, and a cat of 120 x 140 pixels before it."""
    scene = data.coffee()
    scene[140:260, left : left + 140] = data.chelsea()[60:180, 120:260]
    return scene


def fused_by_mertens(exposures):
    fused = cv2.createMergeMertens().process([np.ascontiguousarray(e) for e in exposures])
    return np.clip(fused * 255 + 0.5, 0, 255).astype(np.uint8)


def without_ghosts(place):
    """What a perfect method makes of the walking cat: all exposures of one moment."""
    return fused_by_mertens(stacked([cat_at(place)] * 3).encoded)


WALK = stacked([cat_at(place) for place in PLACES])


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_it_is_mef_ssim_where_nothing_moves(name):
    stack = stacked([getattr(data, name)()] * 3)
    fused = fused_by_mertens(stack.encoded)
    # Darkest codes of the middle exposure stand for several of the bright one: 1 patch in 10,000
    # may seem to move, and is too few to have a say, but is missing from the rest.
    assert mef_ssimd(fused, stack) == pytest.approx(mef_ssim(fused, stack), abs=1e-4)


def test_identical_exposures_score_exactly_one():
    photo = data.astronaut()
    assert mef_ssimd(photo, ExposureStack((photo, photo, photo), None)) == 1.0
    assert mef_ssimd(photo, ExposureStack((photo,), None, reference=0)) == 1.0


@pytest.mark.parametrize("place", PLACES)
def test_ghosts_cost_more_than_following_any_one_exposure(place):
    clean = without_ghosts(place)
    ghosts = fused_by_mertens(WALK.encoded)
    assert mef_ssimd(clean, WALK) > mef_ssimd(ghosts, WALK) + 0.05
    # MEF-SSIM itself asks for the structure of all three cats, one over the other.
    assert mef_ssim(clean, WALK) < mef_ssim(ghosts, WALK)


def test_a_blank_thing_that_covers_texture_moves_although_it_shows_no_structure():
    ground = np.clip(data.chelsea().astype(int) // 2 + 20, 0, 120).astype(np.uint8)
    covered = ground.copy()
    covered[80:200, 100:350] = 200
    stack = stacked([ground, covered, ground])
    clean = fused_by_mertens(stacked([covered] * 3).encoded)
    # Were the blank patches taken for still ones, the texture beneath would be missed.
    assert mef_ssimd(clean, stack) > 0.97
    assert mef_ssim(clean, stack) < 0.92


def test_a_half_transparent_ghost_costs_the_more_the_stronger_it_is():
    clean, other = (without_ghosts(place).astype(np.float64) for place in PLACES[1:])
    scores = [
        mef_ssimd(((1 - share) * clean + share * other).astype(np.uint8), WALK)
        for share in (0, 0.15, 0.3, 0.5)
    ]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[-1] + 0.05


def test_blur_and_noise_cost_in_moving_scenes_too():
    clean = without_ghosts(PLACES[1])
    noise = np.random.default_rng(0).normal(0, 12, clean.shape)
    for spoiled in (cv2.GaussianBlur(clean, (0, 0), 1.5), np.clip(clean + noise, 0, 255)):
        assert mef_ssimd(spoiled.astype(np.uint8), WALK) < mef_ssimd(clean, WALK) - 0.03


def test_the_order_of_the_exposures_does_not_matter_if_the_reference_stays():
    fused = without_ghosts(PLACES[1])
    turned = ExposureStack(tuple(WALK.encoded[k] for k in (1, 2, 0)), None, reference=0)
    # Sums of three in another order.
    assert mef_ssimd(fused, turned) == pytest.approx(mef_ssimd(fused, WALK), abs=1e-12)


def test_another_size_is_refused():
    with pytest.raises(ImageContractError, match=r"fused is 600x399; 600x400"):
        mef_ssimd(cat_at(20)[:399], WALK)
