"""Times share a column where device, precision and threads are the same, whatever computes."""

from __future__ import annotations

import pytest

from dmef_bench.harness.environment import describe_device
from dmef_bench.harness.timing_group import group_on_record, timing_group

ALONE = {"device": "AMD EPYC", "device_memory_bytes": 2**36, "dtype": "float32", "threads": 2}
WITH_TORCH = {
    **ALONE,
    "torch": "2.15.0+cu132",
    "tf32": {"matmul": False, "conv": True},
    "cudnn_benchmark": False,
    "cudnn_deterministic": False,
    "float32_matmul_precision": "highest",
}
ON_GPU = {**WITH_TORCH, "device": "NVIDIA H200", "cuda": "13.2", "cudnn": 91900}


class Plain:
    """A method that says nothing of where it computes."""


def test_on_a_cpu_it_does_not_matter_whether_torch_is_loaded() -> None:
    assert timing_group(ALONE) == timing_group(WITH_TORCH)
    here = describe_device(Plain())
    bare = {name: here[name] for name in ("device", "dtype", "threads")}
    assert timing_group(here) == timing_group(bare)


@pytest.mark.parametrize(
    "other",
    [
        {"device": "AMD EPYC 9354"},
        {"dtype": "bfloat16"},
        {"threads": 1},
        {"float32_matmul_precision": "medium"},
    ],
)
def test_what_changes_speed_on_a_cpu_parts_groups(other) -> None:
    assert timing_group({**WITH_TORCH, **other}) != timing_group(WITH_TORCH)


@pytest.mark.parametrize(
    "other",
    [
        {"device": "NVIDIA H100"},
        {"dtype": "bfloat16"},
        {"torch": "2.14.0"},
        {"cuda": "12.8"},
        {"cudnn_benchmark": True},
        {"tf32": {"matmul": True, "conv": True}},
    ],
)
def test_what_changes_speed_on_a_gpu_parts_groups(other) -> None:
    assert timing_group({**ON_GPU, **other}) != timing_group(ON_GPU)


@pytest.mark.parametrize("other", [{"threads": 16}, {"torch": "2.15.1"}, {"git": None}])
def test_what_changes_nothing_on_a_gpu_does_not(other) -> None:
    assert timing_group({**ON_GPU, **other}) == timing_group(ON_GPU)


def test_another_device_of_the_same_machine_is_another_device() -> None:
    class Elsewhere:
        device = "mps"

    assert timing_group(describe_device(Elsewhere())) != timing_group(describe_device(Plain()))


def test_groups_of_older_records_are_made_anew_from_their_facts() -> None:
    # As two records of schema 1.1 have it: mertens, and a network beside it.
    old, network = {"group": "ee313c22"}, {"group": "b0b103b5"}
    assert group_on_record(old, ALONE) == group_on_record(network, WITH_TORCH)
    assert group_on_record(old, ALONE) == timing_group(ALONE)


def test_facts_of_a_later_run_are_not_taken_for_those_of_the_times() -> None:
    later = {**WITH_TORCH, "threads": 1}
    assert group_on_record({"group": "b0b103b5"}, later) == "b0b103b5"
    known = {"group": timing_group(ALONE), "measured_on": ALONE}
    assert group_on_record(known, later) == timing_group(ALONE)


def test_on_a_gpu_the_group_is_what_it_was() -> None:
    group = timing_group(ON_GPU)
    assert group_on_record({"group": group}, ON_GPU) == group


def test_what_was_not_timed_has_no_group() -> None:
    assert group_on_record({}, ALONE) == ""
    assert group_on_record({"group": None, "core": None}, ALONE) == ""
