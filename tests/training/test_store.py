from __future__ import annotations

import numpy as np
import pytest

from dmef_bench.datasets import load_scenes
from dmef_bench.errors import UsageError
from dmef_bench.scene import ExposureStack
from dmef_bench.training.store import Preparation, store_scenes


def test_what_is_stored_is_what_the_scenes_hold(built, tmp_path) -> None:
    scenes = load_scenes(built, "train")
    for scene, stored in zip(scenes, store_scenes(scenes, tmp_path), strict=True):
        assert stored.scene_id == scene.scene_id
        assert stored.evs == scene.stack.evs
        assert stored.size == scene.stack.size
        np.testing.assert_array_equal(stored.exposures, np.stack(scene.stack.encoded))
        np.testing.assert_array_equal(stored.truth, scene.ground_truth)


def test_scenes_are_decoded_once_and_again_where_a_file_is_cut_short(built, tmp_path) -> None:
    scenes = load_scenes(built, "train")
    told = []
    store_scenes(scenes, tmp_path, lambda *news: told.append(news))
    assert [news[:2] for news in told] == [(1, 2), (2, 2)]
    told.clear()
    store_scenes(scenes, tmp_path, lambda *news: told.append(news))
    assert told == []
    damaged = next(tmp_path.glob("*.exposures.npy"))
    damaged.write_bytes(damaged.read_bytes()[:-100])
    again = store_scenes(scenes, tmp_path, lambda *news: told.append(news))
    assert len(told) == 1
    np.testing.assert_array_equal(again[0].truth, scenes[0].ground_truth)


def test_a_preparation_is_done_once_to_whole_scenes_and_kept_beside_them(built, tmp_path) -> None:
    scenes = load_scenes(built, "train")
    seen = []

    def darken(stack: ExposureStack) -> ExposureStack:
        seen.append(stack.size)
        return ExposureStack(tuple(p.astype(np.uint16) * 100 for p in stack.encoded), stack.evs)

    plain = store_scenes(scenes, tmp_path)
    for _ in range(2):
        prepared = store_scenes(scenes, tmp_path, preparation=Preparation("darken", darken))
    assert seen == [scene.size for scene in plain]
    for before, after in zip(plain, prepared, strict=True):
        np.testing.assert_array_equal(after.exposures, before.exposures.astype(np.uint16) * 100)
        np.testing.assert_array_equal(after.truth, before.truth)
        assert after.evs == before.evs
    # Another name is another preparation, and what was stored before stays.
    store_scenes(scenes, tmp_path, preparation=Preparation("darken twice", darken))
    assert len(seen) == 4
    again = store_scenes(scenes, tmp_path)
    np.testing.assert_array_equal(again[0].exposures, plain[0].exposures)


def test_a_preparation_may_make_other_pictures_than_exposures(built, tmp_path) -> None:
    def both(stack: ExposureStack) -> ExposureStack:
        return ExposureStack((*stack.encoded, *stack.encoded[:2]), None)

    prepared = store_scenes(
        load_scenes(built, "train"), tmp_path, preparation=Preparation("both", both, pictures=5)
    )
    for scene in prepared:
        assert scene.exposures.shape == (5, *scene.truth.shape)
        assert scene.evs is None  # of three exposures, they would name the wrong pictures


def test_a_preparation_without_codes_is_refused(built, tmp_path) -> None:
    floats = Preparation("floats", lambda s: ExposureStack.from_images(s.images, s.evs))
    with pytest.raises(UsageError, match="floats gives pictures without codes"):
        store_scenes(load_scenes(built, "train"), tmp_path, preparation=floats)
