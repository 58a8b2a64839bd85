"""Scenes made again from what a manifest says of them, and held against its hashes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dmef_bench.building.clip import Clip
from dmef_bench.building.exposing import Exposing
from dmef_bench.building.opening import read_samples
from dmef_bench.building.recipe import Recipe
from dmef_bench.building.scenes import TRIPLE, build_scene, drop_scene
from dmef_bench.building.sources import Source
from dmef_bench.errors import VideoError
from dmef_bench.manifest import SceneEntry


def repeat_scenes(clip: Clip, source: Source, recipe: Recipe, root: Path) -> list[dict[str, Any]]:
    """Make the scenes of one video again.

    Parameters
    ----------
    clip : Clip
        The video, open.
    source : Source
        Its ``repeats`` are the manifest lines.
    recipe : Recipe
        The data set's: how frames are read, and the seed.
    root : Path
        Of the data set.

    Returns
    -------
    list of dict
        For each scene what `build_scene` says, within all that the manifest said.

    Raises
    ------
    VideoError
        A picture differs, or a sample's time does not exist. No scene of the video is kept then.
    """
    built: list[dict[str, Any]] = []
    differing: list[str] = []
    for line in source.repeats:
        entry = SceneEntry.from_line(line, where=f"a scene of {source.path.name}")
        scene = _repeat(clip, entry, recipe, root)
        built.append(scene)
        if pixels_of(scene["files"]) != {each.role: each.pixels for each in entry.files}:
            differing.append(entry.scene)
    if differing:
        for scene in built:
            drop_scene(root, scene["scene"])
        raise VideoError(
            f"{source.path.name}: {', '.join(differing)} came out with other pixels than the "
            "manifest states. Compare built_with in manifest.jsonl with what is installed here."
        )
    return built


def pixels_of(files: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Role to pixel hash."""
    return {file["role"]: file["pixels"] for file in files}


def _repeat(clip: Clip, entry: SceneEntry, recipe: Recipe, root: Path) -> dict[str, Any]:
    times = [sample["pts"] for sample in entry.samples]
    missing = [pts for pts in times if pts not in clip.pts]
    if missing:
        raise VideoError(
            f"{clip.path.name}: no frame at time {missing[0]}, which {entry.scene} was made of."
        )
    frames = read_samples(clip, [clip.pts.index(pts) for pts in times], recipe)
    exposing = Exposing.repeated(entry.scene, entry.exposure, recipe.seed)
    # In the order in which they were stored, so that the line comes out as it was.
    stored = [(file.sample, file.level) for file in entry.files if file.level is not None]
    made = build_scene(root, exposing, frames, stored or TRIPLE, recipe.format)
    return {
        **made,
        "samples": list(entry.samples),
        "selection": entry.selection,
        "recipe_sha256": entry.recipe_sha256,
        "source": entry.source,
        "group": entry.group,
        "exposure": entry.exposure,
    }
