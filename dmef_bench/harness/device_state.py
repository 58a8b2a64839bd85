"""What a GPU says of itself while it is timed: clock, heat, power, and what holds it back."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
from collections.abc import Mapping
from typing import Any

logger = logging.getLogger(__name__)

_REASONS = {
    "power cap": "nvmlClocksThrottleReasonSwPowerCap",
    "slowdown": "nvmlClocksThrottleReasonHwSlowdown",
    "heat": "nvmlClocksThrottleReasonSwThermalSlowdown",
    "heat (hardware)": "nvmlClocksThrottleReasonHwThermalSlowdown",
    "power brake": "nvmlClocksThrottleReasonHwPowerBrakeSlowdown",
}
"""What holds a clock back; an idle device and clocks set by a person are no such reasons."""

_MOVING = ("sm_mhz", "temperature_c", "power_w", "throttled_by")

State = dict[str, Any]


def device_state(device: str) -> State:
    """The state of a CUDA device now, as NVML tells it.

    Parameters
    ----------
    device : str
        As torch calls it; it must have been used already.

    Returns
    -------
    dict
        ``driver``, ``sm_mhz``, ``temperature_c``, ``power_w``, ``process_bytes`` (the driver's
        context included), ``throttled_by`` (a list of words), each where the device tells it.
        Empty for a CPU, without nvidia-ml-py (``pip install nvidia-ml-py``), or without a driver.
    """
    if not device.startswith("cuda") or importlib.util.find_spec("pynvml") is None:
        return {}
    import torch

    nvml = importlib.import_module("pynvml")
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        logger.info("NVML says nothing of %s: %s", device, error)
        return {}
    try:
        # Not by its number: torch counts only those that CUDA_VISIBLE_DEVICES shows.
        uuid = f"GPU-{torch.cuda.get_device_properties(torch.device(device)).uuid}"
        return _told(nvml, nvml.nvmlDeviceGetHandleByUUID(uuid))
    except nvml.NVMLError as error:
        logger.info("NVML does not know %s: %s", device, error)
        return {}
    finally:
        nvml.nvmlShutdown()


def clocks_record(before: Mapping[str, Any], after: Mapping[str, Any]) -> State | None:
    """Two states as they stand beside a time: before and after the samples; None of a CPU.

    Examples
    --------
    >>> clocks_record({"sm_mhz": 1980, "power_w": 77.0}, {"sm_mhz": 1755, "power_w": 611.0})
    {'sm_mhz': [1980, 1755], 'power_w': [77.0, 611.0]}
    >>> clocks_record({}, {}) is None
    True
    """
    both = {key: [before[key], after[key]] for key in _MOVING if key in before and key in after}
    fixed = {"driver": after["driver"]} if "driver" in after else {}
    return both | fixed or None


def throttled(clocks: State | None) -> tuple[str, ...]:
    """A flag for times at whose end the device was held back, and by what.

    Examples
    --------
    >>> throttled({"throttled_by": [[], ["power cap", "heat"]]})
    ('throttled: power cap, heat',)
    >>> throttled(None)
    ()
    """
    by = (clocks or {}).get("throttled_by", [[], []])[1]
    return (f"throttled: {', '.join(by)}",) if by else ()


def _told(nvml: Any, handle: Any) -> State:
    """Each answer that the device gives; not every device knows every question."""
    questions = {
        "driver": nvml.nvmlSystemGetDriverVersion,
        "sm_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
        "temperature_c": lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
        "power_w": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1e3,
        "throttled_by": lambda: _reasons(nvml, handle),
        "process_bytes": lambda: _own_bytes(nvml, handle),
    }
    told: State = {}
    for name, ask in questions.items():
        try:
            answer = ask()
        except nvml.NVMLError as error:
            logger.info("NVML does not tell %s: %s", name, error)
        else:
            if answer is not None:
                told[name] = answer
    return told


def _reasons(nvml: Any, handle: Any) -> list[str]:
    bits = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
    return [word for word, name in _REASONS.items() if bits & getattr(nvml, name)]


def _own_bytes(nvml: Any, handle: Any) -> int | None:
    """Memory of this process on the device; None where the system hides it (containers)."""
    for process in nvml.nvmlDeviceGetComputeRunningProcesses(handle):
        if process.pid == os.getpid():
            return process.usedGpuMemory
    return None
