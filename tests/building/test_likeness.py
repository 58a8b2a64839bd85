"""The same place is known again from another standpoint; other places are not taken for it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from dmef_bench.building import likeness
from dmef_bench.building.likeness import INLIERS, Features, common_features, find_alike

PHOTOGRAPHS = {
    "astronaut": data.astronaut(),
    "coffee": data.coffee(),
    "chelsea": data.chelsea(),
    "rocket": data.rocket(),
}


def seen_from_elsewhere(picture, *, gain=1.0):
    """Turned by four degrees, nearer by a tenth, tilted a little, in other light."""
    height, width = picture.shape[:2]
    turn = np.vstack([cv2.getRotationMatrix2D((width / 2, height / 2), 4, 1.1), [0, 0, 1]])
    tilt = np.array([[1, 0, 0], [0, 1, 0], [5e-5, 2e-5, 1]])
    moved = cv2.warpPerspective(picture, tilt @ turn, (width, height))
    return np.clip(moved.astype(float) * gain, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", ["astronaut", "coffee"])
@pytest.mark.parametrize("gain", [1.0, 0.7])
def test_a_place_is_known_again_from_another_standpoint(name, gain) -> None:
    here = Features.of(PHOTOGRAPHS[name])
    there = Features.of(seen_from_elsewhere(PHOTOGRAPHS[name], gain=gain))
    assert common_features(here, there) >= 3 * INLIERS


def test_different_places_have_nothing_in_common() -> None:
    features = {name: Features.of(picture) for name, picture in PHOTOGRAPHS.items()}
    apart = {name: name for name in features}
    assert list(find_alike(features, apart, set(features))) == []


def test_which_of_two_comes_first_is_no_matter() -> None:
    one = Features.of(PHOTOGRAPHS["coffee"])
    other = Features.of(seen_from_elsewhere(PHOTOGRAPHS["coffee"]))
    assert common_features(one, other) == common_features(other, one)


def test_a_picture_without_features_resembles_nothing() -> None:
    grey = Features.of(np.full((200, 300, 3), 90, np.uint8))
    assert len(grey.places) == 0
    assert common_features(grey, grey) == 0


def test_only_pairs_with_a_new_scene_of_another_group_are_compared() -> None:
    alike = Features.of(PHOTOGRAPHS["astronaut"])
    features = dict.fromkeys(("a", "b", "c", "d"), alike)
    apart = {"a": "1", "b": "1", "c": "2", "d": "3"}
    found = [pair[:2] for pair in find_alike(features, apart, {"a"})]
    assert found == [("a", "c"), ("a", "d")]


def test_among_many_scenes_a_glance_still_finds_the_place(monkeypatch) -> None:
    monkeypatch.setattr(likeness, "COMPARE_ALL", 3)
    monkeypatch.setattr(likeness, "NEAREST", 1)
    pictures = PHOTOGRAPHS | {"again": seen_from_elsewhere(PHOTOGRAPHS["coffee"])}
    features = {name: Features.of(picture) for name, picture in pictures.items()}
    apart = {name: name for name in features}
    found = [pair[:2] for pair in find_alike(features, apart, set(features))]
    assert found == [("again", "coffee")]


def test_features_are_kept_and_read_back(tmp_path) -> None:
    features = Features.of(PHOTOGRAPHS["chelsea"])
    features.save(tmp_path / "a.npz")
    again = Features.load(tmp_path / "a.npz")
    assert again is not None
    assert np.array_equal(again.codes, features.codes)
    assert np.array_equal(again.places, features.places)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"\x80\x04pickle"])
def test_damaged_or_strange_files_are_as_good_as_none(tmp_path, content) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    assert Features.load(tmp_path / "a.npz") is None
    assert Features.load(tmp_path / "missing.npz") is None


def test_arrays_of_another_kind_are_as_good_as_none(tmp_path) -> None:
    strange = np.array([{"code": "runs"}], dtype=object)
    np.savez(tmp_path / "a.npz", places=strange, codes=strange, layout=strange)
    assert Features.load(tmp_path / "a.npz") is None
    np.savez(tmp_path / "b.npz", places=np.zeros((3, 2)), codes=np.zeros((3, 32)), layout=[1.0])
    assert Features.load(tmp_path / "b.npz") is None
