"""Colours looked up in the darker exposure: known palettes, and photographs that moved."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from skimage.data import astronaut, coffee

from baselines.colour_table import ColourTable, partly_lost
from baselines.response_fill import ResponseFill
from dmef_bench.exposure.camera_response import Sigmoid
from dmef_bench.exposure.synthesis import synthesize_stack
from dmef_bench.metrics import METRICS
from dmef_bench.scene import Scene, Triplet

CEILING = 0.7


def light_of(picture) -> np.ndarray:
    return picture.astype(np.float32) / 255


def clipped(light) -> tuple[np.ndarray, np.ndarray]:
    """What a reference of this ceiling keeps of the light, and what it loses."""
    return np.minimum(light, np.float32(CEILING)), light >= CEILING


def completed(kept, white, donor) -> tuple[np.ndarray, np.ndarray]:
    """The picture with its guesses, and where there are any."""
    places = partly_lost(white)
    guess = ColourTable(donor, CEILING).guess(
        kept.reshape(-1, 3)[places], white.reshape(-1, 3)[places]
    )
    guessed, told = kept.copy(), np.zeros_like(white)
    told.reshape(-1, 3)[places] = guess.told
    guessed[told] = guess.mean[guess.told]
    return guessed, told


def test_colours_that_the_donor_shows_elsewhere_come_back() -> None:
    rng = np.random.default_rng(5)
    # Red is a function of the others, so nothing is ambiguous; everything lies elsewhere.
    green, blue = rng.uniform(0, 0.65, (2, 120, 160)).astype(np.float32)
    scene = np.stack([0.72 + 0.2 * green + 0.1 * blue, green, blue], axis=-1)
    donor = rng.permutation(scene.reshape(-1, 3)).reshape(scene.shape)
    kept, white = clipped(scene)
    guessed, told = completed(kept, white, donor)
    assert told[..., 0].all()
    assert not told[..., 1:].any()
    # A bin is 0.7 / 48 wide and smoothed over its neighbours: 0.2 of that and a little more.
    assert np.abs(guessed - scene).mean() < 0.003
    assert np.abs(guessed - scene).max() < 0.03


def test_what_was_kept_stays_and_no_guess_lies_below_what_is_known() -> None:
    scene = light_of(astronaut())
    kept, white = clipped(scene)
    guessed, told = completed(kept, white, np.roll(scene, 9, axis=1))
    assert told.any()
    assert not (told & ~white).any()
    np.testing.assert_array_equal(guessed[~told], kept[~told])
    assert guessed[told].min() >= np.float32(CEILING)
    error = np.abs(guessed - scene)[told].mean()
    assert error < 0.7 * np.abs(kept - scene)[told].mean()


def test_a_colour_seen_twice_is_told_with_its_spread_and_count() -> None:
    # One green and blue, two reds, three to one.
    donor = np.tile(np.float32([0.8, 0.4, 0.2]), (20, 20, 1))
    donor[:, ::4, 0] = 0.9
    guess = ColourTable(donor, CEILING).guess(
        np.float32([[CEILING, 0.4, 0.2], [CEILING, 0.1, 0.5]]), np.bool_([[True, False, False]] * 2)
    )
    np.testing.assert_allclose(guess.mean[:, 0], 0.825, atol=1e-6)
    # The spread of reds of 0.8 and 0.9; float32 holds them to 6e-8, and their squares' difference.
    np.testing.assert_allclose(guess.spread[:, 0], 0.1 * np.sqrt(3 / 16), atol=1e-5)
    # 400 pixels under a Gaussian of one bin count 400 / 2 pi where they are, and next to nothing
    # far away, where all is known is what colours there are at all.
    assert guess.count[0, 0] == pytest.approx(400 / (2 * np.pi), rel=0.01)
    assert 0 < guess.count[1, 0] < 1e-3
    assert not guess.told[:, 1:].any()


def test_two_lost_channels_are_told_by_the_third() -> None:
    donor = np.zeros((10, 30, 3), np.float32)
    donor[:, :15] = (0.8, 0.3, 0.9)
    donor[:, 15:] = (0.9, 0.6, 0.75)
    lost = np.bool_([[True, False, True]] * 2)
    told = np.float32([[CEILING, 0.3, CEILING], [CEILING, 0.6, CEILING]])
    guess = ColourTable(donor, CEILING).guess(told, lost)
    # Twenty bins apart: nothing of one colour reaches the other but by `_FAR`, a ten-thousandth.
    np.testing.assert_allclose(guess.mean[:, [0, 2]], [[0.8, 0.9], [0.9, 0.75]], atol=1e-4)


def test_pixels_that_lost_everything_or_nothing_are_no_question() -> None:
    lost = np.zeros((2, 3, 3), bool)
    lost[0, 1] = True
    lost[1, 2, 1] = True
    assert partly_lost(lost).tolist() == [5]


def test_white_that_lost_all_channels_tells_nothing() -> None:
    scene = np.full((40, 40, 3), 0.9, np.float32)
    kept, white = clipped(scene)
    _, told = completed(kept, white, scene)
    assert not told.any()


def test_a_donor_without_such_colours_is_not_asked() -> None:
    scene = light_of(coffee())
    kept, white = clipped(scene)
    guessed, told = completed(kept, white, np.zeros_like(scene))
    assert not told.any()
    np.testing.assert_array_equal(guessed, kept)


@pytest.mark.parametrize("photo", [astronaut, coffee])
def test_it_helps_where_the_donor_has_moved_out_of_reach(photo) -> None:
    truth = photo()
    # The dark exposure is another moment: so far away that no flow follows, and mirrored.
    elsewhere = np.roll(truth[:, ::-1], 90, axis=0)
    frames = (light_of(elsewhere), light_of(truth), light_of(truth))
    moments = Triplet(frames, (Fraction(0), Fraction(1, 5), Fraction(2, 5)), "photo")
    stack = synthesize_stack(moments, Sigmoid())
    scene = Scene("photo", stack, truth)
    lost = METRICS["psnr-clipped"]
    with_table, without = (
        lost.measure(ResponseFill(response="Sigmoid", colour=colour).fuse(stack), scene).value
        for colour in (True, False)
    )
    assert with_table > without + 0.3
