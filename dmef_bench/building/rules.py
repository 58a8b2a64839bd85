"""The thresholds by which triples are chosen, and how a refusal by each of them reads."""

from __future__ import annotations

from dataclasses import asdict, dataclass

REASONS = {
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

    def reason(self, fault: str) -> str:
        """How a refusal reads: "no local motion (< 2 %)"; empty for no fault."""
        return REASONS[fault].format(**asdict(self)).replace("%", " %")
