"""The bootstrap: paired, counted right, its intervals those of theory, the same everywhere."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dmef_bench.leaderboard.uncertainty import Bootstrap, interval, ranks


def test_every_resample_draws_as_many_scenes_as_there_are() -> None:
    counts = Bootstrap.draw(30, resamples=10_000, fingerprint="3f9c0a51be77").counts
    assert counts.shape == (10_000, 30)
    assert (counts.sum(axis=1) == 30).all()
    # Each scene is drawn once on average; 10,000 draws err by a hundredth or so.
    assert counts.mean(axis=0) == pytest.approx(1.0, abs=0.05)
    # A scene is left out with probability (1 - 1/30)^30 = 0.362.
    assert (counts == 0).mean() == pytest.approx((29 / 30) ** 30, abs=0.005)


def test_the_draws_never_change() -> None:
    # Published boards hold intervals to the last digit: these draws are part of the format.
    counts = Bootstrap.draw(4, resamples=3, fingerprint="c0ffee").counts
    assert counts.tolist() == [[0, 1, 1, 2], [1, 1, 2, 0], [1, 0, 1, 2]]


def test_means_are_those_of_the_scenes_drawn() -> None:
    generator = np.random.default_rng(7)
    scores = generator.normal(30, 5, (3, 8))
    bootstrap = Bootstrap.draw(8, resamples=50, fingerprint="abc")
    drawn = [np.repeat(np.arange(8), count) for count in bootstrap.counts]
    expected = [[row[scenes].mean() for scenes in drawn] for row in scores]
    np.testing.assert_allclose(bootstrap.means(scores), expected, rtol=1e-13)


def test_infinite_and_missing_scores_are_left_out_of_a_mean() -> None:
    bootstrap = Bootstrap(np.array([[1, 1, 1], [0, 2, 1], [0, 0, 3]]))
    means = bootstrap.means(np.array([[30.0, math.inf, math.nan]]))[0]
    assert means[0] == 30.0
    assert means[1] == math.inf  # nothing else was drawn
    assert math.isnan(means[2])


def test_the_interval_of_normal_scores_is_that_of_theory() -> None:
    scores = np.random.default_rng(1).normal(0, 1, (1, 400))
    bootstrap = Bootstrap.draw(400, resamples=10_000, fingerprint="1")
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
