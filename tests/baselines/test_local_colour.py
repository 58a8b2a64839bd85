"""Colours regressed in windows: against least squares, and against donors that lie a little off."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data
from skimage.filters import gaussian

from baselines.local_colour import regress_colours

CEILING = 0.7
RIDGE = 1e-4


def smooth(seed: int, low: float, high: float) -> np.ndarray:
    noise = gaussian(np.random.default_rng(seed).normal(size=(120, 160)), 3)
    scaled = (noise - noise.min()) / np.ptp(noise)
    return (low + (high - low) * scaled).astype(np.float32)


@pytest.mark.parametrize(
    "gone", [(True, False, False), (False, True, True), (False, True, False)], ids=str
)
def test_a_window_is_least_squares_of_its_pixels(gone) -> None:
    rng = np.random.default_rng(2)
    donor, light = rng.uniform(0, 1, (2, 9, 11, 3)).astype(np.float32)
    white = np.broadcast_to(np.array(gone), donor.shape).copy()
    told = regress_colours(light, white, donor, radius=2)
    row, column = 4, 5
    pixels = donor[row - 2 : row + 3, column - 2 : column + 3].reshape(-1, 3).astype(np.float64)
    kept = [channel for channel in range(3) if not gone[channel]]
    mean = pixels.mean(0)
    centred = (pixels - mean)[:, kept]
    for channel in np.flatnonzero(gone):
        # Ridge regression of the window, by its normal equations.
        normal = centred.T @ centred / 25 + RIDGE * np.eye(len(kept))
        slopes = np.linalg.solve(normal, centred.T @ (pixels[:, channel] - mean[channel]) / 25)
        steps = light[row, column, kept] - mean[kept]
        wanted = mean[channel] + slopes @ steps
        assert told.guess[row, column, channel] == pytest.approx(wanted, abs=2e-5)
        unexplained = pixels[:, channel].var() - slopes @ (
            centred.T @ (pixels[:, channel] - mean[channel]) / 25
        )
        assert told.residual[row, column, channel] == pytest.approx(unexplained**0.5, abs=1e-4)
        far = np.abs(steps / np.sqrt(centred.var(0) + RIDGE)).max()
        assert told.reach[row, column, channel] == pytest.approx(min(far, 5), rel=1e-3)


def test_a_donor_that_lies_a_little_off_does_little_harm() -> None:
    green, blue = smooth(0, 0.1, 0.65), smooth(1, 0.1, 0.65)
    scene = np.dstack([0.72 + 0.2 * green + 0.1 * blue, green, blue])
    donor = np.roll(scene, (3, -4), axis=(0, 1))
    told = regress_colours(np.minimum(scene, CEILING), scene >= CEILING, donor, radius=10)
    inside = np.s_[12:-12, 12:-12, 0]
    error = np.abs(told.guess - scene)[inside].mean()
    as_it_lies = np.abs(donor - scene)[inside].mean()
    assert error < as_it_lies / 15


def test_a_photograph_gives_its_red_to_a_copy_that_moved() -> None:
    photo = data.astronaut()[:, :, ::-1].astype(np.float32) / 255
    light, donor = photo[20:420, 20:420], photo[22:422, 17:417]
    white = np.zeros(light.shape, bool)
    white[..., 0] = True
    told = regress_colours(light, white, donor, radius=2)
    error = np.square(told.guess - light)[..., 0].mean()
    assert error < np.square(donor - light)[..., 0].mean() / 4


def test_flat_colours_are_told_by_their_mean() -> None:
    donor = np.full((40, 40, 3), 0.8, np.float32)
    light = np.full((40, 40, 3), 0.3, np.float32)
    white = np.zeros(donor.shape, bool)
    white[..., 1] = True
    told = regress_colours(light, white, donor, radius=10)
    np.testing.assert_allclose(told.guess, 0.8, atol=1e-6)
    assert told.residual.max() < 1e-3
    assert told.reach[..., 1].min() == 5.0


@pytest.mark.parametrize("lost", [False, True])
def test_where_nothing_or_everything_was_lost_the_donor_stands(lost) -> None:
    donor = data.coffee()[:60, :80].astype(np.float32) / 255
    told = regress_colours(donor[::-1], np.full(donor.shape, lost), donor, radius=2)
    np.testing.assert_array_equal(told.guess, donor)
    assert not told.residual.any()
