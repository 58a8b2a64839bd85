"""What NVML says stands beside the times; where there is none, nothing does."""

from __future__ import annotations

import importlib.util

import pytest

from dmef_bench import strict_json
from dmef_bench.harness.device_state import clocks_record, device_state


def test_a_processor_has_no_such_state() -> None:
    assert device_state("cpu") == {}
    assert clocks_record(device_state("cpu"), device_state("cpu")) is None


def test_what_was_told_only_once_is_left_out() -> None:
    assert clocks_record({"sm_mhz": 1200, "power_w": 90.0}, {"sm_mhz": 1100}) == {
        "sm_mhz": [1200, 1100]
    }


def test_without_a_driver_nothing_is_told_and_nothing_breaks() -> None:
    pynvml = pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        assert device_state("cuda:0") == {}
    else:
        pytest.skip("this machine has a driver")


@pytest.mark.gpu
def test_a_gpu_tells_its_clock_heat_and_power() -> None:
    if importlib.util.find_spec("pynvml") is None:
        pytest.skip("nvidia-ml-py is not installed")
    import torch

    torch.ones(1, device="cuda")
    state = device_state("cuda:0")
    assert 100 < state["sm_mhz"] < 5000
    assert 0 < state["temperature_c"] < 120
    assert 1 < state["power_w"] < 2000
    record = clocks_record(state, device_state("cuda:0"))
    assert strict_json.loads(strict_json.dumps(record)) == record
