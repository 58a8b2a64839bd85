"""The bootstrap: paired, clips whole, its intervals those of theory, the same everywhere."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from dmef_bench.leaderboard.uncertainty import COVERAGE, Bootstrap, interval, ranks


def test_every_resample_draws_as_many_scenes_as_there_are() -> None:
    counts = Bootstrap.draw(range(30), resamples=10_000, fingerprint="3f9c0a51be77").counts
    assert counts.shape == (10_000, 30)
    assert (counts.sum(axis=1) == 30).all()
    # Each scene is drawn once on average; 10,000 draws err by a hundredth or so.
    assert counts.mean(axis=0) == pytest.approx(1.0, abs=0.05)
    # A scene is left out with probability (1 - 1/30)^30 = 0.362.
    assert (counts == 0).mean() == pytest.approx((29 / 30) ** 30, abs=0.005)


def test_the_draws_never_change() -> None:
    # Published boards hold intervals to the last digit: these draws are part of the format.
    counts = Bootstrap.draw(range(4), resamples=3, fingerprint="c0ffee").counts
    assert counts.tolist() == [[0, 1, 1, 2], [1, 1, 2, 0], [1, 0, 1, 2]]


def test_means_are_those_of_the_scenes_drawn() -> None:
    generator = np.random.default_rng(7)
    scores = generator.normal(30, 5, (3, 8))
    bootstrap = Bootstrap.draw(range(8), resamples=50, fingerprint="abc")
    drawn = [np.repeat(np.arange(8), count) for count in bootstrap.counts]
    expected = [[row[scenes].mean() for scenes in drawn] for row in scores]
    np.testing.assert_allclose(bootstrap.means(scores), expected, rtol=1e-13)


def test_scenes_that_are_clips_of_their_own_are_drawn_as_they_always_were() -> None:
    names = [f"clip-{name}" for name in "gacfbed"]
    draws = Bootstrap.draw(names, resamples=500, fingerprint="f492c87eeb8f").counts
    np.testing.assert_array_equal(
        draws, Bootstrap.draw(range(7), resamples=500, fingerprint="f492c87eeb8f").counts
    )


def test_two_clips_give_what_enumeration_gives() -> None:
    # Two scenes of one clip and one of another; the clips can be drawn in four ways.
    clips = {"a": [10.0, 20.0], "b": [40.0]}
    ways = [[*clips[one], *clips[two]] for one, two in product("ab", repeat=2)]
    bootstrap = Bootstrap.draw("aab", resamples=10_000, fingerprint="c0ffee")
    means = bootstrap.means(np.array([[10.0, 20.0, 40.0]]))[0]
    assert set(means) == {sum(way) / len(way) for way in ways}
    # Half the ways hold both clips; 10,000 draws err by half a hundredth, here by three of them.
    assert (means == 70 / 3).mean() == pytest.approx(0.5, abs=0.015)
    assert interval(means) == (15.0, 40.0)


def test_scenes_of_one_clip_have_the_point_for_an_interval() -> None:
    bootstrap = Bootstrap.draw(["clip"] * 5, resamples=100, fingerprint="c0ffee")
    scores = np.array([[20.0, 21.0, 22.0, 25.0, 30.0]])
    assert interval(bootstrap.means(scores)[0]) == (scores.mean(), scores.mean())


def test_scenes_that_repeat_their_clip_add_nothing_to_it() -> None:
    clips = np.random.default_rng(3).normal(30, 5, 8)
    draws = {"resamples": 2000, "fingerprint": "f492c87eeb8f"}
    of_clips = Bootstrap.draw(range(8), **draws).means(clips[np.newaxis])
    names = np.repeat(np.arange(8), 4)
    clustered = Bootstrap.draw(names, **draws).means(clips[np.newaxis, names])
    # The same draws of the same values; sums of four equal terms round elsewhere.
    np.testing.assert_allclose(clustered, of_clips, rtol=1e-13)
    alone = Bootstrap.draw(range(32), **draws).means(clips[np.newaxis, names])
    (low, high), (wide_low, wide_high) = interval(alone[0]), interval(clustered[0])
    # Four times as many independent values would halve the error; ends are known to some 5 %.
    assert wide_high - wide_low == pytest.approx(2 * (high - low), rel=0.15)


@pytest.mark.parametrize(("groups", "share"), COVERAGE.items())
def test_intervals_of_few_clips_hold_the_mean_as_often_as_is_told(groups, share) -> None:
    bootstrap = Bootstrap.draw(range(groups), resamples=2000, fingerprint="c0ffee")
    boards = np.random.default_rng(groups).normal(0, 1, (1500, groups))
    ends = np.array([interval(means) for means in bootstrap.means(boards)])
    held = ((ends[:, 0] <= 0) & (ends[:, 1] >= 0)).mean()
    # 1,500 boards err by 0.013 at most, the table was rounded: three times the one, and the other.
    assert held == pytest.approx(share, abs=0.045)


def test_infinite_and_missing_scores_are_left_out_of_a_mean() -> None:
    bootstrap = Bootstrap(np.array([[1, 1, 1], [0, 2, 1], [0, 0, 3]]))
    means = bootstrap.means(np.array([[30.0, math.inf, math.nan]]))[0]
    assert means[0] == 30.0
    assert means[1] == math.inf  # nothing else was drawn
    assert math.isnan(means[2])


def test_the_interval_of_normal_scores_is_that_of_theory() -> None:
    scores = np.random.default_rng(1).normal(0, 1, (1, 400))
    bootstrap = Bootstrap.draw(range(400), resamples=10_000, fingerprint="1")
    low, high = interval(bootstrap.means(scores)[0])
    error = scores.std() / math.sqrt(400)
    # 10,000 resamples fix the ends of a 95 % interval to about 3 % of the standard error each.
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.04)


def test_an_interval_of_nothing_is_unknown_and_of_one_is_itself() -> None:
    assert all(map(math.isnan, interval(np.array([math.nan]))))
    assert interval(np.array([2.0, math.nan])) == (2.0, 2.0)


def test_ranks_count_who_is_better_and_share_ties() -> None:
    means = np.array([[3.0, 1.0], [2.0, math.inf], [2.0, 0.0]])
    assert ranks(means, higher_is_better=True).tolist() == [[1, 2], [2, 1], [2, 3]]
    assert ranks(means, higher_is_better=False).tolist() == [[3, 2], [1, 3], [1, 1]]
