"""All results of one protocol as one frame, ranked; every format is written from it."""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict

import pandas as pd

from dmef_bench.errors import UsageError
from dmef_bench.leaderboard.alarms import alarms
from dmef_bench.leaderboard.environments import environments
from dmef_bench.leaderboard.intervals import RESAMPLES, add_intervals
from dmef_bench.leaderboard.records import higher_is_better, metric_names, select_fingerprint
from dmef_bench.leaderboard.row import COST, TIMES, Row, board_row, is_complete
from dmef_bench.results import MethodResult

_WHOLE = ("rank", "rank_low", "rank_high", "peak_bytes", "parameters", "macs_at_fused_size")


def leaderboard_frame(
    results: Sequence[MethodResult],
    *,
    against: str | None = None,
    resamples: int = RESAMPLES,
    sort: str | None = None,
    timing_group: str | None = None,
) -> pd.DataFrame:
    """One row a method, full precision; what every format is written from.

    Parameters
    ----------
    results : sequence of MethodResult
        Of one protocol.
    against : str, optional
        A complete row; the others get the mean of their paired differences to it.
    resamples : int
        Of the clips, for the intervals.
    sort : str, optional
        Metric that ranks; else PSNR, or the first there is.
    timing_group : str, optional
        Which machine's times to show; else the one that most rows were timed on.

    Returns
    -------
    pandas.DataFrame
        ``rank`` (missing for bounds and for rows without all their scores) with ``rank_low``,
        ``rank_high`` (95 % of the resamples) and ``rank_kept`` (share of them with that rank);
        ``method``, ``kind``, ``fused_size``, ``mr_source``; for each metric, under its short name,
        the mean over scenes where it is finite, its 95 % interval ``_low`` and ``_high``, how many
        scores are ``_infinite`` or ``_missing``, with ``against`` also ``_difference`` and its
        interval; ``psnr_pooled``; times in seconds (``t_single_s``: the median of one call a scene
        without warm-up), ``peak_bytes``, cost, flags, counts, status; ``outcome`` and ``note`` say
        what an incomplete row ran into. ``attrs`` say how and where it was measured.

    Raises
    ------
    ProtocolMismatchError
        More than one protocol.
    UsageError
        No result, one row name twice; an unknown metric, row or timing group.

    Notes
    -----
    Intervals are of the paired bootstrap over clips: clips are drawn with replacement, each with
    all its scenes, the same ones for all rows and metrics, and an interval holds the middle 95 % of
    the resampled means. The protocol's fingerprint is the seed.
    """
    results = select_fingerprint(results)
    _check_rows(results)
    metrics = metric_names(results)
    sort = _known("metric", sort, metrics.values()) or _first(metrics.values())
    against = _known("complete row", against, [r.row for r in results if is_complete(r)])
    rows = [board_row(result, metrics) for result in results]
    for name, marks in alarms(results, rows).items():
        next(row for row in rows if row["method"] == name)["flags"] += marks
    group, timed_on = _one_timing_group(rows, timing_group)
    _rank(rows, sort)
    drawn = add_intervals(results, rows, metrics, sort=sort, against=against, resamples=resamples)
    frame = pd.DataFrame(_sorted(rows, sort), columns=_columns(metrics.values(), against))
    frame = frame.astype(dict.fromkeys(_WHOLE, "Int64"))
    frame["flags"] = frame["flags"].map("; ".join)
    frame.attrs = {
        "protocol": results[0].protocol.in_force,
        "fingerprint": results[0].protocol.fingerprint,
        "environments": environments(results),
        "measured": max(result.finished for result in results)[:10],
        "dmef": ", ".join(sorted({str(result.environment.get("dmef")) for result in results})),
        "conventions": {name: convention for convention, name in metrics.items()},
        "sort": sort,
        "against": against,
        "resamples": resamples,
        "drawn": {**asdict(drawn), "coverage": drawn.coverage},
        "timing_group": group,
        "timed_on": timed_on,
    }
    return frame


def _check_rows(results: Sequence[MethodResult]) -> None:
    if not results:
        raise UsageError("There is no result to make a board of.")
    if not results[0].protocol.metrics:
        raise UsageError("The protocol names no metric; there is nothing to rank by.")
    twice = [name for name, count in Counter(r.row for r in results).items() if count > 1]
    if twice:
        raise UsageError(
            f"The row {twice[0]!r} stands twice under one protocol; give one of the folders."
        )


def _known(what: str, name: str | None, names: Iterable[str]) -> str | None:
    """``name`` if it is one of ``names``, or None; else say which there are."""
    names = list(names)
    if name is None or name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]}?" if near else "."
    raise UsageError(
        f"The board has no {what} called {name!r}{hint} There are: {', '.join(names) or 'none'}."
    )


def _first(metrics: Iterable[str]) -> str:
    metrics = list(metrics)
    return "psnr" if "psnr" in metrics else metrics[0]


def _rank(rows: Iterable[Row], sort: str) -> None:
    """Number the rows that have all their scores; equals share the better rank."""
    complete = [row for row in rows if row["complete"] and not math.isnan(row[sort])]
    # A mean over fewer scenes than the others' is another mean.
    fewest = min((row[f"{sort}_missing"] for row in complete), default=0)
    contest = [row for row in complete if row["kind"] == "method"]
    contest = [row for row in contest if row[f"{sort}_missing"] == fewest]
    sign = 1 if higher_is_better(sort) else -1
    for row in contest:
        row["rank"] = 1 + sum(sign * other[sort] > sign * row[sort] for other in contest)


def _sorted(rows: Iterable[Row], sort: str) -> list[Row]:
    """Complete rows from the best to the worst, then the others likewise."""
    sign = -1 if higher_is_better(sort) else 1

    def key(row: Row) -> tuple[bool, bool, float, str]:
        unknown = math.isnan(row[sort])
        standing = row["rank"] is not None or (row["kind"] == "bound" and row["complete"])
        return not standing, unknown, 0.0 if unknown else sign * row[sort], row["method"]

    return sorted(rows, key=key)


def _one_timing_group(rows: Sequence[Row], wanted: str | None) -> tuple[str, str]:
    """Leave times of one machine and its settings alone; the others would be compared with them.

    Returns the group, and the machine of the times that are left.
    """
    timed = Counter(row["timing_group"] for row in rows if row["timing_group"])
    _known("timing group", wanted, timed)
    chosen = wanted or max(timed, key=lambda group: (timed[group], group), default="")
    single = Counter(row["machine"] for row in rows if not math.isnan(row["t_single_s"]))
    machine = next(
        (row["machine"] for row in rows if chosen and row["timing_group"] == chosen),
        max(single, key=lambda name: (single[name], name), default=""),
    )
    for row in rows:
        if row["timing_group"] not in ("", chosen):
            row |= dict.fromkeys(TIMES, math.nan)
            row["flags"].append(f"timed in group {row['timing_group']}, not shown")
        if row["machine"] != machine:
            row["t_single_s"] = math.nan
    return chosen, machine


def _columns(metrics: Iterable[str], against: str | None) -> list[str]:
    columns = ["rank", "rank_low", "rank_high", "rank_kept", "method", "kind", "fused_size"]
    columns.append("mr_source")
    for name in metrics:
        parts = ["", "_low", "_high", "_infinite", "_missing"]
        parts += ["_difference", "_difference_low", "_difference_high"] if against else []
        columns += [f"{name}{part}" for part in parts]
        columns += ["psnr_pooled"] if name == "psnr" else []
    columns += [*TIMES, "t_single_s", "timing_group", "peak_bytes", *COST]
    return [*columns, "flags", "scenes_ok", "scenes", "status", "outcome", "note"]
