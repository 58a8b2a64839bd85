"""Colours looked up in the darker exposure: known palettes, and photographs that moved."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from skimage.data import astronaut, coffee

from baselines.colour_table import complete_colours
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


def test_colours_that_the_donor_shows_elsewhere_come_back() -> None:
    rng = np.random.default_rng(5)
    # Red is a function of the others, so nothing is ambiguous; everything lies elsewhere.
    green, blue = rng.uniform(0, 0.65, (2, 120, 160)).astype(np.float32)
    scene = np.stack([0.72 + 0.2 * green + 0.1 * blue, green, blue], axis=-1)
    donor = rng.permutation(scene.reshape(-1, 3)).reshape(scene.shape)
    kept, white = clipped(scene)
    guessed, told = complete_colours(kept, white, donor, CEILING)
    assert told[..., 0].all()
    assert not told[..., 1:].any()
    # A bin is 0.7 / 48 wide and smoothed over its neighbours: 0.2 of that and a little more.
    assert np.abs(guessed - scene).mean() < 0.003
    assert np.abs(guessed - scene).max() < 0.03


def test_what_was_kept_stays_and_no_guess_lies_below_what_is_known() -> None:
    scene = light_of(astronaut())
    kept, white = clipped(scene)
    guessed, told = complete_colours(kept, white, np.roll(scene, 9, axis=1), CEILING)
    assert told.any()
    assert not (told & ~white).any()
    np.testing.assert_array_equal(guessed[~told], kept[~told])
    assert guessed[told].min() >= np.float32(CEILING)
    error = np.abs(guessed - scene)[told].mean()
    assert error < 0.7 * np.abs(kept - scene)[told].mean()


def test_white_that_lost_all_channels_tells_nothing() -> None:
    scene = np.full((40, 40, 3), 0.9, np.float32)
    kept, white = clipped(scene)
    _, told = complete_colours(kept, white, scene, CEILING)
    assert not told.any()


def test_a_donor_without_such_colours_is_not_asked() -> None:
    scene = light_of(coffee())
    kept, white = clipped(scene)
    guessed, told = complete_colours(kept, white, np.zeros_like(scene), CEILING)
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
