"""The search finds a planted limit exactly, in few probes, and takes no bug for a limit."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmef_bench.errors import DmefError, UnavailableError
from dmef_bench.harness.resolution import (
    CLOSE_ENOUGH,
    Probe,
    find_max_resolution,
    ladder_size,
    of_aspect,
    search,
)

NATIVE = (2160, 3840)


def planted(limit: int, tried: list, outcome: str = "oom"):
    """Tries of a method that holds ``limit`` pixels and no more."""

    def try_size(size):
        tried.append(size)
        return Probe(size, "pass" if math.prod(size) <= limit else outcome)

    return try_size


@given(limit=st.integers(64 * 64, 2160 * 3840 - 1), stride=st.sampled_from([1, 8, 64]))
def test_a_planted_limit_is_found_within_two_percent_and_never_passed(limit, stride) -> None:
    tried = []
    found = search(planted(limit, tried), NATIVE, stride=stride)
    rungs = 3840 // stride
    assert len(tried) <= 2 * math.log2(rungs) + 3
    if found.size is None:
        # Nothing between the smallest side and its double passed.
        assert limit < math.prod(ladder_size(NATIVE, 2 * 128 // stride + 1, stride)) or stride == 64
        return
    assert found.source == "search"
    assert math.prod(found.size) <= limit
    assert all(side % stride == 0 for side in found.size)
    rung = found.size[1] // stride
    above = rung + max(1, math.floor(CLOSE_ENOUGH * rung / (1 - CLOSE_ENOUGH)) + 1)
    assert math.prod(ladder_size(NATIVE, above, stride)) > limit
    assert not found.non_monotone


def test_a_coarse_ladder_is_searched_to_its_rung() -> None:
    tried = []
    found = search(planted(1_500_000, tried), NATIVE, stride=64)
    # 64 px are 3.3 % of the width here, so only the very rung will do.
    assert found.size == (896, 1600)
    assert math.prod(ladder_size(NATIVE, 26, 64)) > 1_500_000


def test_a_native_size_that_passes_ends_the_search() -> None:
    tried = []
    found = search(planted(10**9, tried), NATIVE)
    assert (found.size, found.source, tried) == (NATIVE, "native", [NATIVE])


def test_a_native_size_known_to_fail_is_not_tried_again() -> None:
    tried = []
    search(planted(10**6, tried), NATIVE, native_fails=True)
    assert NATIVE not in tried


def test_where_nothing_fits_the_answer_is_none() -> None:
    found = search(planted(10, []), NATIVE)
    assert found.size is None
    assert found.record()["size"] is None


def test_time_is_a_limit_too_and_an_error_is_none() -> None:
    assert search(planted(10**6, [], "timeout"), NATIVE).size is not None
    with pytest.raises(DmefError, match="no lack of memory"):
        search(planted(10**6, [], "error"), NATIVE)


def test_a_limit_that_moves_is_told() -> None:
    calls = []

    def whims(size):
        calls.append(size)
        # Fails once at each size, and would pass the second time.
        fails = calls.count(size) == 1 and size[1] > 1000
        return Probe(size, "oom" if fails else "pass")

    assert search(whims, NATIVE, stride=64).non_monotone


@given(height=st.integers(64, 5000), width=st.integers(64, 5000))
def test_a_size_for_another_aspect_has_no_more_pixels(height, width) -> None:
    size = of_aspect((1152, 2048), (height, width))
    if height * width <= 1152 * 2048:
        assert size == (height, width)
        return
    assert math.prod(size) <= 1152 * 2048
    assert min(side % 8 for side in size) == 0
    # A stride on either side of the aspect, and what the next rung would add.
    assert math.prod(size) > 1152 * 2048 * (1 - 8 / size[0]) * (1 - 8 / size[1]) * (1 - 8 / size[1])


ZOO = '''
"""Methods with a limit, in different ways."""
import os, sys, time
import numpy as np

LIMIT = 200 * 130

class Good:
    name, paper, stride = "good", "none", 8
    def fuse(self, stack):
        height, width = stack.size
        if height * width > LIMIT:
            self.fail()
        return stack.images[1].copy()

class RunsOut(Good):
    def fail(self):
        raise MemoryError("needs more")

class IsKilled(Good):
    def fail(self):
        os.kill(os.getpid(), 9)

class Crashes(Good):
    def fail(self):
        raise RuntimeError("a bug")

class Swallows(Good):
    def fail(self):
        kept = np.ones((1 << 30,), np.uint8)
        time.sleep(30)

class Unready(Good):
    def __init__(self):
        from dmef_bench.errors import UnavailableError
        raise UnavailableError("no weights")
'''


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    path = tmp_path_factory.mktemp("zoo") / "zoo.py"
    path.write_text(ZOO)
    return path


@pytest.mark.parametrize("name", ["RunsOut", "IsKilled"])
def test_probes_may_die_and_the_limit_is_found(zoo, name) -> None:
    found = find_max_resolution(f"{zoo}:{name}", {}, (270, 480), stride=16)
    assert found.size == (112, 208)
    assert found.record()["probes"][0]["outcome"] == "oom"
    assert all(probe.peak_bytes > 10**7 for probe in found.probes if probe.outcome == "pass")


def test_a_bug_stops_the_search(zoo) -> None:
    with pytest.raises(DmefError, match="RuntimeError: a bug"):
        find_max_resolution(f"{zoo}:Crashes", {}, (270, 480))


def test_a_method_that_cannot_be_built_is_unavailable(zoo) -> None:
    with pytest.raises(UnavailableError, match="no weights"):
        find_max_resolution(f"{zoo}:Unready", {}, (270, 480))


def test_a_budget_ends_what_takes_more(zoo) -> None:
    found = find_max_resolution(
        f"{zoo}:Swallows", {}, (270, 480), stride=64, memory_budget=600 * 2**20
    )
    first = found.probes[0]
    assert (first.outcome, "600 MiB are allowed" in first.message) == ("oom", True)
    assert found.size == (128, 192), found.record()
