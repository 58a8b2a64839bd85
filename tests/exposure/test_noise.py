"""Sensor noise: its strength in the exposure domain, its seed, its strips."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from skimage import data

from dmef_bench.errors import UsageError
from dmef_bench.exposure.camera_response import MODELS, Preferred, Sigmoid
from dmef_bench.exposure.noise import (
    LEVELS,
    STRIP_ROWS,
    SeededNoise,
    SensorNoise,
    noise_key,
    parse_noise,
)
from dmef_bench.exposure.synthesis import expose
from dmef_bench.scene import to_float

CAMERAS = [model() for model in MODELS.values()]
every_camera = pytest.mark.parametrize("camera", CAMERAS, ids=list(MODELS))


def noise_of(strength: str = "mild", level: str = "medium", seed: int = 0) -> SeededNoise:
    return SeededNoise(LEVELS[strength], noise_key(seed, "scene", 2, level))


@pytest.mark.parametrize("strength", list(LEVELS))
@pytest.mark.parametrize("ev", [-3.0, -1.0, 0.0])
def test_noise_has_the_stated_mean_and_variance_in_the_exposure(strength, ev):
    camera, model = Sigmoid(), LEVELS[strength]
    flat = np.full((512, 256, 3), 0.5, np.float32)
    irradiance = 2**ev * float(camera.inverse(0.5))
    noisy = camera.inverse(expose(flat, ev, camera, noise_of(strength)))
    variance, samples = model.a * irradiance + model.b**2, noisy.size
    # Five standard errors of a mean and of a variance of so many normals: one run in two million
    # would fail, and the seed is fixed.
    assert abs(noisy.mean() - irradiance) <= 5 * math.sqrt(variance / samples)
    assert abs(noisy.var() / variance - 1) <= 5 * math.sqrt(2 / samples)


def test_darkness_is_clipped_at_zero_light():
    black = np.zeros((256, 256, 3), np.float32)
    noisy = Sigmoid().inverse(expose(black, 0.0, Sigmoid(), noise_of("strong")))
    # Half of the normals are negative: 0.5 within five standard errors of 196,608 coins.
    assert abs((noisy == 0).mean() - 0.5) <= 5 * 0.5 / math.sqrt(noisy.size)
    # The mean of max(b x, 0) is b / sqrt(2 pi), its deviation below 0.6 b.
    b = LEVELS["strong"].b
    assert noisy.mean() == pytest.approx(
        b / math.sqrt(2 * math.pi), abs=5 * 0.6 * b / noisy.size**0.5
    )


def test_the_same_key_gives_the_same_bytes():
    photograph, noise = data.astronaut(), noise_of()
    first = expose(photograph, 1.0, Sigmoid(), noise)
    np.testing.assert_array_equal(first, expose(photograph, 1.0, Sigmoid(), noise))
    np.testing.assert_array_equal(first, expose(photograph, 1.0, Sigmoid(), noise_of()))


@pytest.mark.parametrize(
    "key",
    [
        noise_key(1, "scene", 2, "medium"),
        noise_key(0, "other", 2, "medium"),
        noise_key(0, "scene", 1, "medium"),
        noise_key(0, "scene", 2, "low"),
    ],
)
def test_no_two_pictures_share_their_grain(key):
    def grain(noise: SeededNoise) -> np.ndarray:
        return expose(np.full((256, 256, 3), 0.5, np.float32), 0.0, Sigmoid(), noise).ravel()

    correlation = np.corrcoef(grain(noise_of()), grain(SeededNoise(LEVELS["mild"], key)))[0, 1]
    # Unrelated normals correlate by 1 / sqrt(samples); five of those.
    assert abs(correlation) <= 5 / math.sqrt(256 * 256 * 3)


def test_the_seed_is_the_first_half_of_the_hash():
    noise = noise_of()
    digest = hashlib.sha256(b"0|scene|2|medium").hexdigest()
    expected = np.random.Generator(np.random.PCG64(int(digest[:32], 16)))
    np.testing.assert_array_equal(noise.generator().standard_normal(9), expected.standard_normal(9))


def test_rows_do_not_depend_on_what_lies_below():
    photograph = np.tile(data.chelsea(), (3, 1, 1))
    whole = expose(photograph, 1.0, Sigmoid(), noise_of())
    for height in (1, STRIP_ROWS - 1, STRIP_ROWS + 1, 2 * STRIP_ROWS):
        top = expose(photograph[:height], 1.0, Sigmoid(), noise_of())
        np.testing.assert_array_equal(top, whole[:height])


def test_no_strip_repeats_another():
    flat = np.full((2 * STRIP_ROWS, 256, 3), 0.5, np.float32)
    upper, lower = np.split(expose(flat, 0.0, Sigmoid(), noise_of()), 2)
    correlation = np.corrcoef(upper.ravel(), lower.ravel())[0, 1]
    assert abs(correlation) <= 5 / math.sqrt(upper.size)


@every_camera
@pytest.mark.parametrize("ev", [-3.0, 0.0, 1.0])
def test_no_strength_is_no_noise(camera, ev):
    codes = np.arange(256, dtype=np.uint8).reshape(4, 64, 1).repeat(3, axis=2)
    silent = SeededNoise(SensorNoise(a=0.0, b=0.0), "any")
    np.testing.assert_array_equal(expose(codes, ev, camera, silent), expose(codes, ev, camera))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_codes_and_floats_carry_the_same_noise(dtype):
    full = np.iinfo(dtype).max
    codes = data.chelsea().astype(dtype) * dtype(full // 255)
    noisy = expose(codes, 1.0, Sigmoid(), noise_of("strong"))
    floats = expose(to_float(codes), 1.0, Sigmoid(), noise_of("strong"))
    assert noisy.dtype == dtype
    assert floats.dtype == np.float32
    # Half a code of rounding; float32 pixels in and out shift a value by less than 1e-6.
    assert np.abs(noisy / full - floats).max() <= 0.5 / full + 1e-6


@pytest.mark.filterwarnings("error")
def test_preferred_white_stays_white():
    white = np.full((16, 16, 3), 255, np.uint8)
    np.testing.assert_array_equal(expose(white, -1.0, Preferred(), noise_of("strong")), 255)
    np.testing.assert_array_equal(expose(to_float(white), -1.0, Preferred(), noise_of("strong")), 1)


@pytest.mark.parametrize(("a", "b"), [(-1e-4, 0.0), (0.0, math.nan), (math.inf, 0.0)])
def test_impossible_strengths_are_refused(a, b):
    with pytest.raises(UsageError, match="SensorNoise"):
        SensorNoise(a, b)


def test_a_strength_has_a_name_or_two_numbers() -> None:
    assert parse_noise("strong") == LEVELS["strong"]
    assert parse_noise("1e-3, 2e-3") == LEVELS["strong"]
    assert parse_noise("0,0.01").deviation(5.0) == pytest.approx(0.01)


@pytest.mark.parametrize("text", ["loud", "1", "1,2,3", "a,b", "", "-1,0", "nan,0", "0,inf"])
def test_what_is_no_strength_is_refused(text) -> None:
    with pytest.raises(UsageError, match="noise"):
        parse_noise(text)
