"""Enough is timed and no more, and the first calls do not count."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

from dmef_bench.harness.clock import Rules, Samples, take_samples, timed
from dmef_bench.harness.memory import peak_memory


def fake(durations):
    """Calls that take as long as they are told, then as long as the last one."""
    told = list(durations)

    def call(index: int) -> float:
        return told[min(index, len(told) - 1)]

    return call


def test_a_quick_call_is_warmed_up_and_sampled_for_two_seconds_at_least() -> None:
    samples = take_samples(fake([0.01]))
    assert samples.warmup == 10
    assert len(samples.seconds) == 200  # 2 s of 10 ms
    assert samples.median == 0.01


def test_thirty_samples_are_taken_however_long_two_seconds_are() -> None:
    assert len(take_samples(fake([0.5])).seconds) == 30


def test_no_more_than_three_hundred_samples_are_taken() -> None:
    assert len(take_samples(fake([1e-6])).seconds) == 300


def test_warm_up_goes_on_until_calls_agree() -> None:
    settling = [1.0 - 0.05 * index for index in range(15)] + [0.3]
    # The last value is reached by the fifteenth call, and said three times by the seventeenth.
    assert take_samples(fake(settling)).warmup == 17
    restless = itertools.cycle([0.1, 0.2])
    assert take_samples(lambda _index: next(restless)).warmup == 50


def test_warm_up_ends_after_a_minute() -> None:
    restless = itertools.cycle([0.6, 0.9])
    rules = Rules(max_warmup=1000)
    # 60 s are passed by the eightieth call of 0.75 s in the mean.
    assert take_samples(lambda _index: next(restless), rules).warmup == 80


def test_a_slow_call_is_warmed_up_once_and_sampled_thrice() -> None:
    samples = take_samples(fake([20.0]))
    assert (samples.warmup, len(samples.seconds)) == (1, 3)
    # Below 10 s in all, as many as fit.
    assert len(take_samples(fake([2.0])).seconds) == 5


def test_a_first_call_that_loads_something_does_not_make_a_method_slow() -> None:
    samples = take_samples(fake([5.0, 0.01]))
    assert samples.warmup >= 10
    assert samples.median == 0.01


def test_all_samples_are_on_record_with_median_and_spread() -> None:
    record = Samples(3, tuple(np.linspace(1, 2, 101))).record(clock="perf_counter")
    assert (record["median_s"], record["warmup"], record["clock"]) == (1.5, 3, "perf_counter")
    assert record["p5_s"] == pytest.approx(1.05)
    assert record["p95_s"] == pytest.approx(1.95)
    assert len(record["samples_s"]) == 101


def test_calls_get_rising_numbers() -> None:
    seen = []
    take_samples(lambda index: seen.append(index) or 0.1, Rules(min_s=0.5, min_samples=3))
    assert seen == list(range(len(seen)))


def test_the_clock_tells_the_time() -> None:
    assert 0.05 <= timed(lambda: time.sleep(0.05)) < 5


def test_a_peak_that_is_gone_again_is_seen() -> None:
    with peak_memory() as peak:
        block = np.ones(80_000_000, np.uint8)
        del block
        small = np.ones(1_000_000, np.uint8)
    assert 76_000_000 < peak.resident_bytes < 160_000_000
    assert small.any()
    with peak_memory() as flat:
        sum(range(1000))
    # The mark of the block before is forgotten.
    assert flat.resident_bytes < 8_000_000
