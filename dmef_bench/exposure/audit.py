"""Can a scene be won without fusing? Copies, best tone curves, clipped shares, and the gate."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from dmef_bench.errors import ImageContractError, UsageError
from dmef_bench.exposure.synthesis import apply_curve
from dmef_bench.metrics import psnr
from dmef_bench.scene import Encoded, ExposureStack, check_layout

Codes = npt.NDArray[np.uint8]

LEAK_COPY_DB = 25.0
"""A medium this close to the ground truth need only be returned."""
LEAK_CURVE_DB = 45.0
"""A medium this close after one tone curve is a tone-mapping task, not a fusion task."""
COMPLETE_CLIP = 0.01
"""A clean medium that clips less than this share of its pixels has lost nothing."""
LOST_CLIP = 0.70
"""A medium that clips more than this share shows too little of its own motion."""
FLAGGED_SHARE = 0.20
"""A data set with more flagged scenes than this does not pass."""


@dataclass(frozen=True)
class ExposureAudit:
    """What one stored exposure gives away, and what it has lost.

    Parameters
    ----------
    copy_db : float
        PSNR of the exposure itself against the ground truth, dB; infinity when they are equal.
    curve_db : float
        PSNR of its best tone curve (`tone_curve_bound`), dB; infinity likewise.
    clip, black : float
        Shares of pixels, in [0, 1]: any channel at 255; all channels at 0.
    mean : float
        Mean of all channels, in [0, 1].
    """

    copy_db: float
    curve_db: float
    clip: float
    black: float
    mean: float


@dataclass(frozen=True)
class Audit:
    """The audit of one scene: its three canonical exposures, and what is wrong with the medium.

    ``flags`` may hold ``leak-copy``, ``leak-curve``, ``reference-complete``, ``reference-lost``.
    """

    low: ExposureAudit
    medium: ExposureAudit
    high: ExposureAudit
    flags: tuple[str, ...]


def best_tone_curve(exposure: Encoded, ground_truth: Encoded) -> Codes:
    """Find the tone curve that brings an exposure closest to the ground truth, in squared error.

    For each input code the mean ground-truth code of all samples that carry it, over all pixels
    and channels, computed in integers and rounded half up.

    Parameters
    ----------
    exposure, ground_truth : ndarray, shape (H, W, 3), uint8
        Display-encoded pictures of one size.

    Returns
    -------
    ndarray, shape (256,), uint8
        Codes that the exposure never shows lie on the line between their neighbours that it
        does show; they touch no pixel.

    Raises
    ------
    ImageContractError
        Pictures of another type, or of different sizes.

    Examples
    --------
    >>> dark = np.full((1, 2, 3), 10, np.uint8)
    >>> bright = np.array([[[30] * 3, [31] * 3]], np.uint8)
    >>> int(best_tone_curve(dark, bright)[10])
    31
    """
    exposure, ground_truth = _codes(exposure, ground_truth)
    histogram = _joint_histogram(exposure, ground_truth)
    counts, codes = histogram.sum(axis=1), np.arange(256)
    shown = counts > 0
    # floor(mean + 1/2) of integers, without a fraction that float64 would have to hold.
    means = (2 * (histogram @ codes)[shown] + counts[shown]) // (2 * counts[shown])
    return np.floor(np.interp(codes, codes[shown], means) + 0.5).astype(np.uint8)


def _joint_histogram(exposure: Encoded, ground_truth: Encoded) -> npt.NDArray[np.int64]:
    """How often each pair (exposure code, truth code) occurs; shape (256, 256)."""
    histogram = np.zeros(256 * 256, np.int64)
    # bincount widens to 8 bytes a sample: 200 MB at 4K, 6 MB in strips.
    for top in range(0, len(exposure), 64):
        pairs = exposure[top : top + 64].astype(np.uint16) << 8
        pairs |= ground_truth[top : top + 64]
        histogram += np.bincount(pairs.ravel(), minlength=histogram.size)
    return histogram.reshape(256, 256)


def tone_curve_bound(exposure: Encoded, ground_truth: Encoded) -> Codes:
    """Show the best picture without any fusion: the exposure through its `best_tone_curve`.

    Parameters
    ----------
    exposure, ground_truth : ndarray, shape (H, W, 3), uint8
        Display-encoded pictures of one size.

    Returns
    -------
    ndarray, shape (H, W, 3), uint8

    Raises
    ------
    ImageContractError
        Pictures of another type, or of different sizes.
    """
    exposure, ground_truth = _codes(exposure, ground_truth)
    return apply_curve(exposure, best_tone_curve(exposure, ground_truth))


def audit_scene(stack: ExposureStack, ground_truth: Encoded, *, noisy: bool = False) -> Audit:
    """Measure what the canonical triple gives away, on the stored 8-bit pictures.

    Low and high are of other moments than the ground truth and are measured as they are.

    Parameters
    ----------
    stack : ExposureStack
        Low, medium and high as stored, uint8; the medium is the reference.
    ground_truth : ndarray, shape (H, W, 3), uint8
        Sample 2 as it was.
    noisy : bool
        Whether the exposures carry noise; then a medium that clips nothing is still incomplete.

    Returns
    -------
    Audit

    Raises
    ------
    ImageContractError
        Not three stored uint8 exposures of the size of the ground truth.
    """
    if stack.encoded is None or len(stack.encoded) != 3:
        raise ImageContractError("An audit needs the three stored exposures low, medium and high.")
    low, medium, high = (_audit_exposure(picture, ground_truth) for picture in stack.encoded)
    return Audit(low, medium, high, flags=_flags(medium, noisy))


def _audit_exposure(exposure: Encoded, ground_truth: Encoded) -> ExposureAudit:
    exposure, ground_truth = _codes(exposure, ground_truth)
    red, green, blue = (exposure[..., channel] for channel in range(3))
    return ExposureAudit(
        copy_db=psnr(exposure, ground_truth),
        curve_db=psnr(tone_curve_bound(exposure, ground_truth), ground_truth),
        clip=float(np.mean((red == 255) | (green == 255) | (blue == 255))),
        black=float(np.mean((red | green | blue) == 0)),
        mean=float(np.mean(exposure)) / 255,
    )


def _flags(medium: ExposureAudit, noisy: bool) -> tuple[str, ...]:
    raised = {
        "leak-copy": medium.copy_db >= LEAK_COPY_DB,
        "leak-curve": medium.curve_db >= LEAK_CURVE_DB,
        "reference-complete": medium.clip < COMPLETE_CLIP and not noisy,
        "reference-lost": medium.clip > LOST_CLIP,
    }
    return tuple(flag for flag, is_raised in raised.items() if is_raised)


def gate(audits: Sequence[Audit]) -> dict[str, bool | float | int]:
    """Whether a data set asks for fusion at all, from the audits of its scenes.

    It fails when, over the mediums, the median copy reaches 25 dB or the median curve exceeds
    45 dB, or when more than a fifth of the scenes is flagged.

    Parameters
    ----------
    audits : sequence of Audit
        One per scene, at least one.

    Returns
    -------
    dict
        ``passed`` (bool); ``median_copy_db``, ``median_curve_db`` (dB, infinite when half of the
        scenes are), ``median_clip`` (share) of the mediums; ``flagged`` (scenes with any flag).

    Raises
    ------
    UsageError
        No audit at all.
    """
    if not audits:
        raise UsageError("There is no scene to audit; build at least one.")
    median_copy_db = statistics.median(audit.medium.copy_db for audit in audits)
    median_curve_db = statistics.median(audit.medium.curve_db for audit in audits)
    flagged = sum(bool(audit.flags) for audit in audits)
    return {
        "passed": median_copy_db < LEAK_COPY_DB
        and median_curve_db <= LEAK_CURVE_DB
        and flagged <= FLAGGED_SHARE * len(audits),
        "median_copy_db": median_copy_db,
        "median_curve_db": median_curve_db,
        "median_clip": statistics.median(audit.medium.clip for audit in audits),
        "flagged": flagged,
    }


def _codes(exposure: Encoded, ground_truth: Encoded) -> tuple[Codes, Codes]:
    """Hand both pictures back if they are uint8, (H, W, 3) and of one size."""
    check_layout(ground_truth, name="ground_truth", dtypes=(np.uint8,))
    check_layout(exposure, name="exposure", dtypes=(np.uint8,), size=ground_truth.shape[:2])
    return cast(Codes, exposure), cast(Codes, ground_truth)
