"""Whether a measured time can be true: no device computes faster than it can multiply."""

from __future__ import annotations

import csv
import importlib.resources
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

IMPLAUSIBLE = "implausible"
"""Flag of a row whose time is shorter than its arithmetic needs."""

SLACK = 1.2
"""What a measured peak is multiplied by: a matrix product seldom reaches all of it."""

_TERA = 1e12
_LONG_ENOUGH_S = 0.05
_LARGEST_SIDE = 16384
_REPEATS = 5


@dataclass(frozen=True)
class Peak:
    """The most floating-point operations that a device does in a second.

    Parameters
    ----------
    flops : float
        Per second, dense.
    source : str
        The document, or how it was measured.
    """

    flops: float
    source: str


@dataclass(frozen=True)
class Plausibility:
    """A time beside the time that its arithmetic needs at least.

    Parameters
    ----------
    t_min_s : float
        2 MACs / peak.
    utilisation : float
        ``t_min_s`` over the measured time: the share of the peak that was reached.
    implied_tflops : float
        What the device would have to do.
    peak : Peak
        What it can do.

    Notes
    -----
    Multiplications are counted as the layers are written. An algorithm that saves some, such as
    Winograd's for 3x3 convolutions (2.25 times fewer in its usual form), may pass the peak a
    little in earnest: a flagged row is looked at, not thrown away.
    """

    t_min_s: float
    utilisation: float
    implied_tflops: float
    peak: Peak

    @property
    def flags(self) -> tuple[str, ...]:
        """``("implausible",)`` where the time is too short, else nothing."""
        return (IMPLAUSIBLE,) if self.utilisation > 1 else ()

    def record(self) -> dict[str, Any]:
        """The fields as they stand beside a time in ``run.json``."""
        return {
            "t_min_s": self.t_min_s,
            "utilisation": self.utilisation,
            "implied_tflops": self.implied_tflops,
            "peak_tflops": self.peak.flops / _TERA,
            "peak_source": self.peak.source,
        }


def judge(macs: int, seconds: float, peak: Peak) -> Plausibility:
    """Hold a time against a device's arithmetic.

    Parameters
    ----------
    macs : int
        Multiply-accumulates of one call at the fused size.
    seconds : float
        Median of its time.
    peak : Peak
        Of the device, for the precision it was timed in.

    Examples
    --------
    >>> timed = judge(macs=478_960_000_000, seconds=0.0017, peak=Peak(82.6e12, "RTX 4090"))
    >>> round(timed.implied_tflops), timed.flags
    (563, ('implausible',))
    """
    least = t_min(macs, peak)
    return Plausibility(least, least / seconds, 2 * macs / seconds / _TERA, peak)


def t_min(macs: int, peak: Peak) -> float:
    """Seconds that so many multiply-accumulates take at least, two operations each."""
    return 2 * macs / peak.flops


def peak_of(facts: Mapping[str, Any], where: str = "cpu") -> Peak:
    """The peak of a device: as its maker lists it, or measured by a large matrix product.

    Parameters
    ----------
    facts : mapping
        ``device`` (its name), ``dtype`` and ``tf32`` as in a record's environment.
    where : str
        The same device as torch calls it, to measure on: ``"cpu"``, ``"cuda:0"``.
    """
    name, dtype = str(facts["device"]), str(facts["dtype"])
    faster = dtype == "float32" and any((facts.get("tf32") or {}).values())
    rates = _listed()
    for arithmetic in ("tf32", dtype) if faster else (dtype,):
        if (name, arithmetic) in rates:
            return rates[name, arithmetic]
    return measured_peak(where, dtype)


@cache
def measured_peak(where: str, dtype: str) -> Peak:
    """Measure a device once by products of two square matrices, with a fifth of slack.

    The side is doubled until one product takes a twentieth of a second; the fastest of five
    counts. Threads and TF32 are as they are set now.
    """
    import torch

    number_type = getattr(torch, dtype)

    def seconds(side: int) -> float:
        left, right = (torch.ones(side, side, device=where, dtype=number_type) for _ in range(2))
        return min(_timed_product(left, right) for _ in range(_REPEATS))

    with torch.inference_mode():
        side = 256
        while (fastest := seconds(side)) < _LONG_ENOUGH_S and side < _LARGEST_SIDE:
            side *= 2
    return Peak(
        SLACK * 2 * side**3 / fastest, f"measured: {dtype} product of {side}x{side}, 20 % slack"
    )


def _timed_product(left: Any, right: Any) -> float:
    import torch

    def finished() -> float:
        if left.device.type == "cuda":
            torch.cuda.synchronize(left.device)
        return time.perf_counter()

    begin = finished()
    torch.mm(left, right)
    return finished() - begin


@cache
def _listed() -> dict[tuple[str, str], Peak]:
    """Peaks by device name and arithmetic, from ``devices.csv``."""
    table = importlib.resources.files("dmef_bench.harness") / "devices.csv"
    rows = csv.DictReader(table.read_text(encoding="utf-8").splitlines())
    return {
        (row["device"], row["arithmetic"]): Peak(float(row["tflops"]) * _TERA, row["source"])
        for row in rows
    }
