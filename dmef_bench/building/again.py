"""A published data set made again from its manifest and the same videos, bit for bit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

from dmef_bench.building.build import (
    Progress,
    finished_sources,
    opened_root,
    refusals,
    run,
)
from dmef_bench.building.dealing import Dealt
from dmef_bench.building.layout import published_scenes
from dmef_bench.building.outcome import BuildReport
from dmef_bench.building.publish import publish, selection_lines
from dmef_bench.building.recipe import Recipe
from dmef_bench.building.records import read_records
from dmef_bench.building.roster import Roster
from dmef_bench.building.sources import Source, find_videos, hash_sources
from dmef_bench.building.work import AHEAD
from dmef_bench.errors import ManifestError
from dmef_bench.manifest import Manifest, SceneEntry

_NAMED = 5


def rebuild_dataset(
    manifest: Path | str,
    videos: Iterable[Path | str],
    root: Path | str,
    executor: Executor | None = None,
    *,
    jobs: int = 1,
    ahead: int = AHEAD,
    progress: Progress | None = None,
) -> BuildReport:
    """Build the data set that a manifest describes.

    Videos are known by their SHA-256, whatever their names; frames are those at the recorded
    times, exposures those of the recorded response, stops and noise. A scene whose pictures come
    out differently is refused, not stored.

    Parameters
    ----------
    manifest : Path or str
        ``manifest.jsonl``, with ``dataset.json`` beside it.
    videos : iterable of Path or str
        Files, folders, or patterns; those that the manifest does not name are left alone.
    root : Path or str
        Folder of the new data set.
    executor, jobs, ahead, progress
        As of `build_dataset`.

    Returns
    -------
    BuildReport
        ``refused`` lists missing videos and scenes that differ.

    Raises
    ------
    ManifestError
        The manifest cannot be read, or was written by another version.
    UnavailableError
        As `build_dataset`.
    """
    path = Path(manifest)
    stated = Manifest.load(path.parent if path.name == "manifest.jsonl" else path)
    recipe = Recipe.from_record(stated.dataset.get("recipe") or {})
    if recipe.digest != stated.dataset.get("recipe_sha256"):
        raise ManifestError(
            f"{path}: the recipe in dataset.json does not have the hash that stands beside it. "
            "Restore the file, or use the version of dmef that wrote it."
        )
    selection = _selection(stated.root)
    wanted = _by_source(stated.scenes)
    rate = _frame_rate(stated.scenes)
    found, _ = hash_sources(find_videos(videos, rate, apart_from=Path(root)), rate)
    sources = {
        sha: replace(source, repeats=tuple(scene.to_line() for scene in wanted[sha]))
        for sha, source in found.items()
        if sha in wanted
    }
    with opened_root(Path(root), recipe) as place:
        finished = finished_sources(place, sources, recipe)
        todo = {sha: source for sha, source in sources.items() if sha not in finished}
        run(todo, len(sources), recipe, place, executor, jobs, ahead, progress)
        roster = _roster(place, stated.scenes)
        scenes, verdict = publish(place, recipe, roster, {}, stated.dataset, selection)
        refused = _missing(wanted, sources) | refusals(place, sources, recipe)
        return BuildReport(place, scenes, refused, (), verdict)


def _by_source(scenes: Sequence[SceneEntry]) -> dict[str, list[SceneEntry]]:
    found: dict[str, list[SceneEntry]] = {}
    for scene in scenes:
        found.setdefault(str(scene.source["sha256"]), []).append(scene)
    return found


def _selection(folder: Path) -> str:
    """What stands beside the manifest of how its frames were chosen; not every manifest has it."""
    path = folder / "selection.jsonl"
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(
            f"{path}: cannot be read ({error}). Mend it, or move it away."
        ) from error
    selection_lines(text)
    return text


def _frame_rate(scenes: Sequence[SceneEntry]) -> int | None:
    """Pictures a second of the sequences, if the data set has any."""
    rates = {
        int(str(scene.source["average_rate"]).partition("/")[0])
        for scene in scenes
        if scene.source.get("container") == "pictures"
    }
    return min(rates, default=None)


def _missing(
    wanted: Mapping[str, Sequence[SceneEntry]], sources: Mapping[str, Source]
) -> dict[str, str]:
    missing = {sha: scenes for sha, scenes in wanted.items() if sha not in sources}
    return {
        str(scenes[0].source["name"]): (
            f"{scenes[0].source['name']}: no video given has its SHA-256 {sha[:12]}…, so "
            f"{', '.join(scene.scene for scene in scenes[:_NAMED])} could not be made."
        )
        for sha, scenes in missing.items()
    }


def _roster(root: Path, stated: Sequence[SceneEntry]) -> Roster:
    """What was made, on the sides and in the groups of old."""
    known = {scene.scene: scene for scene in stated}
    old = tuple(scene for scene in published_scenes(root) if scene.scene in known)
    there = {scene.scene for scene in old}
    fresh = tuple(
        scene
        for record in read_records(root).values()
        for scene in record["scenes"]
        if scene["scene"] in known and scene["scene"] not in there
    )
    dealt = {
        name: Dealt(scene.group, scene.group_reason, scene.split, scene.split_reason)
        for name, scene in known.items()
    }
    return Roster(old, fresh, dealt, {})
