"""LECARM on one picture: the published equations, written out, on photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from skimage.data import rocket

from dmef_bench.errors import UsageError
from dmef_bench.exposure.camera_response import Beta, Sigmoid
from dmef_bench.exposure.enhance import enhance, exposure_ratio, illumination
from dmef_bench.harness.enhance import enhance_file
from dmef_bench.imagefile import read_image, write_image


def solved_by_hand(start: np.ndarray) -> np.ndarray:
    """(I + λL) t = t₀ pixel by pixel, solved as a dense system."""
    height, width = start.shape
    taps = [np.exp(-16 / 8), np.exp(-1 / 8), 1.0, np.exp(-1 / 8), np.exp(-16 / 8)]
    matrix = np.eye(height * width)
    for down, right in ((1, 0), (0, 1)):
        step = np.array(
            [[start[(y + down) % height, (x + right) % width] - start[y, x] for x in range(width)]
             for y in range(height)]
        )  # fmt: skip
        for y in range(height):
            for x in range(width):
                around = sum(
                    taps[i] * step[y, x + i - 2] for i in range(5) if 0 <= x + i - 2 < width
                )
                weight = 0.15 * sum(taps) / (abs(around) * abs(step[y, x]) + 1e-3)
                here = y * width + x
                there = (y + down) % height * width + (x + right) % width
                matrix[here, here] += weight
                matrix[there, there] += weight
                if y + down < height and x + right < width:
                    matrix[here, there] -= weight
                    matrix[there, here] -= weight
    return np.linalg.solve(matrix, start.ravel()).reshape(start.shape)


@pytest.mark.parametrize("size", [(9, 13), (2, 5), (5, 2), (1, 6), (6, 1), (1, 1)])
def test_the_illumination_solves_the_published_equation(size: tuple[int, int]) -> None:
    start = np.random.default_rng(3).random(size)
    np.testing.assert_allclose(illumination(start), solved_by_hand(start), atol=1e-8)


def test_the_illumination_of_a_photograph_is_smooth_within_and_sharp_between_objects() -> None:
    brightest = rocket()[::2, ::2].max(axis=2) / 255
    lit = illumination(brightest)
    assert np.abs(np.diff(lit, axis=1)).mean() < 0.5 * np.abs(np.diff(brightest, axis=1)).mean()
    assert np.abs(np.diff(lit, axis=1)).max() > 0.1  # the lamps still end where they end


def test_dark_places_get_brighter_and_white_stays_white() -> None:
    dark = (rocket() * 0.3).astype(np.uint8)
    brighter = enhance(dark)
    assert brighter.dtype == np.float32
    assert brighter.shape == dark.shape
    assert brighter.mean() > 3 * (dark / 255).mean()
    white = enhance(np.full((20, 30, 3), 255, np.uint8))
    # The published edges are held to the dark, so they are exposed a little longer, and clip.
    np.testing.assert_array_equal(white, np.ones_like(white))


def test_every_pixel_is_exposed_by_its_own_ratio() -> None:
    picture = rocket()[:60, :80].astype(np.float32) / 255
    ratio = exposure_ratio(picture)
    assert ratio.min() > 0
    assert ratio.max() <= 7
    expected = np.clip(Sigmoid().transform(picture[30, 40], ratio[30, 40]), 0, 1)
    np.testing.assert_allclose(enhance(picture)[30, 40], expected, rtol=1e-6)


def test_black_stays_black() -> None:
    np.testing.assert_array_equal(enhance(np.zeros((5, 7, 3), np.uint8)), 0)


def test_a_map_with_nan_has_no_illumination() -> None:
    with pytest.raises(UsageError, match="NaN"):
        illumination(np.array([[0.5, np.nan]]))


def test_a_file_keeps_its_depth_and_nothing_is_overwritten(tmp_path: Path) -> None:
    deep = (rocket()[:40, :50].astype(np.uint16) * 100).astype(np.uint16)
    write_image(tmp_path / "dark.png", deep)
    out = enhance_file(tmp_path / "dark.png", tmp_path / "bright.png", Beta())
    bright = read_image(out)
    assert bright.dtype == np.uint16
    assert bright.mean() > 1.5 * deep.mean()
    with pytest.raises(UsageError, match="exists"):
        enhance_file(tmp_path / "dark.png", out)
    with pytest.raises(UsageError, match="is one of the exposures"):
        enhance_file(out, out, overwrite=True)
