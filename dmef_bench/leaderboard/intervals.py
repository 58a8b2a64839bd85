"""The board's intervals: which clips are drawn, and what each row gets from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dmef_bench.leaderboard.records import higher_is_better
from dmef_bench.leaderboard.row import Row, is_complete
from dmef_bench.leaderboard.uncertainty import COVERAGE, Bootstrap, Floats, interval, ranks
from dmef_bench.results import MethodResult

RESAMPLES = 10_000


@dataclass(frozen=True)
class Drawn:
    """What the intervals of a board were drawn from.

    Parameters
    ----------
    scenes : int
        On which all complete rows have scores.
    groups : int
        The clips that they were cut from, each drawn whole; with one alone there are no intervals.
    unnamed : int
        Scenes whose clip no record names: each is taken for a clip of its own.
    """

    scenes: int = 0
    groups: int = 0
    unnamed: int = 0

    @property
    def coverage(self) -> float | None:
        """How often such intervals hold the true mean, where that is less often than they say."""
        return COVERAGE.get(self.groups)


def add_intervals(
    results: Sequence[MethodResult],
    rows: Sequence[Row],
    metrics: Mapping[str, str],
    *,
    sort: str,
    against: str | None = None,
    resamples: int = RESAMPLES,
) -> Drawn:
    """Give complete rows their intervals, differences and rank stability; the others get none.

    Parameters
    ----------
    results : sequence of MethodResult
        Of one protocol.
    rows : sequence of dict
        Their rows, in the same order, ranked; changed in place.
    metrics : mapping of str to str
        Convention id to column name.
    sort : str
        The metric that ranks.
    against : str, optional
        The row that differences are taken to.
    resamples : int
        How many.

    Returns
    -------
    Drawn
        What the draws were from.
    """
    pairs = [(s, row) for s, row in zip(results, rows, strict=True) if is_complete(s)]
    held = [{scene.scene_id for scene in result.ok} for result, _ in pairs]
    # Sorted: a resumed run has its scenes in another order, and must give the same board.
    scenes = sorted(set.intersection(*held)) if held else []
    named = _groups(results)
    # A clip may bear the name of a scene whose own clip nobody names.
    groups = [(scene in named, named.get(scene, scene)) for scene in scenes]
    drawn = Drawn(len(scenes), len(set(groups)), sum(scene not in named for scene in scenes))
    if not scenes:
        return drawn
    fingerprint = results[0].protocol.fingerprint
    bootstrap = Bootstrap.draw(groups, resamples=resamples, fingerprint=fingerprint)
    # One clip, drawn again and again, is always itself: no interval is not one without width.
    ends = interval if drawn.groups > 1 else _unknown
    complete = [row for _, row in pairs]
    for convention, name in metrics.items():
        scores = np.array([_scores(result, convention, scenes) for result, _ in pairs])
        means = bootstrap.means(scores)
        for row, samples in zip(complete, means, strict=True):
            row[f"{name}_low"], row[f"{name}_high"] = ends(samples)
        if name == sort and drawn.groups > 1:
            _add_rank_stability(complete, means, sort)
        if against is not None:
            peer = next(index for index, row in enumerate(complete) if row["method"] == against)
            _add_differences(complete, scores, peer, name, bootstrap, ends)
    return drawn


def _groups(results: Sequence[MethodResult]) -> dict[str, str]:
    """Scene to the clip that it was cut from, as the run that ended last has it."""
    in_time = sorted(results, key=lambda result: (result.finished, result.row))
    scenes = (scene for result in in_time for scene in result.scenes)
    return {scene.scene_id: scene.group for scene in scenes if scene.group}


def _unknown(_samples: Floats) -> tuple[float, float]:
    """The interval of a single clip."""
    return math.nan, math.nan


def _scores(result: MethodResult, convention: str, scenes: Sequence[str]) -> list[float]:
    by_id = {scene.scene_id: scene.scores.get(convention) for scene in result.ok}
    return [math.nan if (score := by_id[scene]) is None else score for scene in scenes]


def _add_rank_stability(rows: Sequence[Row], means: Floats, sort: str) -> None:
    contest = [index for index, row in enumerate(rows) if row["rank"] is not None]
    if len(contest) < 2:
        return
    places_of = ranks(means[contest], higher_is_better=higher_is_better(sort))
    for index, places in zip(contest, places_of, strict=True):
        row = rows[index]
        low, high = interval(places.astype(np.float64))
        row["rank_low"], row["rank_high"] = int(low), int(high)
        row["rank_kept"] = float((places == row["rank"]).mean())


def _add_differences(
    rows: Sequence[Row],
    scores: Floats,
    peer: int,
    name: str,
    bootstrap: Bootstrap,
    ends: Callable[[Floats], tuple[float, float]],
) -> None:
    """Means of the differences to one row, over scenes where both scores are finite."""
    both = np.isfinite(scores) & np.isfinite(scores[peer])
    with np.errstate(invalid="ignore"):
        differences = np.where(both, scores - scores[peer], math.nan)
    for index, (row, samples) in enumerate(zip(rows, bootstrap.means(differences), strict=True)):
        known = differences[index][both[index]]
        if index == peer or not len(known):
            continue
        row[f"{name}_difference"] = math.fsum(known) / len(known)
        row[f"{name}_difference_low"], row[f"{name}_difference_high"] = ends(samples)
