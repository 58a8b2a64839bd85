"""Noise is measured as it was made, and averaged away where exposures agree, and nowhere else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from baselines.noise_merge import Sight, light_variance, merge, photon_noise
from baselines.response_fill import ResponseFill
from dmef_bench.exposure.camera_response import Preferred, Sigmoid
from dmef_bench.exposure.noise import LEVELS, SeededNoise, SensorNoise
from dmef_bench.exposure.synthesis import expose
from dmef_bench.metrics import psnr
from dmef_bench.scene import ExposureStack, to_float

PHOTO = data.astronaut()
DARK = (-3.0, -1.0, 1.0)


def exposed(image, ev, noise=None, crf=None):
    seeded = noise and SeededNoise(noise, f"exposure {ev}")
    return expose(image, ev, crf or Sigmoid(), seeded)


def stack_of(evs, noise, *frames):
    pairs = zip(frames, evs, strict=True)
    return ExposureStack(tuple(exposed(frame, ev, noise) for frame, ev in pairs), evs)


@pytest.mark.parametrize("a", [2e-4, 1e-3])
def test_noise_is_found_as_it_was_made(a) -> None:
    noise = SensorNoise(a, 0.0)
    blurred = cv2.GaussianBlur(PHOTO, (0, 0), 3)
    # The quietest tenth of a thousand tiles is known to a few per cent.
    assert photon_noise(exposed(blurred, -1.0, noise), Sigmoid()) == pytest.approx(a, rel=0.1)
    # A photograph's own grain and texture come on top.
    own = photon_noise(exposed(PHOTO, -1.0), Sigmoid())
    assert a < photon_noise(exposed(PHOTO, -1.0, noise), Sigmoid()) < 1.2 * (a + own)


@pytest.mark.parametrize("photo", [data.astronaut, data.coffee, data.chelsea, data.rocket])
def test_a_clean_photograph_shows_less_than_mild_noise(photo) -> None:
    assert photon_noise(exposed(photo(), -1.0), Sigmoid()) < LEVELS["mild"].a / 2


def test_rounding_is_no_noise() -> None:
    # Four stops down a code is a sixteenth of the light: rounding is the loudest there is.
    blurred = cv2.GaussianBlur(PHOTO, (0, 0), 3)
    assert photon_noise(exposed(blurred, -4.0), Sigmoid()) < 1e-5


def test_noise_is_seen_past_an_exposure_that_is_clipped_throughout() -> None:
    bright = (128 + PHOTO // 2).astype(np.uint8)
    stack = stack_of((-1.0, 1.0, 4.0), LEVELS["strong"], bright, bright, bright)
    assert photon_noise(stack.encoded[2], Sigmoid()) is None
    merged, plain = (
        psnr(ResponseFill(Sigmoid(), denoise=denoise).fuse(stack), bright)
        for denoise in (True, False)
    )
    assert merged > plain + 0.3


def test_deeper_codes_show_the_same_noise() -> None:
    noise = SensorNoise(1e-3, 0.0)
    deep = exposed((PHOTO.astype(np.uint16) * 257), -1.0, noise)
    shallow = photon_noise(exposed(PHOTO, -1.0, noise), Sigmoid())
    assert photon_noise(deep, Sigmoid()) == pytest.approx(shallow, rel=0.1)


def test_a_picture_too_small_or_clipped_shows_no_noise() -> None:
    assert photon_noise(PHOTO[:40, :40], Sigmoid()) is None
    assert photon_noise(np.full((256, 256, 3), 255, np.uint8), Sigmoid()) is None


@pytest.mark.parametrize("crf", [Sigmoid(), Preferred()])
def test_the_variance_is_that_of_noisy_pixels_brought_back(crf) -> None:
    noise, k = 1e-3, 2.0
    codes = exposed(np.full((400, 400, 3), 90, np.uint8), 1.0, SensorNoise(noise, 0.0), crf)
    light = crf.transform(codes / 255, 1 / k)
    table = light_variance(crf, 255, k, noise)
    assert np.isfinite(table).all()
    # At the mean code; the curve bends a little within the noise.
    assert table[round(codes.mean())] == pytest.approx(light.var(), rel=0.1)


def sight(light, *, weight=1.0, deviation=0.02, lost=0.0):
    def full(value):
        return np.full(light.shape, value, np.float32)

    return Sight(light.astype(np.float32), full(deviation**2), full(lost), weight)


def drawn(seed, weight=1.0):
    noise = np.random.default_rng(seed).normal(0, 0.02 / np.sqrt(weight), (200, 200, 3))
    return sight(0.5 + noise, weight=weight, deviation=0.02 / np.sqrt(weight))


def test_equal_scenes_are_averaged_by_their_light() -> None:
    merged = merge(drawn(0), [drawn(1, weight=4.0)])
    # Five times the light: a fifth of the variance, a little more where chance looks like motion.
    assert 0.02**2 / 5 <= merged.var() <= 1.3 * 0.02**2 / 5
    assert merged.mean() == pytest.approx(0.5, abs=3 * 0.02 / 200)


def test_what_moved_does_not_join() -> None:
    reference = drawn(0)
    moved = sight(reference.light + 0.3, weight=4.0)
    # s² / d² is 0.9 %, and counts squared: of the difference of 0.3, four times 0.00008 by weight.
    assert np.abs(merge(reference, [moved]) - reference.light).max() < 0.3 * 4 * 1e-4


def test_what_either_lost_stays_the_references() -> None:
    reference = drawn(0)
    clipped = sight(np.ones_like(reference.light), weight=4.0, deviation=1.0, lost=1.0)
    assert np.array_equal(merge(reference, [clipped]), reference.light)
    dark = Sight(reference.light, reference.variance, np.ones_like(reference.lost), 1.0)
    assert np.array_equal(merge(dark, [drawn(1)]), reference.light)


@pytest.mark.parametrize(("level", "gain_db"), [("mild", 1.5), ("strong", 3.0)])
def test_a_noisy_reference_gains_from_the_brighter_exposure(level, gain_db) -> None:
    truth = PHOTO[20:460, 20:460]
    frames = (PHOTO[14:454, 29:469], truth, PHOTO[27:467, 12:452])
    stack = stack_of(DARK, LEVELS[level], *frames)
    merged = psnr(ResponseFill(Sigmoid()).fuse(stack), truth)
    alone = psnr(ResponseFill(Sigmoid(), denoise=False).fuse(stack), truth)
    assert merged > alone + gain_db


def test_without_noise_nothing_changes() -> None:
    stack = stack_of((-1.0, 1.0, 3.0), None, PHOTO, np.roll(PHOTO, 3, 1), PHOTO)
    merged, alone = (
        ResponseFill(Sigmoid(), denoise=switch).fuse(stack) for switch in (True, False)
    )
    assert np.array_equal(merged, alone)


def test_a_thing_that_only_the_brighter_exposure_shows_leaves_no_ghost() -> None:
    visited = PHOTO.copy()
    cv2.circle(visited, (100, 400), 40, (140, 20, 20), -1)
    stack = stack_of(DARK, LEVELS["strong"], PHOTO, PHOTO, visited)
    fused = ResponseFill(Sigmoid()).fuse(stack)
    inside = (slice(370, 430), slice(70, 130))
    ghost = np.abs(fused[inside].mean((0, 1)) - to_float(PHOTO)[inside].mean((0, 1)))
    assert ghost.max() < 2 / 255
