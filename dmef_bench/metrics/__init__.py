"""How good a fused picture is: the table of measures, one measure a file.

Every measure is called alike, ``METRICS[name].measure(fused, scene)``, and answers with a
`Measurement`. The functions behind the measures take what they compare and nothing else.

The functions stand over the modules of the same name: ``dmef_bench.metrics.psnr`` is the function,
``from dmef_bench.metrics.psnr import squared_error`` still reaches into the module.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from dmef_bench.errors import UsageError
from dmef_bench.metrics.linear import psnr_l, psnr_mu, ssim_l, ssim_mu
from dmef_bench.metrics.lpips import lpips
from dmef_bench.metrics.luma import psnr_y, ssim_y
from dmef_bench.metrics.masked import psnr_clipped, psnr_moving
from dmef_bench.metrics.mef_ssim import mef_ssim
from dmef_bench.metrics.mef_ssimd import mef_ssimd
from dmef_bench.metrics.metric import Measurement, Metric
from dmef_bench.metrics.psnr import psnr
from dmef_bench.metrics.ssim import ssim

__all__ = [
    "METRICS",
    "METRIC_SETS",
    "Measurement",
    "Metric",
    "choose_metrics",
    "lpips",
    "mef_ssim",
    "mef_ssimd",
    "psnr",
    "ssim",
]

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("psnr", "psnr/rgb8", psnr, "dB"),
        Metric("ssim", "ssim/wang04-rgb-valid", ssim),
        Metric("lpips", "lpips/alex-v0.1", lpips, higher_is_better=False),
        Metric("psnr-y", "psnr/y601-studio", psnr_y, "dB"),
        Metric("ssim-y", "ssim/wang04-y601-studio-valid", ssim_y),
        Metric("psnr-l", "psnr/linear", psnr_l, "dB", domain="linear"),
        Metric("psnr-mu", "psnr/mu5000", psnr_mu, "dB", domain="linear"),
        Metric("ssim-l", "ssim/wang04-linear-valid", ssim_l, domain="linear"),
        Metric("ssim-mu", "ssim/wang04-mu5000-valid", ssim_mu, domain="linear"),
        Metric("psnr-clipped", "psnr/rgb8-clipped", psnr_clipped, "dB", needs="both"),
        Metric("psnr-moving", "psnr/rgb8-moving", psnr_moving, "dB", needs="both"),
        Metric("mef-ssim", "mef-ssim/ma15", mef_ssim, needs="stack"),
        Metric("mef-ssimd", "mef-ssimd/after-fang20", mef_ssimd, needs="stack"),
    )
}
"""Every measure by its short name."""

METRIC_SETS = {
    "ldr": ("psnr", "ssim", "lpips"),
    "hdr": ("psnr-l", "psnr-mu", "ssim-mu", "lpips"),
}
"""What is measured where nothing is asked for: on a display-encoded truth, on linear radiance."""


def choose_metrics(
    names: Sequence[str] = (), *, dataset: str, linear: bool = False
) -> tuple[Metric, ...]:
    """The measures that people name, or the set that fits the data set's ground truth.

    Parameters
    ----------
    names : sequence of str
        Names of `METRICS` and of `METRIC_SETS`.
    dataset : str
        What is measured on, for the message.
    linear : bool
        Whether its ground truth is linear radiance; else it is display-encoded.

    Returns
    -------
    tuple of Metric
        Each once, in the order of `METRICS`.

    Raises
    ------
    UsageError
        A name that nobody bears, or a measure of radiance where there is none.

    Examples
    --------
    >>> [metric.name for metric in choose_metrics(["ldr", "psnr-y"], dataset="4k-dmef")]
    ['psnr', 'ssim', 'lpips', 'psnr-y']
    """
    asked = names or ("hdr" if linear else "ldr",)
    wanted = {member for name in asked for member in METRIC_SETS.get(name, (name,))}
    for name in sorted(wanted - set(METRICS)):
        known = (*METRICS, *METRIC_SETS)
        near = difflib.get_close_matches(name, known, n=1)
        guess = f"; did you mean {near[0]}?" if near else "."
        raise UsageError(f"No metric is called {name!r}{guess} There are: {', '.join(known)}.")
    chosen = tuple(metric for name, metric in METRICS.items() if name in wanted)
    for metric in chosen:
        if metric.domain == "linear" and not linear:
            raise UsageError(metric.refusal(dataset))
    return chosen
