"""Which three frames of a clip make a scene: something moves, nothing else changes."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import cv2
import numpy as np

from dmef_bench.building.clip import Clip, nearest, seconds
from dmef_bench.building.colour import FrameU8
from dmef_bench.building.motion import Motion, measure_motion, one_thread
from dmef_bench.building.rules import SelectionRules
from dmef_bench.building.shots import Shots
from dmef_bench.building.triples import Indices, NoTripleError, Selection, Triple, triple_of
from dmef_bench.errors import UsageError, VideoError
from dmef_bench.metrics.grey import Grey
from dmef_bench.metrics.optical_flow import LONG_SIDE_4K, unexplained

# Half a frame of a slow camera: how far a gap may be from the one that was tried.
_GAP_TOLERANCE_S = 0.05
# More motion than this makes a scene no better.
_ENOUGH_MOTION = 0.3
# A narrower gap has the same sample 2, and less motion.
_HOPELESS = ("clipped", "black", "mean", "still")


def select_triples(clip: Clip, rules: SelectionRules | None = None, scenes: int = 1) -> Selection:
    """Choose the best triples of a clip.

    Candidates lie a fifth of a second apart, each with several gaps to its neighbours. What
    passes every criterion is ranked by how much moves and how sharp sample 2 is:
    ``min(visible, 0.3) / 0.3 + min(sharpness, 1)``. The clip is decoded once; only small frames
    are kept, and those no longer than the widest candidate needs.

    Parameters
    ----------
    clip : Clip
        An open clip.
    rules : SelectionRules, optional
        Other thresholds than the default ones.
    scenes : int
        At most so many triples, the best first, each `SelectionRules.apart_s` from the others.

    Returns
    -------
    Selection
        At least one triple. The same for the same clip and rules, always.

    Raises
    ------
    UsageError
        Less than one scene.
    VideoError
        The clip is too short, or (`NoTripleError`) no candidate passes; the message counts why.
    """
    if scenes < 1:
        raise UsageError(f"scenes is {scenes}; choose at least 1.")
    rules = rules or SelectionRules()
    candidates = find_candidates(clip, rules)
    if not candidates:
        raise VideoError(too_short(clip, rules))
    with one_thread():
        examined = _examine(clip, candidates, rules)
    passed = [triple for triple in examined if not triple.reason]
    rejected = tuple(triple for triple in examined if triple.reason)
    best = _best(clip, passed, scenes, rules.apart_s)
    selection = Selection(
        tuple(_counted(triple, len(examined), len(rejected)) for triple in best),
        rejected,
        len(examined),
    )
    if not best:
        raise NoTripleError(_none_passed(clip, rejected), selection)
    return selection


def find_candidates(clip: Clip, rules: SelectionRules) -> list[list[Indices]]:
    """Triples of frames whose times fit: for every sample 2 those that share it, widest first.

    Only times are looked at; nothing is decoded. Empty where the clip is `too_short`.
    """
    times = seconds(clip)
    ends = rules.ends_ms / 1000
    if times[-1] - times[0] < 5 * ends:
        ends = 0.0
    first = int(np.searchsorted(times, times[0] + ends))
    last = int(np.searchsorted(times, times[-1] - ends, side="right"))
    usable = times[first:last]
    shortest, longest = rules.gap_min_ms / 1000, rules.gap_max_ms / 1000
    centres = np.arange(usable[0] + shortest, usable[-1], rules.spacing_ms / 1000)
    middles = sorted({nearest(usable, centre) for centre in centres})
    candidates: list[list[Indices]] = []
    for middle in middles:
        found: dict[Indices, None] = {}
        for gap in sorted((gap_ms / 1000 for gap_ms in rules.gap_ms), reverse=True):
            before, after = (nearest(usable, usable[middle] + side * gap) for side in (-1, 1))
            gaps = np.diff(usable[[before, middle, after]])
            fits = np.abs(gaps - gap) <= _GAP_TOLERANCE_S
            if np.all(fits & (gaps >= shortest) & (gaps <= longest)):
                found[first + before, first + middle, first + after] = None
        if found:
            candidates.append(list(found))
    return candidates


@dataclass(frozen=True, eq=False)
class _Frame:
    """A small frame, in memory while candidates need it."""

    rgb: FrameU8
    grey: Grey
    shot: int


def _examine(
    clip: Clip, candidates: Sequence[list[Indices]], rules: SelectionRules
) -> list[Triple]:
    """Measure the candidates in one pass over the clip."""
    needed = sorted({index for group in candidates for indices in group for index in indices})
    waiting = deque(candidates)
    kept: dict[int, _Frame] = {}
    sharpness: dict[int, float] = {}
    examined: list[Triple] = []
    shots = Shots(rules)
    for small in clip.small_frames(needed, rules.analysis_px):
        grey = cv2.cvtColor(small.rgb, cv2.COLOR_RGB2GRAY).astype(np.uint8)
        kept[small.index] = _Frame(small.rgb, grey, shots.number(small.rgb, grey))
        sharpness[small.index] = _laplacian_variance(small.half_luma)
        while waiting and waiting[0][0][2] <= small.index:
            examined += _judge_gaps(clip, waiting.popleft(), kept, rules)
        # No candidate that still waits reaches further back.
        oldest = clip.time(small.index) - Fraction(2 * rules.gap_max_ms) / 1000
        kept = {index: frame for index, frame in kept.items() if clip.time(index) >= oldest}
    for group in waiting:
        examined += _judge_gaps(clip, group, kept, rules)
    usual = float(np.percentile(list(sharpness.values()), 90)) if sharpness else 0.0
    return [_judge_sharpness(triple, sharpness, usual, rules) for triple in examined]


def _judge_gaps(
    clip: Clip, group: list[Indices], kept: dict[int, _Frame], rules: SelectionRules
) -> Iterator[Triple]:
    """Try the widest gap first, narrower ones only where they may help."""
    for indices in group:
        frames = [kept[index] for index in indices if index in kept]
        fault, measured = _judge(frames, rules)
        times = [float(clip.time(index)) for index in indices]
        measured["gap_ms"] = [
            round(1000 * (after - before), 3) for before, after in pairwise(times)
        ]
        yield triple_of(clip, indices, measured, rules.reason(fault))
        if not fault or fault in _HOPELESS:
            return


def _judge(frames: Sequence[_Frame], rules: SelectionRules) -> tuple[str, dict[str, Any]]:
    """Apply every criterion but sharpness, the cheap ones first: the fault, what was measured."""
    if len(frames) < 3:
        return "damaged", {}
    if len({frame.shot for frame in frames}) > 1:
        return "cut", {}
    measured: dict[str, Any] = {"shot": frames[1].shot} | _exposure(frames[1].rgb)
    fault = _exposure_fault(measured, rules) or _still_fault(frames, rules)
    motions: list[Motion] = []
    for before, after in pairwise(frames):
        if fault:
            break
        motions.append(_motion(before, after, rules))
        fault = _motion_fault(motions[-1], rules)
    if motions:
        for name in Motion.__annotations__:
            measured[name] = [round(getattr(motion, name), 4) for motion in motions]
    return fault, measured


def _exposure(rgb: FrameU8) -> dict[str, float]:
    return {
        "clipped250": round(float(np.mean(rgb.max(axis=2) >= 250)), 4),
        "dark5": round(float(np.mean(rgb.max(axis=2) <= 5)), 4),
        "mean": round(float(rgb.mean()) / 255, 4),
    }


def _exposure_fault(measured: dict[str, Any], rules: SelectionRules) -> str:
    if measured["clipped250"] > rules.clipped_max:
        return "clipped"
    if measured["dark5"] > rules.dark_max:
        return "black"
    return "" if rules.mean_min <= measured["mean"] <= rules.mean_max else "mean"


def _still_fault(frames: Sequence[_Frame], rules: SelectionRules) -> str:
    """Spare the flow where hardly anything changes, the camera's motion included."""
    for before, after in pairwise(frames):
        changed = unexplained(before.grey, after.grey, rules.moving_px_4k) > rules.moving_codes
        if changed.mean() < rules.moving_min:
            return "still"
    return ""


def _motion(before: _Frame, after: _Frame, rules: SelectionRules) -> Motion:
    return measure_motion(
        before.grey, after.grey, moving_px_4k=rules.moving_px_4k, codes=rules.moving_codes
    )


def _motion_fault(motion: Motion, rules: SelectionRules) -> str:
    if motion.global_px_4k > rules.global_max * LONG_SIDE_4K:
        return "camera"
    if motion.visible < rules.moving_min:
        return "still"
    if motion.moving12 > rules.moving_max:
        return "much"
    if motion.residual_p95_px_4k > rules.residual_max_px_4k:
        return "far"
    return "drift" if motion.drift > rules.drift_max else ""


def _judge_sharpness(
    triple: Triple, sharpness: dict[int, float], usual: float, rules: SelectionRules
) -> Triple:
    """Sharpness is relative to the whole clip, so it is judged last; then the score."""
    if triple.reason:
        return triple
    ratios = [sharpness[index] / usual if usual else 0.0 for index in triple.indices]
    measured = triple.measurements | {"sharpness": [round(ratio, 4) for ratio in ratios]}
    if ratios[1] < rules.sharp_ref:
        return replace(triple, measurements=measured, reason=rules.reason("blurred2"))
    if min(ratios) < rules.sharp_other:
        return replace(triple, measurements=measured, reason=rules.reason("blurred13"))
    measured["score"] = round(
        min(min(measured["visible"]), _ENOUGH_MOTION) / _ENOUGH_MOTION + min(ratios[1], 1.0), 4
    )
    return replace(triple, measurements=measured)


def _laplacian_variance(luma: Grey) -> float:
    _, deviation = cv2.meanStdDev(cv2.Laplacian(luma, cv2.CV_16S))
    return float(deviation[0, 0]) ** 2


def _best(clip: Clip, passed: Sequence[Triple], scenes: int, apart_s: float) -> list[Triple]:
    """The highest scores, far enough from one another; of equals the earliest."""
    best: list[Triple] = []
    for triple in sorted(passed, key=lambda each: (-each.measurements["score"], each.pts[1])):
        middle = clip.time(triple.indices[1])
        far = all(abs(middle - clip.time(other.indices[1])) >= apart_s for other in best)
        if far and len(best) < scenes:
            best.append(triple)
    return best


def _counted(triple: Triple, candidates: int, rejected: int) -> Triple:
    counts = {"candidates": candidates, "rejected": rejected}
    return replace(triple, measurements=triple.measurements | counts)


def too_short(clip: Clip, rules: SelectionRules) -> str:
    """Why a clip has no candidate at all."""
    times = seconds(clip)
    span = times[-1] - times[0]
    if len(times) > 1 and span * 1000 / (len(times) - 1) > rules.gap_max_ms:
        apart = span * 1000 / (len(times) - 1)
        return (
            f"{clip.path.name}: frames lie {apart:.0f} ms apart; samples at most "
            f"{rules.gap_max_ms:g} ms apart are needed. Use --pick uniform for slow recordings."
        )
    return (
        f"{clip.path.name}: {len(times)} usable frames in {span:.1f} s; three samples "
        f"{rules.gap_min_ms:g} ms apart are needed. Use --pick uniform for very short clips."
    )


def _none_passed(clip: Clip, rejected: Sequence[Triple]) -> str:
    counts = Counter(triple.reason for triple in rejected)
    listed = ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
    return (
        f"{clip.path.name}: {len(rejected)} candidate{'s' * (len(rejected) != 1)}, "
        f"none passed: {listed}. "
        "See selection.jsonl; --pick uniform takes 25/50/75 %."
    )
