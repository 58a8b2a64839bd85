"""How good a fused picture is: the table of measures, one measure a file.

The functions stand over the modules of the same name: ``dmef_bench.metrics.psnr`` is the function,
``from dmef_bench.metrics.psnr import squared_error`` still reaches into the module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from dmef_bench.metrics.lpips import lpips
from dmef_bench.metrics.psnr import psnr
from dmef_bench.metrics.ssim import ssim

__all__ = ["METRICS", "Metric", "lpips", "psnr", "ssim"]


@dataclass(frozen=True)
class Metric:
    """A measure, and the convention that fixes what its numbers mean.

    Parameters
    ----------
    name : str
        What people type and read.
    convention : str
        What a score is stored under. A changed definition is a new convention, never the old one
        with new numbers.
    score : callable
        ``score(fused, other) -> float``, where ``other`` is what the measure ``needs``.
    unit : str
        ``"dB"``, or empty.
    higher_is_better : bool
        Which way is up.
    needs : "ground_truth" or "stack"
        What the fused picture is held against.
    """

    name: str
    convention: str
    score: Callable[..., float]
    unit: str
    higher_is_better: bool
    needs: Literal["ground_truth", "stack"] = "ground_truth"


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("psnr", "psnr/rgb8", psnr, "dB", higher_is_better=True),
        Metric("ssim", "ssim/wang04-rgb-valid", ssim, "", higher_is_better=True),
        Metric("lpips", "lpips/alex-v0.1", lpips, "", higher_is_better=False),
    )
}
"""Every measure by its short name."""
