"""Which scenes belong together: one source, one line of the user's list, or one place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SOURCE, LISTED, ALIKE = "source", "groups.csv", "near-duplicate"
"""Why scenes are in one group."""


@dataclass(frozen=True)
class Member:
    """A scene as grouping sees it.

    Parameters
    ----------
    scene : str
        Its id.
    source : str
        Id of its video, alike for all scenes of one.
    label : str or None
        The user's group.
    group : str or None
        The group it was in when it was published; None for a new scene.
    reasons : tuple of str
        Why it was.
    """

    scene: str
    source: str
    label: str | None = None
    group: str | None = None
    reasons: tuple[str, ...] = (SOURCE,)


@dataclass(frozen=True)
class Group:
    """A group: its id, why it holds together, and the groups of old that it unites."""

    name: str
    reasons: tuple[str, ...]
    old: tuple[str, ...]


class _Sets:
    """Disjoint sets that grow together."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def root(self, name: str) -> str:
        parent = self._parent.setdefault(name, name)
        while parent != self._parent[parent]:
            parent = self._parent[parent]
        self._parent[name] = parent
        return parent

    def join(self, one: str, other: str) -> None:
        first, last = sorted((self.root(one), self.root(other)))
        self._parent[last] = first


def group_scenes(
    members: Iterable[Member], alike: Iterable[tuple[str, str]] = ()
) -> dict[str, Group]:
    """Unite scenes by source, by the user's label, by their old group, and by likeness.

    Parameters
    ----------
    members : iterable of Member
        All scenes, old and new.
    alike : iterable of (scene, scene)
        Scenes that show the same place.

    Returns
    -------
    dict
        Scene id to its group. A group keeps its id once it has one; the smallest of several, and
        the smallest source id of a new group.

    Examples
    --------
    >>> two = [Member("a-1", "a"), Member("b-1", "b")]
    >>> [group.name for group in group_scenes(two).values()]
    ['a', 'b']
    >>> [group.name for group in group_scenes(two, [("a-1", "b-1")]).values()]
    ['a', 'a']
    """
    members = sorted(members, key=lambda member: member.scene)
    sets = _Sets()
    for member in members:
        for kind, value in _ties(member).items():
            if value is not None:
                sets.join(f"scene {member.scene}", f"{kind} {value}")
    pairs = tuple(alike)
    for one, other in pairs:
        sets.join(f"scene {one}", f"scene {other}")
    united: dict[str, list[Member]] = {}
    for member in members:
        united.setdefault(sets.root(f"scene {member.scene}"), []).append(member)
    resembling = {sets.root(f"scene {one}") for one, _ in pairs}
    return {
        member.scene: _group(inside, is_alike=root in resembling)
        for root, inside in united.items()
        for member in inside
    }


def _ties(member: Member) -> Mapping[str, str | None]:
    return {"source": member.source, "label": member.label, "group": member.group}


def _group(inside: list[Member], *, is_alike: bool) -> Group:
    old = tuple(sorted({member.group for member in inside if member.group is not None}))
    reasons = {reason for member in inside for reason in member.reasons}
    listed = {(member.label, member.source) for member in inside if member.label is not None}
    if len(listed) > len({label for label, _ in listed}):
        reasons.add(LISTED)
    if is_alike:
        reasons.add(ALIKE)
    name = old[0] if old else min(member.source for member in inside)
    return Group(name, tuple(sorted(reasons)), old)
