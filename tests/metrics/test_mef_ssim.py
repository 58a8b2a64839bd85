"""MEF-SSIM: the paper's equations patch by patch, and what a measure of fusion must say."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from skimage import data

from dmef_bench.errors import ImageContractError
from dmef_bench.exposure.camera_response import Sigmoid
from dmef_bench.exposure.synthesis import expose
from dmef_bench.metrics import mef_ssim
from dmef_bench.metrics.grey import grey_codes
from dmef_bench.scene import ExposureStack, to_float

C = (0.03 * 255) ** 2
WEIGHTS = np.array([0.0448, 0.2856, 0.3001])


def exposed(photo, evs=(-2.0, 0.0, 2.0)):
    """A still scene, exposed as often as one likes."""
    return ExposureStack(tuple(expose(photo, ev, Sigmoid()) for ev in evs), evs)


def fused_by_mertens(stack):
    fused = cv2.createMergeMertens().process([np.ascontiguousarray(e) for e in stack.encoded])
    return np.clip(fused * 255 + 0.5, 0, 255).astype(np.uint8)


def half_size(path):
    """A JPEG of twelve megapixels, as RGB of three."""
    return cv2.imread(str(path), cv2.IMREAD_REDUCED_COLOR_2)[..., ::-1]


def noisy(photo, sigma):
    noise = np.random.default_rng(0).normal(0, sigma, photo.shape)
    return np.clip(photo + noise, 0, 255).astype(np.uint8)


def of_one_patch(y, xs):
    """S of one fused patch and its exposures, vectors of 64, as the paper writes it."""
    xs, y = [x - x.mean() for x in xs], y - y.mean()
    contrasts = [np.linalg.norm(x) for x in xs]
    desired = np.zeros(64)
    if max(contrasts) > 0:
        p = np.tan(np.pi / 2 * min(np.linalg.norm(sum(xs)) / sum(contrasts), 1))
        weights = [(c / max(contrasts)) ** p if c else 0 for c in contrasts]
        mean = sum(w * x / c for w, x, c in zip(weights, xs, contrasts, strict=True) if c)
        if np.linalg.norm(mean) > 1e-6:
            desired = max(contrasts) * mean / np.linalg.norm(mean)
    return (2 * (desired @ y) / 64 + C) / (desired @ desired / 64 + y @ y / 64 + C)


def as_vectors(plane):
    return sliding_window_view(plane, (8, 8)).reshape(-1, 64)


def halved(plane):
    return cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def written_out(fused, stack):
    """The whole measure, one patch after the other."""
    planes = [grey_codes(p).astype(np.float64) for p in (fused, *stack.encoded)]
    score = 1.0
    for weight in WEIGHTS / WEIGHTS.sum():
        patches = zip(*map(as_vectors, planes), strict=True)
        score *= np.mean([of_one_patch(y, xs) for y, *xs in patches]) ** weight
        planes = [halved(plane) for plane in planes]
    return score


@pytest.mark.parametrize("spoil", [0, 12])
@pytest.mark.parametrize("name", ["astronaut", "chelsea"])
def test_equals_the_equations_written_out(name, spoil):
    photo = getattr(data, name)()[60:124, 200:272]  # 64 x 72: two strips
    stack = exposed(photo)
    fused = noisy(fused_by_mertens(stack), spoil)
    # The same float64 numbers summed in another order, then a power of them.
    assert mef_ssim(fused, stack) == pytest.approx(written_out(fused, stack), abs=1e-9)


def test_contradicting_exposures_are_weighed_as_the_equations_say():
    photo = data.coffee()[:64, 100:164]
    stack = ExposureStack((photo, np.flip(photo, 1), 255 - photo), None)
    assert mef_ssim(photo, stack) == pytest.approx(written_out(photo, stack), abs=1e-9)


def test_exposures_that_cancel_out_leave_nothing_to_be_desired():
    grey = data.camera()[..., None].repeat(3, axis=2)
    stack = ExposureStack((grey, 255 - grey), None)
    assert mef_ssim(np.full_like(grey, 90), stack) == 1.0
    assert mef_ssim(grey, stack) < 0.6


def test_exposures_that_all_are_the_fused_picture_score_exactly_one():
    photo = data.astronaut()
    assert mef_ssim(photo, ExposureStack((photo, photo, photo), None)) == 1.0
    assert mef_ssim(to_float(photo), ExposureStack((photo, photo), None)) == 1.0


def test_brightness_does_not_matter_and_contrast_does():
    photo = data.coffee() // 2 + np.uint8(30)
    stack = ExposureStack((photo, photo // 2), None)
    assert mef_ssim(photo + np.uint8(60), stack) == mef_ssim(photo, stack) > 0.99
    assert mef_ssim(photo // 2, stack) < mef_ssim(photo, stack) - 0.05


def test_the_order_of_the_exposures_does_not_matter():
    stack = exposed(data.chelsea())
    fused = fused_by_mertens(stack)
    scores = [
        mef_ssim(fused, ExposureStack(tuple(stack.encoded[k] for k in order), None))
        for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0))
    ]
    # Sums of three in another order.
    assert scores == pytest.approx([scores[0]] * 4, abs=1e-12)


@pytest.mark.parametrize("name", ["astronaut", "coffee", "rocket"])
def test_fusion_keeps_more_structure_than_any_exposure_and_than_their_average(name):
    stack = exposed(getattr(data, name)(), (-3.0, 0.0, 3.0))
    average = np.mean(stack.encoded, axis=0).astype(np.uint8)
    fused = mef_ssim(fused_by_mertens(stack), stack)
    assert fused > max(mef_ssim(other, stack) for other in (*stack.encoded, average))


def test_blur_and_noise_cost_the_more_the_stronger_they_are():
    stack = exposed(data.coffee())
    fused = fused_by_mertens(stack)
    blurred = [mef_ssim(cv2.GaussianBlur(fused, (0, 0), sigma), stack) for sigma in (0.5, 1, 2, 4)]
    spoiled = [mef_ssim(noisy(fused, sigma), stack) for sigma in (2, 5, 10, 20)]
    for scores in (blurred, spoiled):
        assert scores == sorted(scores, reverse=True)
        assert mef_ssim(fused, stack) > scores[0] > scores[-1] + 0.05


def test_an_inverted_picture_is_worth_nothing_and_no_error():
    stack = exposed(data.chelsea())
    assert mef_ssim(255 - stack.encoded[1], stack) == 0.0


def test_fusing_four_phone_exposures_keeps_more_than_any_of_them(shared):
    lamps = slice(1125, 1500), slice(1000, 2000)  # the brightest exposure lacks their light
    exposures = tuple(
        np.ascontiguousarray(half_size(shared(f"scenes/meflut_1/{k}.jpg"))[lamps])
        for k in (3, 2, 1, 0)
    )
    stack = ExposureStack(exposures, None)
    assert mef_ssim(fused_by_mertens(stack), stack) > max(mef_ssim(e, stack) for e in exposures)


def test_another_size_is_refused():
    stack = exposed(data.rocket())
    with pytest.raises(ImageContractError, match=r"fused is 640x426; 640x427"):
        mef_ssim(data.rocket()[:426], stack)
    with pytest.raises(ImageContractError, match="needs 32 pixels"):
        mef_ssim(data.rocket()[:20], exposed(data.rocket()[:20]))
