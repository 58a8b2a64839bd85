"""The split is decided by hash, by whole groups, once and for good."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmef_bench.building.split import SplitRule, assign_splits, position
from dmef_bench.errors import UsageError

groups = st.dictionaries(st.text("abcdef0123456789-", min_size=1, max_size=12), st.integers(1, 4))


def sides(assigned):
    return {group: side for group, (side, _) in assigned.items()}


def scenes_in(side, counts, assigned):
    return sum(counts[group] for group, (where, _) in assigned.items() if where == side)


def test_a_hundred_and_ten_scenes_split_80_to_30() -> None:
    counts = {f"clip-{number:03d}": 1 for number in range(110)}
    assert Counter(sides(assign_splits(counts, SplitRule())).values()) == {"train": 80, "test": 30}


def test_the_position_is_the_documented_hash() -> None:
    # The first 8 bytes of SHA-256 of dmef NUL clip-000, as a fraction of 2**64.
    assert position("clip-000", "dmef") == pytest.approx(0.9027964482654818, abs=1e-15)


@given(groups)
def test_the_test_side_never_exceeds_its_count(counts) -> None:
    rule = SplitRule(2, 3)
    assigned = assign_splits(counts, rule)
    if sum(counts.values()) >= 5:
        assert scenes_in("test", counts, assigned) <= 3


@given(groups)
def test_small_sets_have_two_sides(counts) -> None:
    assigned = sides(assign_splits(counts, SplitRule()))
    if len(counts) >= 2 and sum(counts.values()) < 110:
        assert set(assigned.values()) == {"train", "test"}


@given(groups, groups)
def test_adding_videos_never_moves_an_old_scene(old, new) -> None:
    before = sides(assign_splits(old, SplitRule(3, 2)))
    after = sides(assign_splits(old | new, SplitRule(3, 2), settled=before))
    assert all(after[group] == side for group, side in before.items())


@given(st.permutations([f"clip-{number}" for number in range(12)]))
def test_the_order_of_videos_does_not_matter(order) -> None:
    straight = dict.fromkeys(sorted(order), 1)
    assert assign_splits(dict.fromkeys(order, 1), SplitRule(8, 4)) == assign_splits(
        straight, SplitRule(8, 4)
    )


def test_another_salt_deals_anew() -> None:
    counts = {f"clip-{number}": 1 for number in range(40)}
    one = sides(assign_splits(counts, SplitRule(20, 20)))
    other = sides(assign_splits(counts, SplitRule(20, 20, salt="other")))
    assert one != other


@pytest.mark.parametrize("text", ["80", "80-30", "a/b", "/", "0/0", "-1/3"])
def test_what_is_no_split_is_refused(text) -> None:
    with pytest.raises(UsageError, match="TRAIN/TEST"):
        SplitRule.parse(text)
