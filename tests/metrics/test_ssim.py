"""SSIM: the definition scikit-image computes in float64, for any size and any number of threads."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data
from skimage.metrics import structural_similarity

from dmef_bench.errors import ImageContractError, UsageError
from dmef_bench.metrics import ssim
from dmef_bench.scene import to_float


def oracle(x, y):
    return structural_similarity(
        x,
        y,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=2,
        data_range=255,
    )


def as_uint8(values):
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def noisy(photo, sigma, seed=0):
    return as_uint8(photo + np.random.default_rng(seed).normal(0, sigma, photo.shape))


def test_wangs_camera_value():
    # scikit-image's own test of the published author code; their window differs in the sixth digit.
    camera = data.camera()
    noise = 20 * np.random.RandomState(5).randn(512, 512)
    degraded = np.clip(camera + noise, 0, 255).astype(np.uint8)
    score = ssim(degraded[..., None].repeat(3, axis=2), camera[..., None].repeat(3, axis=2))
    assert score == pytest.approx(0.357959091663361, abs=1e-5)
    assert score == pytest.approx(0.3579642362365813, abs=1e-6)


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_agrees_with_scikit_image_on_photographs(name):
    photo = getattr(data, name)()
    blurred = noisy(cv2.GaussianBlur(photo, (0, 0), 0.8), 3)
    # The target of the design; float32 strips stay a hundred times below it.
    assert ssim(blurred, photo) == pytest.approx(oracle(blurred, photo), abs=1e-6)


# One window; strips of 32 map rows just filled, just overfull, and with a single row left over.
@pytest.mark.parametrize("height", [11, 12, 41, 42, 43, 74, 75])
@pytest.mark.parametrize("width", [11, 50])
def test_strips_fit_together_at_any_height(height, width):
    photo = data.coffee()[100 : 100 + height, 200 : 200 + width]
    assert ssim(noisy(photo, 9), photo) == pytest.approx(oracle(noisy(photo, 9), photo), abs=1e-6)


@pytest.mark.parametrize("colour", [0, 10, 128, 245, 255, (250, 5, 5), (10, 10, 200)])
def test_frames_dark_or_bright_throughout_keep_their_digits(colour):
    # With one fixed shift the dark grey is off by 2e-6, with one shift for all channels the red
    # by 7e-6: float32 then squares numbers of hundreds to find a variance of tens.
    flat = np.full((240, 320, 3), colour, np.uint8)
    # Rounding errors of a strip lie around 1e-8; ten times that is room for another CPU.
    assert ssim(noisy(flat, 6), flat) == pytest.approx(oracle(noisy(flat, 6), flat), abs=1e-7)


def test_the_score_is_the_same_to_the_last_bit_for_any_number_of_threads():
    photo = data.astronaut()[:501]
    scores = {ssim(noisy(photo, 5), photo, threads=n) for n in (None, 1, 2, 3, 16, 64)}
    assert len(scores) == 1


def test_identical_pictures_score_exactly_one():
    photo = data.rocket()
    assert ssim(photo, photo) == 1.0
    assert ssim(to_float(photo), photo) == 1.0


def test_black_against_white_is_c1_over_c1_plus_255_squared():
    black = np.zeros((30, 40, 3), np.uint8)
    c1 = 0.01**2
    # Both pictures are flat: the contrast term is 1. Float32 carries 65025 + c1 to 1e-7 of itself.
    assert ssim(black, ~black) == pytest.approx(c1 / (1 + c1), abs=1e-6)


def test_swapping_the_pictures_or_the_channels_changes_nothing():
    photo = data.chelsea()
    worse = noisy(photo, 12)
    assert ssim(photo, worse) == ssim(worse, photo)
    # Interleaved channels may meet other vector lanes; float32 sums differ by less than this.
    assert ssim(worse[..., ::-1], photo[..., ::-1]) == pytest.approx(ssim(worse, photo), abs=1e-9)


@pytest.mark.parametrize("view", [lambda a: a[::-1], lambda a: a[:, 7:-9], lambda a: a[::2, ::2]])
def test_views_score_like_copies_and_stay_untouched(view):
    photo = data.chelsea()
    worse = noisy(photo, 12)
    before = photo.copy(), worse.copy()
    for picture in (photo, worse):
        picture.flags.writeable = False
    assert ssim(view(worse), view(photo)) == ssim(view(worse).copy(), view(photo).copy())
    assert np.array_equal(photo, before[0])
    assert np.array_equal(worse, before[1])


def test_less_than_one_window_is_refused():
    with pytest.raises(ImageContractError, match=r"40x10.*11 pixels"):
        ssim(np.zeros((10, 40, 3), np.uint8), np.zeros((10, 40, 3), np.uint8))


def test_no_threads_are_refused():
    with pytest.raises(UsageError, match="threads is 0"):
        ssim(np.zeros((20, 40, 3), np.uint8), np.zeros((20, 40, 3), np.uint8), threads=0)
