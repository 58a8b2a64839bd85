"""The largest size a method holds: a search by probes, each of which may die without harm."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmef_bench.errors import DmefError, UnavailableError
from dmef_bench.harness.isolation import Death, Limits, converse
from dmef_bench.results import Status
from dmef_bench.scene import size_text

SMALLEST_SIDE = 64
"""Pixels; where not even this fits, nothing does."""

CLOSE_ENOUGH = 0.02
"""Of the width: a pass and a failure so near to each other end the search."""

Size = tuple[int, int]


@dataclass(frozen=True)
class Probe:
    """One size tried.

    Parameters
    ----------
    size : (height, width)
        Of the noise frames fused.
    outcome : {"pass", "oom", "timeout", "error"}
        ``oom`` also where the system or the budget ended the process.
    seconds : float
        For both fusions together.
    peak_bytes : int
        Highest resident size of the process, or reserved on the device.
    message : str
        What went wrong.
    """

    size: Size
    outcome: str
    seconds: float = 0.0
    peak_bytes: int = 0
    message: str = ""

    def record(self) -> dict[str, Any]:
        """As it stands in ``run.json``."""
        facts = {"size": size_text(self.size), "outcome": self.outcome, "seconds": self.seconds}
        if self.outcome == "pass":
            return facts | {"peak_bytes": self.peak_bytes}
        return facts | {"message": self.message}


@dataclass(frozen=True)
class MaxResolution:
    """The largest size that passed.

    Parameters
    ----------
    size : (height, width) or None
        None where nothing fits.
    source : {"native", "search"}
        Whether the native size passed, or a search found a smaller one.
    probes : tuple of Probe
        In the order tried.
    non_monotone : bool
        The size above the result passed after all when it was tried again.
    """

    size: Size | None
    source: str
    probes: tuple[Probe, ...] = ()
    non_monotone: bool = False

    def record(self) -> dict[str, Any]:
        """As it stands in ``run.json``."""
        return {
            "size": self.size and size_text(self.size),
            "source": self.source,
            "non_monotone": self.non_monotone,
            "probes": [probe.record() for probe in self.probes],
        }


def find_max_resolution(
    method_name: str,
    options: Mapping[str, Any],
    native_size: Size,
    *,
    device: str | None = None,
    memory_budget: int | None = None,
    stride: int = 8,
    exposures: int = 3,
    timeout: float = 120.0,
    log: Path | None = None,
    native_fails: bool = False,
    forecast: bool = True,
) -> MaxResolution:
    """Search the largest size of the native aspect that a method fuses twice in a row.

    Parameters
    ----------
    method_name, options
        As for `load_method`.
    native_size : (height, width)
        Tried first.
    device : str, optional
        Handed to methods that take one.
    memory_budget : int, optional
        Bytes the process may take (on a GPU, the share of its memory that may be allocated).
    stride : int
        Widths and heights tried are multiples of it.
    exposures : int
        Frames in a stack.
    timeout : float
        Seconds a probe may take; a slower one counts as too large.
    log : Path, optional
        File that gets what the probes say on stderr.
    native_fails : bool
        The native size is known not to fit, and is not tried again.
    forecast : bool
        A size that `Foresight` says to be too large counts as ``oom``, and is not tried.

    Returns
    -------
    MaxResolution
        With every probe.

    Raises
    ------
    UnavailableError
        The method cannot be built here.
    DmefError
        A probe ended in an ordinary error: a bug is no limit of size.
    """

    def try_size(size: Size) -> Probe:
        task = {
            "job": "probe",
            "method": method_name,
            "options": dict(options),
            "device": device,
            "memory_budget": memory_budget,
            "size": list(size),
            "exposures": exposures,
            "forecast": forecast,
        }
        return _probe(task, size, Limits(timeout, memory_budget), log)

    return search(try_size, native_size, stride=stride, native_fails=native_fails)


def search(
    try_size: Callable[[Size], Probe], native: Size, *, stride: int = 8, native_fails: bool = False
) -> MaxResolution:
    """The search itself, whatever tries the sizes.

    Halve until a size passes, then bisect between the last pass and the last failure.

    Raises
    ------
    DmefError
        A probe ended in an ordinary error.
    """
    probes: list[Probe] = []

    def passes(size: Size) -> bool:
        probe = try_size(size)
        probes.append(probe)
        if probe.outcome == "error":
            raise DmefError(
                f"The search for the largest size stopped: at {size_text(size)} the method failed "
                f"with an error that is no lack of memory: {probe.message}"
            )
        return probe.outcome == "pass"

    if not native_fails and passes(native):
        return MaxResolution(native, "native", tuple(probes))
    low, high = 0, _rung(native, stride)
    while not low:
        width = high // 2
        size = ladder_size(native, width, stride)
        if min(size) < SMALLEST_SIDE:
            return MaxResolution(None, "search", tuple(probes))
        low, high = (width, high) if passes(size) else (0, width)
    while high - low > 1 and high - low > CLOSE_ENOUGH * high:
        middle = (low + high) // 2
        low, high = (middle, high) if passes(ladder_size(native, middle, stride)) else (low, middle)
    above = ladder_size(native, high, stride)
    # Checked once, and not for the native size, which is known to fail.
    non_monotone = above != native and high < _rung(native, stride) and passes(above)
    found = ladder_size(native, low, stride)
    return MaxResolution(found, "search", tuple(probes), non_monotone)


def ladder_size(native: Size, rung: int, stride: int) -> Size:
    """The size whose width is ``rung`` strides, and whose height comes nearest to the aspect.

    Examples
    --------
    >>> ladder_size((2160, 3840), 256, 8)
    (1152, 2048)
    """
    height, width = native
    rows = max(round(rung * height / width), 1)
    return rows * stride, rung * stride


def of_aspect(size: Size, native: Size, stride: int = 8) -> Size:
    """A size found for one aspect, for a picture of another: no more pixels, its own aspect.

    Examples
    --------
    >>> of_aspect((1152, 2048), (3840, 2160))
    (2048, 1152)
    """
    height, width = native
    area = size[0] * size[1]
    if height * width <= area:
        return native
    rung = int((area * width / height) ** 0.5 / stride) + 1
    while rung > 1 and math.prod(ladder_size(native, rung, stride)) > area:
        rung -= 1
    return ladder_size(native, rung, stride)


def _rung(native: Size, stride: int) -> int:
    """The first rung that is not below the native width."""
    return -(-native[1] // stride)


def _probe(task: Mapping[str, Any], size: Size, limits: Limits, log: Path | None) -> Probe:
    passed: dict[str, Any] = {}
    failed: dict[str, Any] = {}

    def hear(event: Mapping[str, Any]) -> bool:
        match event["event"]:
            case "passed":
                passed.update(event)
            case "failed":
                failed.update(event)
            case "refused":
                raise UnavailableError(str(event["reason"]))
        return event["event"] in {"passed", "failed"}

    death = converse(task, limits=limits, log=log, hear=hear)
    if passed:
        return Probe(size, "pass", passed["seconds"], passed["peak_bytes"])
    if failed:
        return Probe(size, failed["outcome"], failed["seconds"], message=failed["message"])
    return _from_death(size, death or Death(Status.ERROR, "ended without a word"))


def _from_death(size: Size, death: Death) -> Probe:
    outcome = {Status.OOM: "oom", Status.TIMEOUT: "timeout"}.get(death.status, "error")
    return Probe(size, outcome, message=death.message)
