"""Reading what a build wrote: the canonical triple, lazily, and never anything else."""

from __future__ import annotations

import numpy as np
import pytest

from dmef_bench import load_scenes
from dmef_bench.errors import ImageFileError, ManifestError, UsageError
from dmef_bench.imagefile import encode_png, read_image
from dmef_bench.manifest import Manifest


def test_a_scene_is_the_moving_triple_and_its_truth(built) -> None:
    scenes = load_scenes(built, "all")
    entries = Manifest.load(built).scenes
    assert len(scenes) == len(entries) == 4
    for scene, entry in zip(scenes, entries, strict=True):
        assert scene.scene_id == entry.scene
        assert (scene.stack.evs, scene.stack.reference) == ((-1.0, 1.0, 3.0), 1)
        for name, picture in zip(("low", "medium", "high"), scene.stack.encoded, strict=True):
            stored = read_image(built / entry.canonical_file(name).path)
            assert np.array_equal(picture, stored)
        assert np.array_equal(
            scene.ground_truth, read_image(built / entry.canonical_file("gt").path)
        )


def test_the_halves_are_disjoint_and_whole(built) -> None:
    train, test = (load_scenes(built, half).ids for half in ("train", "test"))
    assert sorted(train + test) == list(load_scenes(built, "all").ids)
    assert train
    assert test


def test_no_picture_is_opened_before_it_is_asked_for(dataset) -> None:
    for path in dataset.rglob("*.png"):
        path.write_bytes(b"")
    scenes = load_scenes(dataset, "all")
    assert len(scenes.ids) == 4
    with pytest.raises(ManifestError, match="0 bytes, the manifest says"):
        scenes[0]


def test_a_slice_is_a_smaller_data_set(built) -> None:
    scenes = load_scenes(built, "all")
    assert scenes[1:3].ids == scenes.ids[1:3]
    assert scenes[-1].scene_id == scenes.ids[-1]


def test_the_digest_follows_pixels_and_selection(built) -> None:
    scenes = load_scenes(built, "all")
    assert scenes.digest == load_scenes(built, "all").digest
    assert scenes.digest != scenes[:3].digest


def replaced(dataset, picture) -> None:
    """Put another picture in the place of the first low exposure, with its size in the manifest."""
    manifest = dataset / "manifest.jsonl"
    entry = Manifest.load(dataset).scenes[0].canonical_file("low")
    data = encode_png(picture)
    (dataset / entry.path).write_bytes(data)
    manifest.write_text(
        manifest.read_text().replace(f'"bytes": {entry.bytes}', f'"bytes": {len(data)}', 1)
    )


@pytest.mark.parametrize(
    ("picture", "told"),
    [
        (np.zeros((270, 480, 3), np.uint16), "uint16 480x270, the manifest says uint8"),
        (np.zeros((100, 480, 3), np.uint8), "uint8 480x100, the manifest says uint8 480x270"),
    ],
)
def test_a_picture_of_another_kind_is_named_with_both_kinds(dataset, picture, told) -> None:
    replaced(dataset, picture)
    with pytest.raises(ManifestError, match=told):
        load_scenes(dataset, "all")[0]


def test_other_pixels_are_found_when_asked_to_look(dataset) -> None:
    replaced(dataset, np.zeros((270, 480, 3), np.uint8))
    assert load_scenes(dataset, "all")[0].stack.encoded[0].max() == 0
    with pytest.raises(ManifestError, match="pixels differ"):
        load_scenes(dataset, "all", verify=True)[0]


def test_grey_and_alpha_are_told_as_such(dataset) -> None:
    import cv2

    for channels, told in ((1, "grey"), (4, "alpha")):
        entry = Manifest.load(dataset).scenes[0].canonical_file("low")
        path = dataset / entry.path
        cv2.imwrite(str(path), np.zeros((270, 480, channels), np.uint8).squeeze())
        manifest = dataset / "manifest.jsonl"
        manifest.write_text(
            manifest.read_text().replace(
                f'"bytes": {entry.bytes}', f'"bytes": {path.stat().st_size}', 1
            )
        )
        with pytest.raises(ImageFileError, match=told):
            load_scenes(dataset, "all")[0]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(("validation",), "train, test, all"), (("test", "imagenet"), "4k-dmef")],
)
def test_unknown_names_list_the_known_ones(built, arguments, told) -> None:
    with pytest.raises(UsageError, match=told):
        load_scenes(built, *arguments)
