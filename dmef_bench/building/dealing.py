"""Every scene's group and side: as the user says, as it was, or as the hash decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dmef_bench.building.groups import Group, Member, group_scenes
from dmef_bench.building.split import SplitRule, assign_splits
from dmef_bench.errors import UsageError

FROM_FILE = "file"
"""Reason of a side that the user gave."""


@dataclass(frozen=True)
class Dealt:
    """Where a scene belongs, and why."""

    group: str
    group_reason: tuple[str, ...]
    split: str
    split_reason: str


def deal(
    members: Iterable[Member],
    alike: Iterable[tuple[str, str]],
    rule: SplitRule,
    *,
    settled: Mapping[str, tuple[str, str]],
    wanted: Mapping[str, str],
) -> dict[str, Dealt]:
    """Give every scene a group, and every group a side.

    Parameters
    ----------
    members : iterable of Member
        All scenes, old and new.
    alike : iterable of (scene, scene)
        Scenes that show the same place.
    rule : SplitRule
        For groups of which nobody says anything.
    settled : mapping
        Scene id to the (side, reason) it was published with; it stays there. Empty to deal anew.
    wanted : mapping
        Scene id to the side that the user gave it; beats everything else.

    Returns
    -------
    dict
        Scene id to what was dealt to it, sorted by id.

    Raises
    ------
    UsageError
        A group would stand on both sides.
    """
    groups = group_scenes(members, alike)
    asked = _one_side_each(groups, wanted, _CONTRADICTS)
    before = {scene: side for scene, (side, _) in settled.items()}
    free = {scene: group for scene, group in groups.items() if group.name not in asked}
    kept = _one_side_each(free, before, _TURNS_OUT)
    sizes: dict[str, int] = {}
    for group in groups.values():
        sizes[group.name] = sizes.get(group.name, 0) + 1
    sides = assign_splits(sizes, rule, kept | asked)
    dealt = {}
    for scene, group in sorted(groups.items()):
        side, reason = sides[group.name]
        if group.name in asked:
            reason = FROM_FILE
        elif scene in settled:
            reason = settled[scene][1]
        dealt[scene] = Dealt(group.name, group.reasons, side, reason)
    return dealt


_CONTRADICTS = (
    "The split file puts {one} into {here} and {other} into {there}, but they belong together "
    "({why}). Put both on one side."
)
_TURNS_OUT = (
    "{one} ({here}) and {other} ({there}) turn out to belong together ({why}). Nothing was "
    "published. --resplit deals all groups anew; --split FILE says where they go."
)


def _one_side_each(
    groups: Mapping[str, Group], sides: Mapping[str, str], complaint: str
) -> dict[str, str]:
    """Group to the side of its scenes, for groups that have one; raises where they have two."""
    first: dict[str, str] = {}
    for scene, group in sorted(groups.items()):
        if scene not in sides:
            continue
        other = first.setdefault(group.name, scene)
        if sides[other] != sides[scene]:
            told = {"one": other, "here": sides[other], "other": scene, "there": sides[scene]}
            raise UsageError(complaint.format(why=", ".join(group.reasons), **told))
    return {name: sides[scene] for name, scene in first.items()}
