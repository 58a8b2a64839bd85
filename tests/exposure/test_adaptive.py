"""The solved exposure clips the share that was asked for, on real photographs."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from dmef_bench.errors import ImageContractError, UsageError
from dmef_bench.exposure.adaptive import MEDIUM_EV, STEP_EV, adaptive_evs
from dmef_bench.exposure.camera_response import Beta, BetaGamma, Preferred, Sigmoid
from dmef_bench.exposure.synthesis import expose

PHOTOGRAPHS = {
    "astronaut": data.astronaut(),
    "coffee": data.coffee(),
    "chelsea": data.chelsea(),
    "rocket": data.rocket(),
}


def clipped(picture, ev, camera) -> float:
    return float(np.mean(expose(picture, ev, camera).max(axis=2) == 255))


def heaviest_code(picture) -> float:
    """The largest share of pixels that one code of the brightest channel holds."""
    return np.bincount(picture.max(axis=2).ravel()).max() / picture[..., 0].size


@pytest.mark.parametrize("camera", [Sigmoid(), Beta(), BetaGamma()], ids=lambda c: type(c).__name__)
@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea"])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_the_share_that_clips_is_the_one_asked_for(name, camera, share) -> None:
    picture = PHOTOGRAPHS[name]
    _, medium, _ = adaptive_evs(picture, camera, share)
    if medium not in MEDIUM_EV:
        # Pixels clip code by code: the share is met to within half of what one code holds.
        assert abs(clipped(picture, medium, camera) - share) <= heaviest_code(picture) / 2 + 1e-9


def test_low_has_a_quarter_and_high_four_times_the_light() -> None:
    low, medium, high = adaptive_evs(PHOTOGRAPHS["coffee"], Sigmoid())
    assert (medium - low, high - medium) == pytest.approx((STEP_EV, STEP_EV), abs=1e-9)
    assert 2 ** (high - low) == pytest.approx(16)


def test_sigmoid_agrees_with_the_formula() -> None:
    # kⁿ = ((1+σ)/P* − 1)/σ, for a picture of which 30 % lie at code 170 and none above.
    picture = np.full((10, 10, 3), 60, np.uint8)
    picture[:3] = 170
    n, sigma, p = 0.9, 0.6, 170 / 255
    ratio = (((1 + sigma) / p - 1) / sigma) ** (1 / n)
    # To the thousandth of a stop that is kept.
    assert adaptive_evs(picture, Sigmoid())[1] == pytest.approx(np.log2(ratio), abs=5e-4)


def test_the_darker_the_scene_the_longer_the_exposure() -> None:
    picture = PHOTOGRAPHS["coffee"]
    mediums = [adaptive_evs(expose(picture, ev, Sigmoid()), Sigmoid())[1] for ev in (0, -1, -2)]
    assert mediums == sorted(mediums)
    # One stop less light, one stop more exposure: to one code, a hundredth of a stop up there.
    assert mediums[1] - mediums[0] == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(("level", "medium"), [(255, MEDIUM_EV[0]), (2, MEDIUM_EV[1]), (0, 4.0)])
def test_white_and_black_pictures_stay_within_bounds(level, medium) -> None:
    flat = np.full((8, 8, 3), level, np.uint8)
    assert adaptive_evs(flat, Sigmoid())[1] == medium


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan")])
def test_shares_that_cannot_be_are_refused(share) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        adaptive_evs(PHOTOGRAPHS["coffee"], Sigmoid(), share)


def test_a_camera_that_never_clips_is_refused() -> None:
    with pytest.raises(UsageError, match="never clips"):
        adaptive_evs(PHOTOGRAPHS["coffee"], Preferred())


def test_only_stored_pictures_have_codes_to_count() -> None:
    with pytest.raises(ImageContractError):
        adaptive_evs(np.zeros((4, 4, 3), np.float32), Sigmoid())  # type: ignore[arg-type]
