from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import data

from dmef_bench.errors import UsageError
from dmef_bench.training.patches import (
    Crop,
    CropPlan,
    batches,
    check_fits,
    collect,
    cut,
    fixed_crops,
)
from dmef_bench.training.store import StoredScene

SIZES = [(300, 451), (128, 128), (200, 512)]


@pytest.fixture(scope="module")
def scene() -> StoredScene:
    """One photograph four times: whatever is done to one picture can be compared with the rest."""
    photo = data.chelsea()
    return StoredScene("cat", np.stack([photo] * 3), photo, (-1.0, 1.0, 3.0))


@given(place=st.integers(0, 10**9), seed=st.integers(0, 2**32))
def test_crops_lie_inside_their_scene(place, seed) -> None:
    crop = CropPlan(SIZES, 128, seed).crop(place)
    height, width = SIZES[crop.scene]
    assert 0 <= crop.top <= height - 128
    assert 0 <= crop.left <= width - 128


def test_every_scene_comes_once_before_any_comes_again() -> None:
    plan = CropPlan([(64, 64)] * 7, 32)
    deals = [[plan.crop(7 * deal + k).scene for k in range(7)] for deal in range(3)]
    assert all(sorted(deal) == list(range(7)) for deal in deals)
    assert deals[0] != deals[1]


def test_all_places_and_all_eight_positions_are_seen() -> None:
    plan = CropPlan([(36, 33)], 32)
    crops = [plan.crop(place) for place in range(400)]
    # 400 draws of 5 rows, 2 columns, 8 positions: one missing has a chance below 1e-20.
    assert {(crop.flip, crop.turns) for crop in crops} == {(f, t) for f in (0, 1) for t in range(4)}
    assert {crop.top for crop in crops} == set(range(5))
    assert {crop.left for crop in crops} == {0, 1}
    still = CropPlan([(36, 33)], 32, flips=False, turns=False)
    assert {(still.crop(k).flip, still.crop(k).turns) for k in range(50)} == {(False, 0)}


def test_a_crop_is_a_piece_of_the_scene_the_same_of_all_pictures(scene) -> None:
    seen = set()
    for flip in (False, True):
        for turns in range(4):
            stack, truth = cut(scene, Crop(0, 17, 40, flip, turns), side=96)
            assert all(np.array_equal(exposure, truth) for exposure in stack.encoded)
            back = np.rot90(truth, -turns)[:, :: -1 if flip else 1]
            np.testing.assert_array_equal(back, scene.truth[17:113, 40:136])
            seen.add(truth.tobytes())
    assert len(seen) == 8
    assert stack.evs == scene.evs


def test_several_processes_see_together_what_one_sees(scene) -> None:
    plan = CropPlan([scene.size], 64, seed=3)
    alone = [batch.crops for batch in islice(batches([scene], plan, 4), 3)]
    shares = [
        [batch.crops for batch in islice(batches([scene], plan, 4, rank=rank, processes=2), 3)]
        for rank in (0, 1)
    ]
    for whole, first, second in zip(alone, *shares, strict=True):
        assert set(whole) == {*first, *second}


def test_starting_later_goes_on_with_the_same_batches(scene) -> None:
    plan = CropPlan([scene.size], 64)
    whole = [batch.truths for batch in islice(batches([scene], plan, 2), 4)]
    later = [batch.truths for batch in islice(batches([scene], plan, 2, first=2), 2)]
    np.testing.assert_array_equal(whole[2:], later)


def test_fixed_crops_are_spread_and_fit() -> None:
    crops = fixed_crops(SIZES, side=128, most=9)
    assert len(crops) == 9
    for crop in crops:
        height, width = SIZES[crop.scene]
        assert crop.top + 128 <= height
        assert crop.left + 128 <= width
    assert fixed_crops([], side=128, most=9) == []


def test_a_batch_keeps_crops_stacks_and_truths_together(scene) -> None:
    crops = [Crop(0, 0, 0), Crop(0, 100, 200)]
    batch = collect([scene], crops, side=32)
    assert batch.crops == tuple(crops)
    np.testing.assert_array_equal(batch.truths[1], batch.stacks[1].encoded[0])


def test_crops_larger_than_a_scene_are_refused_with_the_largest_that_fits() -> None:
    check_fits(["a", "b", "c"], SIZES, 128)
    with pytest.raises(UsageError, match=r"2 of 3 scenes; the smallest is b, 128x128.*--crop 128"):
        check_fits(["a", "b", "c"], SIZES, 256)
    with pytest.raises(UsageError, match=r"--crop 192 or less"):
        check_fits(["a", "c"], [SIZES[0], SIZES[2]], 256, stride=64)
