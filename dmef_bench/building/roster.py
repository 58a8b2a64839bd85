"""All scenes of a data set before they are published: grouped, sided, with their rights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from dmef_bench.building.dealing import Dealt, deal
from dmef_bench.building.groups import Member
from dmef_bench.building.layout import SCRATCH, features_path, published_scenes
from dmef_bench.building.likeness import Features, find_alike
from dmef_bench.building.recipe import Recipe
from dmef_bench.building.records import read_records
from dmef_bench.building.tables import Tables
from dmef_bench.errors import ImageFileError
from dmef_bench.imagefile import read_image
from dmef_bench.manifest import SPLITS, SceneEntry

_GREETING = 10


@dataclass(frozen=True)
class Roster:
    """What is to be published.

    Parameters
    ----------
    old : tuple of SceneEntry
        As the manifest has them.
    fresh : tuple of dict
        Scenes of the records that it does not have.
    dealt : mapping
        Scene id to group and side.
    rights : mapping
        SHA-256 of a source to its licence, consent and url, where the user states them.
    notes : tuple of str
        What the user should know.
    """

    old: tuple[SceneEntry, ...]
    fresh: tuple[dict[str, Any], ...]
    dealt: Mapping[str, Dealt]
    rights: Mapping[str, Mapping[str, Any]]
    notes: tuple[str, ...] = ()


def call_roll(
    root: Path, recipe: Recipe, tables: Tables, given: Mapping[str, PurePath], *, resplit: bool
) -> Roster:
    """Gather published and recorded scenes, find those of one place, give all a side.

    Parameters
    ----------
    root : Path
        Of the data set.
    recipe : Recipe
        Its split rule.
    tables : Tables
        The user's.
    given : mapping
        SHA-256 to path of the videos of this build; published ones are known by name.
    resplit : bool
        Forget the sides of published scenes.

    Raises
    ------
    UsageError
        Tables that contradict themselves, or a group that would stand on both sides.
    """
    old = published_scenes(root)
    names = {scene.scene for scene in old}
    fresh = tuple(
        scene
        for record in read_records(root).values()
        for scene in record["scenes"]
        if scene["scene"] not in names
    )
    sources = {scene.scene: str(scene.source["sha256"]) for scene in old}
    sources |= {scene["scene"]: str(scene["source"]["sha256"]) for scene in fresh}
    stated = {str(scene.source["sha256"]): PurePath(str(scene.source["name"])) for scene in old}
    known = stated | dict(given)
    labels, label_notes = tables.labels(known)
    rights, rights_notes = tables.rights_of(known)
    wanted, split_notes = tables.sides_of(known, sources)
    members = [
        *(_old_member(scene, labels.get(sources[scene.scene])) for scene in old),
        *(Member(s["scene"], s["group"], labels.get(sources[s["scene"]])) for s in fresh),
    ]
    alike = _find_alike(root, recipe, members, {scene["scene"] for scene in fresh})
    dealt = deal(
        members,
        [(one, other) for one, other, _ in alike],
        recipe.split,
        settled={} if resplit else {s.scene: (s.split, s.split_reason) for s in old},
        wanted=wanted,
    )
    notes = (*label_notes, *rights_notes, *split_notes, *_told(alike))
    return Roster(old, fresh, dealt, rights, notes)


def _old_member(scene: SceneEntry, label: str | None) -> Member:
    source = scene.scene.rpartition("-")[0]
    return Member(scene.scene, source, label, scene.group, scene.group_reason)


def _find_alike(
    root: Path, recipe: Recipe, members: Sequence[Member], fresh: set[str]
) -> list[tuple[str, str, int]]:
    """Pairs that show one place; scenes of one video, label or old group need no comparing."""
    if not fresh:
        return []
    features = {}
    for member in members:
        found = _features(root, member.scene, f"gt.{recipe.format}")
        if found is not None:
            features[member.scene] = found
    apart = {member.scene: member.group or member.source for member in members}
    return list(find_alike(features, apart, fresh))


def _features(root: Path, scene: str, truth: str) -> Features | None:
    """Kept since the scene was built, or found in its truth; None where that is unreadable."""
    path = features_path(root, scene)
    kept = Features.load(path)
    if kept is not None:
        return kept
    for place in (root / SCRATCH / "scenes", *(root / side for side in SPLITS)):
        try:
            found = Features.of(read_image(place / scene / truth))
        except ImageFileError:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        found.save(path)
        return found
    return None


def _told(alike: Sequence[tuple[str, str, int]]) -> tuple[str, ...]:
    told = tuple(
        f"{one} and {other} show the same place ({count} common features): one group."
        for one, other, count in alike[:_GREETING]
    )
    more = len(alike) - len(told)
    return (*told, f"{more} more pairs show the same place.") if more > 0 else told
