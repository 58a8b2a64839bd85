"""Which three frames of a clip make a scene: something moves, nothing else changes."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from dmef_bench.building.colour import FrameU8
from dmef_bench.building.motion import LONG_SIDE_4K, Grey, Motion, measure_motion, unexplained
from dmef_bench.building.video import VideoReader
from dmef_bench.errors import UsageError, VideoError

Indices = tuple[int, int, int]

# Half a frame of a slow camera: how far a gap may be from the one that was tried.
_GAP_TOLERANCE_S = 0.05
# More motion than this makes a scene no better.
_ENOUGH_MOTION = 0.3
_REASONS = {
    "": "",
    "damaged": "damaged frame",
    "cut": "cut between the samples",
    "clipped": "clipped (> {clipped_max:.0%} at 250 or above)",
    "black": "black (> {dark_max:.0%} at 5 or below)",
    "mean": "too dark or too bright (mean outside {mean_min:g} to {mean_max:g})",
    "still": "no local motion (< {moving_min:.0%})",
    "much": "too much motion (> {moving_max:.0%})",
    "far": "motion too far (> {residual_max_px_4k:g} px)",
    "camera": "camera moves too far (> {global_max:.0%})",
    "drift": "brightness drifts (> {drift_max:.0%})",
    "blurred2": "blurred sample 2",
    "blurred13": "blurred sample 1 or 3",
}
# A narrower gap has the same sample 2, and less motion.
_HOPELESS = ("clipped", "black", "mean", "still")


@dataclass(frozen=True)
class SelectionRules:
    """Thresholds of the choice; lengths at 4K are scaled by the long side of the picture.

    Parameters
    ----------
    gap_ms : tuple of float
        Times between neighbouring samples that are tried.
    gap_min_ms, gap_max_ms : float
        What the frames' own times may make of them.
    spacing_ms : float
        Time between the sample 2 of neighbouring candidates.
    ends_ms : float
        Left out at both ends, where cameras are still being held up and put down; clips shorter
        than five times this keep their ends.
    moving_px_4k : float
        Shift beyond the camera's own from which a pixel counts as moving.
    moving_min, moving_max : float
        Least fraction of visibly moving pixels (`Motion.visible`), and largest of moving ones
        (`Motion.moving12`).
    moving_codes : int
        Luminance difference, of 255, from which motion is visible.
    residual_max_px_4k : float
        Largest 95th percentile of the shift beyond the camera's own.
    global_max : float
        Largest median shift by the camera, as a fraction of the long side.
    sharp_ref, sharp_other : float
        Least sharpness of sample 2, and of samples 1 and 3, relative to the clip's 90th
        percentile.
    clipped_max, dark_max : float
        Largest fraction of sample 2 with a channel at 250 or above, and with all at 5 or below.
    mean_min, mean_max : float
        Range of the mean of sample 2.
    drift_max : float
        Largest change of the unmoved pixels' mean luminance between neighbours.
    cut_histogram, cut_phase : float
        A cut lies where both the histogram correlation and the phase response fall below these.
    apart_s : float
        Least time between two scenes of one clip.
    analysis_px : int
        Long side of the frames that are measured.
    """

    gap_ms: tuple[float, ...] = (100.0, 167.0, 267.0)
    gap_min_ms: float = 66.0
    gap_max_ms: float = 330.0
    spacing_ms: float = 200.0
    ends_ms: float = 300.0
    moving_px_4k: float = 12.0
    moving_min: float = 0.02
    moving_max: float = 0.7
    moving_codes: int = 8
    residual_max_px_4k: float = 300.0
    global_max: float = 0.05
    sharp_ref: float = 0.7
    sharp_other: float = 0.5
    clipped_max: float = 0.05
    dark_max: float = 0.1
    mean_min: float = 0.15
    mean_max: float = 0.75
    drift_max: float = 0.02
    cut_histogram: float = 0.85
    cut_phase: float = 0.3
    apart_s: float = 2.0
    analysis_px: int = 480


@dataclass(frozen=True)
class Triple:
    """Three frames of a clip, in order of time, and what was measured of them.

    Parameters
    ----------
    indices, pts : tuple of int
        Samples 1, 2, 3: frame numbers, and presentation times in ticks.
    measurements : dict
        By the manifest's names; fewer where a candidate fell early.
    reason : str
        Why it was not taken; empty where nothing speaks against it.
    """

    indices: Indices
    pts: tuple[int, int, int]
    measurements: dict[str, Any] = field(default_factory=dict)
    reason: str = ""

    def to_record(self) -> dict[str, Any]:
        """As ``selection.jsonl`` keeps it."""
        record = asdict(self)
        return record if self.reason else {k: v for k, v in record.items() if k != "reason"}


@dataclass(frozen=True)
class Selection:
    """What became of a clip's candidates.

    Parameters
    ----------
    triples : tuple of Triple
        The chosen, best first.
    rejected : tuple of Triple
        Those that a criterion ruled out, in order of time.
    candidates : int
        How many were looked at; some are neither chosen nor rejected.
    """

    triples: tuple[Triple, ...]
    rejected: tuple[Triple, ...] = ()
    candidates: int = 0

    def to_record(self) -> dict[str, Any]:
        """As ``selection.jsonl`` keeps it."""
        return {
            "candidates": self.candidates,
            "chosen": [triple.to_record() for triple in self.triples],
            "rejected": [triple.to_record() for triple in self.rejected],
        }


class NoTripleError(VideoError):
    """No candidate passed; ``selection`` keeps what was measured of each."""

    def __init__(self, message: str, selection: Selection | None = None) -> None:
        super().__init__(message)
        self.selection = selection


def select_triples(
    reader: VideoReader, rules: SelectionRules | None = None, scenes: int = 1
) -> Selection:
    """Choose the best triples of a clip.

    Candidates lie a fifth of a second apart, each with several gaps to its neighbours. What
    passes every criterion is ranked by how much moves and how sharp sample 2 is:
    ``min(visible, 0.3) / 0.3 + min(sharpness, 1)``. The clip is decoded once; only small frames
    are kept, and those no longer than the widest candidate needs.

    Parameters
    ----------
    reader : VideoReader
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
    candidates = _candidates(reader, rules)
    if not candidates:
        raise VideoError(_too_short(reader, rules))
    with _one_thread():
        examined = _examine(reader, candidates, rules)
    passed = [triple for triple in examined if not triple.reason]
    rejected = tuple(triple for triple in examined if triple.reason)
    best = _best(reader, passed, scenes, rules.apart_s)
    selection = Selection(
        tuple(_counted(triple, len(examined), len(rejected)) for triple in best),
        rejected,
        len(examined),
    )
    if not best:
        raise NoTripleError(_none_passed(reader, rejected), selection)
    return selection


def uniform_triple(reader: VideoReader) -> Selection:
    """Take the frames at 25, 50 and 75 % of a clip; nothing is measured.

    Parameters
    ----------
    reader : VideoReader
        An open clip.

    Raises
    ------
    VideoError
        Fewer than three frames.
    """
    times = _seconds(reader)
    if len(times) < 3:
        raise VideoError(f"{reader.path.name}: {len(times)} frames; a scene needs three.")
    span = times[-1] - times[0]
    indices = [_nearest(times, times[0] + part * span) for part in (0.25, 0.5, 0.75)]
    if len(set(indices)) < 3:
        indices = [0, len(times) // 2, len(times) - 1]
    return Selection((_triple(reader, indices),))


def _reason(fault: str, rules: SelectionRules) -> str:
    return _REASONS[fault].format(**asdict(rules))


def _triple(
    reader: VideoReader,
    indices: Sequence[int],
    measurements: dict[str, Any] | None = None,
    reason: str = "",
) -> Triple:
    first, second, third = indices
    pts = (reader.pts[first], reader.pts[second], reader.pts[third])
    return Triple((first, second, third), pts, measurements or {}, reason)


def _candidates(reader: VideoReader, rules: SelectionRules) -> list[list[Indices]]:
    """Triples of frames whose times fit: for every sample 2 those that share it, widest first."""
    times = _seconds(reader)
    ends = rules.ends_ms / 1000
    if times[-1] - times[0] < 5 * ends:
        ends = 0.0
    first = int(np.searchsorted(times, times[0] + ends))
    last = int(np.searchsorted(times, times[-1] - ends, side="right"))
    usable = times[first:last]
    shortest, longest = rules.gap_min_ms / 1000, rules.gap_max_ms / 1000
    centres = np.arange(usable[0] + shortest, usable[-1], rules.spacing_ms / 1000)
    middles = sorted({_nearest(usable, centre) for centre in centres})
    candidates: list[list[Indices]] = []
    for middle in middles:
        found: dict[Indices, None] = {}
        for gap in sorted((gap_ms / 1000 for gap_ms in rules.gap_ms), reverse=True):
            before, after = (_nearest(usable, usable[middle] + side * gap) for side in (-1, 1))
            gaps = np.diff(usable[[before, middle, after]])
            fits = np.abs(gaps - gap) <= _GAP_TOLERANCE_S
            if np.all(fits & (gaps >= shortest) & (gaps <= longest)):
                found[first + before, first + middle, first + after] = None
        if found:
            candidates.append(list(found))
    return candidates


def _seconds(reader: VideoReader) -> npt.NDArray[np.float64]:
    return np.array([float(reader.time(index)) for index in range(len(reader))])


def _nearest(times: npt.NDArray[np.float64], wanted: float) -> int:
    """Index of the time nearest to the wanted one; the earlier of two."""
    after = min(int(np.searchsorted(times, wanted)), len(times) - 1)
    before = max(after - 1, 0)
    return before if wanted - times[before] <= times[after] - wanted else after


@dataclass(frozen=True, eq=False)
class _Frame:
    """A small frame, in memory while candidates need it."""

    rgb: FrameU8
    grey: Grey
    shot: int


def _examine(
    reader: VideoReader, candidates: Sequence[list[Indices]], rules: SelectionRules
) -> list[Triple]:
    """Measure the candidates in one pass over the clip."""
    needed = sorted({index for group in candidates for indices in group for index in indices})
    waiting = deque(candidates)
    kept: dict[int, _Frame] = {}
    sharpness: dict[int, float] = {}
    examined: list[Triple] = []
    shots = _Shots(rules)
    for small in reader.small_frames(needed, rules.analysis_px):
        grey = cv2.cvtColor(small.rgb, cv2.COLOR_RGB2GRAY).astype(np.uint8)
        kept[small.index] = _Frame(small.rgb, grey, shots.number(small.rgb, grey))
        sharpness[small.index] = _laplacian_variance(small.half_luma)
        while waiting and waiting[0][0][2] <= small.index:
            examined += _judge_gaps(reader, waiting.popleft(), kept, rules)
        # No candidate that still waits reaches further back.
        oldest = reader.time(small.index) - Fraction(2 * rules.gap_max_ms) / 1000
        kept = {index: frame for index, frame in kept.items() if reader.time(index) >= oldest}
    for group in waiting:
        examined += _judge_gaps(reader, group, kept, rules)
    usual = float(np.percentile(list(sharpness.values()), 90)) if sharpness else 0.0
    return [_judge_sharpness(triple, sharpness, usual, rules) for triple in examined]


def _judge_gaps(
    reader: VideoReader, group: list[Indices], kept: dict[int, _Frame], rules: SelectionRules
) -> Iterator[Triple]:
    """Try the widest gap first, narrower ones only where they may help."""
    for indices in group:
        frames = [kept[index] for index in indices if index in kept]
        fault, measured = _judge(frames, rules)
        times = [float(reader.time(index)) for index in indices]
        measured["gap_ms"] = [
            round(1000 * (after - before), 3) for before, after in pairwise(times)
        ]
        yield _triple(reader, indices, measured, _reason(fault, rules))
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
        return replace(triple, measurements=measured, reason=_reason("blurred2", rules))
    if min(ratios) < rules.sharp_other:
        return replace(triple, measurements=measured, reason=_reason("blurred13", rules))
    measured["score"] = round(
        min(min(measured["visible"]), _ENOUGH_MOTION) / _ENOUGH_MOTION + min(ratios[1], 1.0), 4
    )
    return replace(triple, measurements=measured)


def _laplacian_variance(luma: Grey) -> float:
    _, deviation = cv2.meanStdDev(cv2.Laplacian(luma, cv2.CV_16S))
    return float(deviation[0, 0]) ** 2


class _Shots:
    """Numbers the shots of a clip, frame after frame.

    Fast hands lower the phase response within a shot, and a flash changes the histogram: only
    both together are a cut.
    """

    def __init__(self, rules: SelectionRules) -> None:
        self._rules = rules
        self._shot = 0
        self._last: tuple[npt.NDArray[np.float32], Grey] | None = None

    def number(self, rgb: FrameU8, grey: Grey) -> int:
        """Shot of the next frame, from 0."""
        hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)
        histogram = cv2.calcHist([hsv], [0, 1, 2], None, [16, 8, 8], [0, 180, 0, 256, 0, 256])
        if self._last is not None and self._is_cut(*self._last, histogram, grey):
            self._shot += 1
        self._last = (histogram.astype(np.float32), grey)
        return self._shot

    def _is_cut(
        self,
        histogram_before: npt.NDArray[np.float32],
        before: Grey,
        histogram: npt.NDArray[np.float32],
        grey: Grey,
    ) -> bool:
        alike = cv2.compareHist(histogram_before, histogram, cv2.HISTCMP_CORREL)
        if alike >= self._rules.cut_histogram:
            return False
        window = cv2.createHanningWindow(grey.shape[::-1], cv2.CV_32F)
        _, response = cv2.phaseCorrelate(np.float32(before), np.float32(grey), window)
        return bool(response < self._rules.cut_phase)


def _best(
    reader: VideoReader, passed: Sequence[Triple], scenes: int, apart_s: float
) -> list[Triple]:
    """The highest scores, far enough from one another; of equals the earliest."""
    best: list[Triple] = []
    for triple in sorted(passed, key=lambda each: (-each.measurements["score"], each.pts[1])):
        middle = reader.time(triple.indices[1])
        far = all(abs(middle - reader.time(other.indices[1])) >= apart_s for other in best)
        if far and len(best) < scenes:
            best.append(triple)
    return best


def _counted(triple: Triple, candidates: int, rejected: int) -> Triple:
    counts = {"candidates": candidates, "rejected": rejected}
    return replace(triple, measurements=triple.measurements | counts)


def _too_short(reader: VideoReader, rules: SelectionRules) -> str:
    times = _seconds(reader)
    span = times[-1] - times[0]
    if len(times) > 1 and span * 1000 / (len(times) - 1) > rules.gap_max_ms:
        apart = span * 1000 / (len(times) - 1)
        return (
            f"{reader.path.name}: frames lie {apart:.0f} ms apart; samples at most "
            f"{rules.gap_max_ms:g} ms apart are needed. Use --pick uniform for slow recordings."
        )
    return (
        f"{reader.path.name}: {len(times)} usable frames in {span:.1f} s; three samples "
        f"{rules.gap_min_ms:g} ms apart are needed. Use --pick uniform for very short clips."
    )


def _none_passed(reader: VideoReader, rejected: Sequence[Triple]) -> str:
    counts = Counter(triple.reason for triple in rejected)
    listed = ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
    return (
        f"{reader.path.name}: {len(rejected)} candidate{'s' * (len(rejected) != 1)}, "
        f"none passed: {listed}. "
        "See selection.jsonl; --pick uniform takes 25/50/75 %."
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """OpenCV on one thread: workers share the machine, and sums keep their order."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
