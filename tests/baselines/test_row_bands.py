"""Row bands change nothing: every row is worked once, and response-fill is its plain formulas."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from baselines.exposure_pair import Pair, at_ev_zero
from baselines.noise_merge import light_variance, photon_noise
from baselines.response_fill import ResponseFill
from baselines.row_bands import BAND_ROWS, in_bands, widened
from dmef_bench.exposure.camera_response import Sigmoid
from dmef_bench.exposure.noise import LEVELS, SeededNoise
from dmef_bench.exposure.synthesis import expose
from dmef_bench.scene import ExposureStack

CAMERA = Sigmoid()
EVS = (-1.0, 1.0, 3.0)


@pytest.mark.parametrize("height", [1, BAND_ROWS - 1, BAND_ROWS, BAND_ROWS + 1, 5 * BAND_ROWS + 7])
def test_every_row_is_worked_once(height) -> None:
    times = np.zeros(height, int)

    def work(rows: slice) -> None:
        times[rows] += 1

    in_bands(height, work)
    assert (times == 1).all()


def test_what_a_band_raises_reaches_the_caller() -> None:
    def work(rows: slice) -> None:
        if rows.start:
            raise ArithmeticError(rows)

    with pytest.raises(ArithmeticError, match="slice"):
        in_bands(2 * BAND_ROWS, work)


def test_rows_beside_a_band_are_cut_off_again() -> None:
    picture = np.arange(3 * BAND_ROWS)
    for rows in (slice(0, BAND_ROWS), slice(BAND_ROWS, 2 * BAND_ROWS), slice(2 * BAND_ROWS, None)):
        rows = slice(rows.start, rows.stop or len(picture))
        seen, inside = widened(rows, 3)
        assert np.array_equal(picture[seen][inside], picture[rows])


def plain_fill(stack: ExposureStack) -> np.ndarray:
    """Alignment, still pixels, averaging and filling of a triple, as whole float32 pictures."""
    low, own, high = (at_ev_zero(stack, index, CAMERA) for index in range(3))
    fused = own.light.copy()
    if noise_of(low, own, high) > 1e-4:
        fused = plain_average(own, low, high)
    pair = Pair(own, low)
    floor, ceiling = pair.bounds

    def disagreement(light):
        return np.abs(np.clip(light, floor, ceiling) - np.clip(own.light, floor, ceiling)).max(-1)

    moved = warped(pair, low.light)
    costs = [cv2.blur(disagreement(light), (7, 7)) for light in (moved, low.light)]
    found = np.where((costs[1] + 0.5 / 255 < costs[0])[..., None], low.light, moved)
    return np.clip(np.where(own.white, np.maximum(found, own.ceiling), fused), 0, 1)


def noise_of(*levels):
    return min(photon_noise(level.codes, CAMERA) for level in levels)


def warped(pair, picture):
    return cv2.remap(
        picture,
        np.ascontiguousarray(pair.places[..., 0]),
        np.ascontiguousarray(pair.places[..., 1]),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )


def plain_average(own, *others):
    noise = noise_of(own, *others)

    def variance(level):
        return light_variance(CAMERA, 255, 2**level.ev, noise)[level.codes]

    total, weights = own.light.astype(float), np.ones(own.light.shape)
    for other in others:
        pair = Pair(own, other)
        light, lost = (
            warped(pair, p) for p in (other.light, np.float32(other.white | other.black))
        )
        explained = mean_of_25(variance(own) + warped(pair, variance(other)))
        squared = mean_of_25((light - own.light) ** 2)
        weight = 2 ** (other.ev - own.ev) * (explained / np.maximum(squared, explained)) ** 2
        weight[(mean_of_25(lost) > 0.02) | own.white | own.black] = 0
        total += weight * light
        weights += weight
    return total / weights


def mean_of_25(picture):
    return cv2.blur(picture.astype(float), (5, 5))


@pytest.mark.parametrize("noise", [None, LEVELS["mild"]])
def test_response_fill_equals_its_plain_formulas_to_one_code(noise) -> None:
    photo = data.astronaut()
    frames = (photo[14:454, 29:469], photo[20:460, 20:460], photo[27:467, 12:452])
    pictures = (
        expose(frame, ev, CAMERA, noise and SeededNoise(noise, f"bands {ev}"))
        for frame, ev in zip(frames, EVS, strict=True)
    )
    stack = ExposureStack(tuple(pictures), EVS)
    fused = ResponseFill(CAMERA, mend=False, colour=False).fuse(stack)
    # Equal but for the last bits of float32, unless two costs are a tie.
    difference = np.abs(fused - plain_fill(stack))
    assert difference.max() <= 1 / 255
    assert difference.mean() < 1e-6
