"""One result as one row of the board: means, times, memory, cost, and what went wrong."""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter
from collections.abc import Mapping
from typing import Any

from dmef_bench.harness.timing_group import group_on_record
from dmef_bench.leaderboard.environments import machine
from dmef_bench.leaderboard.records import reason
from dmef_bench.results import UNTRAINED, MethodResult, SceneScore, Status
from dmef_bench.scene import size_text

Row = dict[str, Any]
"""Column name to value, at full precision."""

TIMES = ("t_core_s", "t_core_p5_s", "t_core_p95_s", "t_core_warm_s", "t_e2e_s")
"""Columns of clocks that were warmed up: only times of one timing group may be compared."""

COST = ("parameters", "macs_per_pixel", "macs_at_fused_size", "paper_convention_g")
"""Columns that come from the record's ``cost`` as they are."""


def board_row(result: MethodResult, metrics: Mapping[str, str]) -> Row:
    """The columns of one result that need no other result.

    Parameters
    ----------
    result : MethodResult
        Any; parts that it does not hold are NaN or empty.
    metrics : mapping of str to str
        Convention id to column name.

    Returns
    -------
    dict
        The board's columns; ``flags`` still a list, ``rank`` still None, and beside them
        ``complete`` and ``machine``, by which rows are ranked and times compared.
    """
    untrained = is_untrained(result)
    row: Row = {
        "rank": None,
        "complete": is_complete(result),
        "machine": machine(result.environment),
        "method": result.row,
        "kind": result.method.get("kind", "method"),
        "fused_size": _fused_size(result),
        "mr_source": _listed(scene.mr_source for scene in result.scenes),
    }
    for convention, name in metrics.items():
        scores = [] if untrained else _scores(result, convention)
        row[name] = math.nan if untrained else result.mean(convention)
        row[f"{name}_infinite"] = sum(map(math.isinf, scores))
        row[f"{name}_missing"] = len(result.ok) - len(scores)
        if name == "psnr":
            row["psnr_pooled"] = math.nan if untrained else _pooled_psnr(result)
    return {
        **row,
        **_times(result),
        "peak_bytes": _peak_bytes(result.memory or {}),
        **{name: _number((result.cost or {}).get(name)) for name in COST},
        "flags": _flags(result),
        "scenes_ok": len(result.ok),
        "scenes": result.expected,
        "status": str(result.status),
        "outcome": _outcome(result),
        "note": _note(result),
    }


def is_untrained(result: MethodResult) -> bool:
    """Whether weights were random: such a row shows times and cost, and no figure of quality."""
    return any(UNTRAINED in scene.flags for scene in result.scenes)


def is_complete(result: MethodResult) -> bool:
    """Whether every scene has been fused and scored."""
    whole = result.status is Status.OK and len(result.ok) == result.expected > 0
    return whole and not is_untrained(result)


def _scores(result: MethodResult, convention: str) -> list[float]:
    found = (scene.scores.get(convention) for scene in result.ok)
    return [score for score in found if score is not None]


def _pooled_psnr(result: MethodResult) -> float:
    """PSNR of the squared error pooled over all scenes: no rule for infinities is needed."""
    sse = sum(scene.sse or 0 for scene in result.ok)
    samples = sum(scene.samples or 0 for scene in result.ok)
    if not samples:
        return math.nan
    return 10 * math.log10(255**2 * samples / sse) if sse else math.inf


def _fused_size(result: MethodResult) -> str:
    """The size the scenes were fused at: one, or how many there are."""
    sizes = {scene.fused_size for scene in result.scenes if scene.fused_size}
    if len(sizes) == 1:
        return size_text(next(iter(sizes)))
    native = all(scene.fused_size == scene.native_size for scene in result.scenes)
    return f"{'native, ' * native}{len(sizes)} sizes" if sizes else ""


def _times(result: MethodResult) -> Row:
    timing = result.timing or {}
    core, warm, e2e = (timing.get(clock) or {} for clock in ("core", "core_warm", "e2e"))
    single = [time for scene in result.ok if (time := scene.seconds.get("e2e")) is not None]
    return {
        "t_core_s": _number(core.get("median_s")),
        "t_core_p5_s": _number(core.get("p5_s")),
        "t_core_p95_s": _number(core.get("p95_s")),
        "t_core_warm_s": _number(warm.get("median_s")),
        "t_e2e_s": _number(e2e.get("median_s")),
        "t_single_s": statistics.median(single) if single else math.nan,
        "timing_group": group_on_record(timing, result.environment),
    }


def _peak_bytes(memory: Mapping[str, Any]) -> float:
    """Peak of computation and of the whole way: on the device where there is one, else resident."""
    clocks = [memory.get(clock) or {} for clock in ("core", "e2e")]
    for place in ("reserved_bytes", "resident_bytes"):
        peaks = [clock[place] for clock in clocks if clock.get(place) is not None]
        if peaks:
            return float(max(peaks))
    return _number(memory.get("host_peak_bytes"))


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _flags(result: MethodResult) -> list[str]:
    """Marks of a row: of its clocks, of its scenes (with a count), of how it was fitted."""
    rules = result.protocol
    timing = result.timing or {}
    flags = [_with_speed(flag, timing) for flag in timing.get("flags") or ()]
    counts = Counter(flag for scene in result.scenes for flag in dict.fromkeys(scene.flags))
    for flag, count in counts.items():
        part = "" if count == len(result.scenes) else f" ({count} of {len(result.scenes)} scenes)"
        flags.append(f"{flag}{part}")
    if rules.fit == "tile" and result.method.get("is_global"):
        flags.append("† global: another answer on tiles than on the full frame")
    if rules.memory_budget:
        flags.append(f"budget {rules.memory_budget / 2**30:g} GiB (emulated)")
    if (result.max_resolution or {}).get("non_monotone"):
        flags.append("MR not monotone")
    return list(dict.fromkeys(flags))


def _with_speed(flag: str, timing: Mapping[str, Any]) -> str:
    """A time that cannot be, with what the device would have to do for it."""
    speed = (timing.get("plausibility") or {}).get("implied_tflops")
    return f"⚠ implausible: {speed:.3g} TFLOP/s" if flag == "implausible" and speed else flag


def _outcome(result: MethodResult) -> str:
    """What stands where an incomplete row has no numbers; empty for a complete one."""
    failed = next((s for s in result.scenes if s.status is result.status), None)
    match result.status:
        case Status.OOM:
            size = _failed_size(result, failed)
            return f"OOM @{size}" if size else "OOM"
        case Status.TIMEOUT:
            limit = re.search(r"([\d.]+) s\b", reason(failed) if failed else result.reason)
            return f"> {limit[1]} s" if limit else "timeout"
        case Status.ERROR:
            return f"error {_error_type(failed)}".strip()
        case Status.UNAVAILABLE:
            return "N/A"
        case Status.INTERRUPTED:
            return f"incomplete {len(result.ok)}/{result.expected}"
    return "" if len(result.ok) == result.expected else f"{len(result.ok)}/{result.expected}"


def _error_type(failed: SceneScore | None) -> str:
    return (failed.error or {}).get("type", "") if failed else ""


def _failed_size(result: MethodResult, failed: SceneScore | None) -> str:
    if failed and failed.fused_size:
        return size_text(failed.fused_size)
    # Not even the smallest size fitted: nothing was fused, but the search has its trace.
    probes = (result.max_resolution or {}).get("probes") or ()
    return str(probes[0]["size"]) if probes else ""


def _note(result: MethodResult) -> str:
    """Why scenes failed and scores are missing, the commonest reason first."""
    if result.reason:
        return result.reason
    reasons: dict[str, list[str]] = {}
    for scene in result.scenes:
        if why := reason(scene):
            reasons.setdefault(why, []).append(scene.scene_id)
    notes = []
    for why, scenes in sorted(reasons.items(), key=lambda item: -len(item[1])):
        everywhere = len(scenes) == len(result.scenes) > 1
        more = f" and {len(scenes) - 1} more" if len(scenes) > 1 else ""
        notes.append(why if everywhere else f"{scenes[0]}{more}: {why}")
    return "; ".join(notes)


def _listed(words: Any) -> str:
    return ", ".join(dict.fromkeys(word for word in words if word))
