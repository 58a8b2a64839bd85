from __future__ import annotations

import numpy as np

from dmef_bench.datasets import load_scenes
from dmef_bench.training.store import store_scenes


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
