"""Marks that only a whole board can see: rows that are better, or more alike, than they can be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dmef_bench.results import MethodResult


def alarms(results: Sequence[MethodResult], rows: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """What a reader should be told of each row, by row name.

    Parameters
    ----------
    results : sequence of MethodResult
        Of one board.
    rows : sequence of dict
        Their rows, in the same order.

    Returns
    -------
    dict
        Only rows with an alarm: a score above the ``oracle`` of its own fused size (a leak, or a
        wrong label), or fused pictures that equal a bound's to the last bit.
    """
    bounds = [result for result in results if result.is_bound]
    ceilings = {
        row["fused_size"]: row
        for row in rows
        if row["kind"] == "bound" and row["method"].startswith("oracle")
    }
    found: dict[str, list[str]] = {}
    for result, row in zip(results, rows, strict=True):
        if result.is_bound:
            continue
        marks = [mark for bound in bounds if (mark := _equal_pictures(result, bound))]
        ceiling = ceilings.get(row["fused_size"], {})
        if row.get("psnr", math.nan) > ceiling.get("psnr", math.nan):
            marks.append(f"⚠ above {ceiling['method']}")
        if marks:
            found[result.row] = marks
    return found


def _equal_pictures(result: MethodResult, bound: MethodResult) -> str:
    theirs = {scene.scene_id: scene.fused_sha256 for scene in bound.ok if scene.fused_sha256}
    equal = sum(theirs.get(scene.scene_id, "") == scene.fused_sha256 for scene in result.ok)
    return f"⚠ equals {bound.row} on {equal} of {len(result.scenes)} scenes" if equal else ""
