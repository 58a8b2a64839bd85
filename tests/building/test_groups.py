"""Scenes that belong together stand together, whatever ties them, and keep their names."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmef_bench.building.dealing import deal
from dmef_bench.building.groups import ALIKE, LISTED, SOURCE, Member, group_scenes
from dmef_bench.building.split import SplitRule
from dmef_bench.errors import UsageError

NAMES = [f"clip-{letter}" for letter in "abcdefgh"]


def scenes(*names: str, **fields) -> list[Member]:
    return [Member(f"{name}-000100", name, **fields) for name in names]


def scene(name: str) -> str:
    return f"{name}-000100"


def partition(groups) -> set[frozenset[str]]:
    """Scene ids by group, without the groups' names."""
    return {
        frozenset(each for each, group in groups.items() if group.name == name)
        for name in {group.name for group in groups.values()}
    }


pairs = st.lists(st.sampled_from(list(combinations(map(scene, NAMES), 2))), max_size=10)


@given(pairs, st.randoms())
def test_belonging_together_is_transitive_and_knows_no_order(alike, random) -> None:
    groups = group_scenes(scenes(*NAMES), alike)
    assert all(groups[one].name == groups[other].name for one, other in alike)
    reached = {scene(name): {scene(name)} for name in NAMES}
    for _ in NAMES:
        for one, other in alike:
            reached[one] |= reached[other]
            reached[other] |= reached[one]
    assert partition(groups) == {frozenset(together) for together in reached.values()}
    shuffled, swapped = scenes(*NAMES), [(b, a) for a, b in alike]
    random.shuffle(shuffled)
    random.shuffle(swapped)
    assert group_scenes(shuffled, swapped) == groups


def test_scenes_of_one_video_are_one_group_named_after_it() -> None:
    two = [Member("clip-a-000100", "clip-a"), Member("clip-a-002500", "clip-a")]
    groups = group_scenes([*two, *scenes("clip-b")])
    assert {group.name for group in groups.values()} == {"clip-a", "clip-b"}
    assert groups["clip-a-002500"].reasons == (SOURCE,)


def test_reasons_say_what_ties_a_group() -> None:
    listed = group_scenes([*scenes("clip-a", "clip-b", label="tour"), *scenes("clip-c")])
    assert listed[scene("clip-a")].reasons == (LISTED, SOURCE)
    assert listed[scene("clip-c")].reasons == (SOURCE,)
    # A label that one video alone bears ties nothing.
    alone = group_scenes([*scenes("clip-a", label="tour"), *scenes("clip-b", label="market")])
    assert {group.reasons for group in alone.values()} == {(SOURCE,)}
    alike = group_scenes(scenes("clip-a", "clip-b"), [(scene("clip-a"), scene("clip-b"))])
    assert alike[scene("clip-a")].reasons == (ALIKE, SOURCE)


def test_a_group_keeps_its_name_when_a_smaller_one_joins() -> None:
    old, new = scenes("clip-m", group="clip-m"), scenes("clip-a")
    groups = group_scenes([*old, *new], [(scene("clip-a"), scene("clip-m"))])
    assert {group.name for group in groups.values()} == {"clip-m"}


RULE = SplitRule(1, 1)


@given(pairs)
def test_no_group_ever_stands_on_both_sides(alike) -> None:
    dealt = deal(scenes(*NAMES), alike, RULE, settled={}, wanted={})
    assert all(dealt[one].split == dealt[other].split for one, other in alike)


def test_a_new_scene_follows_the_group_it_joins() -> None:
    for side in ("train", "test"):
        members = [*scenes("clip-m", group="clip-m"), *scenes("clip-a")]
        settled = {scene("clip-m"): (side, "count")}
        alike = [(scene("clip-a"), scene("clip-m"))]
        dealt = deal(members, alike, RULE, settled=settled, wanted={})
        assert dealt[scene("clip-a")].split == side
        assert dealt[scene("clip-a")].split_reason == "settled"
        assert dealt[scene("clip-m")].split_reason == "count"


def test_old_groups_of_both_sides_that_turn_out_alike_are_an_error_naming_both() -> None:
    members = [*scenes("clip-a", group="clip-a"), *scenes("clip-b", group="clip-b")]
    settled = {scene("clip-a"): ("train", "hash"), scene("clip-b"): ("test", "hash")}
    alike = [(scene("clip-a"), scene("clip-b"))]
    with pytest.raises(
        UsageError,
        match=r"clip-a-000100 \(train\) and clip-b-000100 \(test\) turn out .*near-duplicate.*"
        r"--resplit",
    ):
        deal(members, alike, RULE, settled=settled, wanted={})
    anew = deal(members, alike, RULE, settled={}, wanted={})
    assert len({each.split for each in anew.values()}) == 1
    asked = deal(members, alike, RULE, settled=settled, wanted={scene("clip-a"): "test"})
    assert {(each.split, each.split_reason) for each in asked.values()} == {("test", "file")}


def test_a_file_beats_everything_but_may_not_tear_a_group_apart() -> None:
    members = scenes("clip-a", "clip-b", "clip-c")
    wanted = {scene("clip-a"): "train", scene("clip-b"): "test"}
    settled = {scene("clip-a"): ("test", "ratio")}
    dealt = deal(members, [], RULE, settled=settled, wanted=wanted)
    assert dealt[scene("clip-a")].split == "train"
    assert dealt[scene("clip-b")].split == "test"
    with pytest.raises(UsageError, match="split file"):
        deal(members, [(scene("clip-a"), scene("clip-b"))], RULE, settled={}, wanted=wanted)
