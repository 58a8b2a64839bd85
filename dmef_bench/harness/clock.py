"""How often a call is timed, and on which clock: warm-up, samples, their median."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Call = Callable[[int], float]
"""Does the i-th call and returns the seconds it took, by a clock of its own."""


@dataclass(frozen=True)
class Rules:
    """When enough has been timed.

    Parameters
    ----------
    min_warmup, max_warmup : int
        Calls before the first sample: at least, and at most.
    warmup_s : float
        Seconds of warm-up at most.
    agreement : float
        Warm-up also goes on until three calls in a row agree within this share.
    min_samples, max_samples : int
        Samples at least, and at most.
    min_s, max_s : float
        Seconds of sampling at least, and at most.
    slow_s : float
        A call that takes longer is slow: one call of warm-up, and the next two limits.
    slow_samples : int
        Samples of a slow call at least.
    slow_max_s : float
        Seconds of sampling a slow call at most, beyond ``slow_samples``.
    """

    min_warmup: int = 10
    max_warmup: int = 50
    warmup_s: float = 60.0
    agreement: float = 0.05
    min_samples: int = 30
    max_samples: int = 300
    min_s: float = 2.0
    max_s: float = 120.0
    slow_s: float = 1.0
    slow_samples: int = 3
    slow_max_s: float = 10.0


@dataclass(frozen=True)
class Samples:
    """What was timed.

    Parameters
    ----------
    warmup : int
        Calls before the first sample.
    seconds : tuple of float
        Every sample, in order.
    """

    warmup: int
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Of the samples, in seconds."""
        return statistics.median(self.seconds)

    def record(self, **facts: Any) -> dict[str, Any]:
        """The samples as they stand in ``run.json``: all of them, the median, 5 and 95 %."""
        low, high = _spread(self.seconds)
        return {
            **facts,
            "warmup": self.warmup,
            "samples_s": [round(sample, 9) for sample in self.seconds],
            "median_s": self.median,
            "p5_s": low,
            "p95_s": high,
        }


def take_samples(call: Call, rules: Rules | None = None) -> Samples:
    """Warm up, then time a call until there is enough.

    Parameters
    ----------
    call : callable
        Gets 0, 1, 2, ... so that it may go round over distinct inputs.
    rules : Rules, optional
        When to stop.

    Examples
    --------
    >>> take_samples(lambda i: 5.0)  # a slow call: one warm-up, three samples
    Samples(warmup=1, seconds=(5.0, 5.0, 5.0))
    """
    rules = rules or Rules()
    warmup: list[float] = [call(0)]
    if warmup[0] > rules.slow_s:
        # The first call may pay for what is loaded only once; the second one tells.
        second = call(1)
        if second > rules.slow_s:
            return Samples(1, _slow(call, second, rules))
        warmup.append(second)
    while not _warm(warmup, rules):
        warmup.append(call(len(warmup)))
    return Samples(len(warmup), _quick(call, len(warmup), rules))


def timed(work: Callable[[], object]) -> float:
    """Seconds of wall time that ``work`` takes."""
    begin = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - begin) / 1e9


def _warm(calls: list[float], rules: Rules) -> bool:
    if len(calls) >= rules.max_warmup or sum(calls) >= rules.warmup_s:
        return True
    last = calls[-3:]
    agree = len(last) == 3 and max(last) <= min(last) * (1 + rules.agreement)
    return len(calls) >= rules.min_warmup and agree


def _slow(call: Call, first: float, rules: Rules) -> tuple[float, ...]:
    samples = [first]
    while len(samples) < rules.slow_samples or (
        sum(samples) + samples[-1] <= rules.slow_max_s and len(samples) < rules.max_samples
    ):
        samples.append(call(1 + len(samples)))
    return tuple(samples)


def _quick(call: Call, index: int, rules: Rules) -> tuple[float, ...]:
    samples: list[float] = []
    while len(samples) < rules.max_samples and sum(samples) < rules.max_s:
        if len(samples) >= rules.min_samples and sum(samples) >= rules.min_s:
            break
        samples.append(call(index + len(samples)))
    return tuple(samples)


def _spread(samples: tuple[float, ...]) -> tuple[float, float]:
    if len(samples) < 2:
        return samples[0], samples[0]
    cuts = statistics.quantiles(samples, n=20, method="inclusive")
    return cuts[0], cuts[-1]
