"""The board's intervals: which scenes are drawn, and what each row gets from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from dmef_bench.leaderboard.records import higher_is_better
from dmef_bench.leaderboard.row import Row, is_complete
from dmef_bench.leaderboard.uncertainty import Bootstrap, Floats, interval, ranks
from dmef_bench.results import MethodResult

RESAMPLES = 10_000


def add_intervals(
    results: Sequence[MethodResult],
    rows: Sequence[Row],
    metrics: Mapping[str, str],
    *,
    sort: str,
    against: str | None = None,
    resamples: int = RESAMPLES,
) -> int:
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
    int
        How many scenes are drawn from; 0 where there are too few to say anything.
    """
    pairs = [(s, row) for s, row in zip(results, rows, strict=True) if is_complete(s)]
    held = [{scene.scene_id for scene in result.ok} for result, _ in pairs]
    # Sorted: a resumed run has its scenes in another order, and must give the same board.
    scenes = sorted(set.intersection(*held)) if held else []
    if len(scenes) < 2:
        return 0
    fingerprint = results[0].protocol.fingerprint
    bootstrap = Bootstrap.draw(len(scenes), resamples=resamples, fingerprint=fingerprint)
    complete = [row for _, row in pairs]
    for convention, name in metrics.items():
        scores = np.array([_scores(result, convention, scenes) for result, _ in pairs])
        means = bootstrap.means(scores)
        for row, samples in zip(complete, means, strict=True):
            row[f"{name}_low"], row[f"{name}_high"] = interval(samples)
        if name == sort:
            _add_rank_stability(complete, means, sort)
        if against is not None:
            peer = next(index for index, row in enumerate(complete) if row["method"] == against)
            _add_differences(complete, scores, peer, name, bootstrap)
    return len(scenes)


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
    rows: Sequence[Row], scores: Floats, peer: int, name: str, bootstrap: Bootstrap
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
        row[f"{name}_difference_low"], row[f"{name}_difference_high"] = interval(samples)
