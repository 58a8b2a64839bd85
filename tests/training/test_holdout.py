from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dmef_bench.training.holdout import hold_out

CLIPS = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=60)


@given(groups=CLIPS, share=st.floats(0.01, 0.9))
def test_whole_clips_are_held_out_and_never_all(groups, share) -> None:
    kept = {groups[index] for index in hold_out(groups, share)}
    learnt = {group for index, group in enumerate(groups) if index not in hold_out(groups, share)}
    assert not kept & learnt
    assert learnt
    assert bool(kept) == (len(set(groups)) > 1)


@given(groups=CLIPS, share=st.floats(0.01, 0.9))
def test_the_share_is_reached_unless_one_clip_is_left(groups, share) -> None:
    held = hold_out(groups, share)
    learnt = {groups[index] for index in range(len(groups)) if index not in held}
    assert len(held) >= share * len(groups) or len(learnt) == 1


def test_a_short_clip_is_preferred_to_a_long_one() -> None:
    # The long clip would be 80 % of the scenes where 10 % are asked for.
    assert {["long", "s1", "s2"][min(index // 8, 2)] for index in hold_out(["long"] * 8 + ["s1", "s2"], 0.1)} <= {"s1", "s2"}  # fmt: skip  # noqa: E501


def test_nothing_is_held_out_where_nothing_is_asked_for() -> None:
    assert hold_out(["a", "b"], 0.0) == ()
