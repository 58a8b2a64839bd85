"""The three times of a method, ``t_core``, ``t_e2e`` and ``t_io``, and the memory beside them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil

from dmef_bench.harness.clock import Rules, Samples, take_samples, timed
from dmef_bench.harness.device_state import clocks_record, device_state, throttled
from dmef_bench.harness.environment import describe_device
from dmef_bench.harness.fit import at_size, fuse_at
from dmef_bench.harness.memory import high_water_bytes, peak_memory
from dmef_bench.harness.timing_group import timing_group
from dmef_bench.imagefile import encode_png
from dmef_bench.method import Method, StagedMethod, StatefulMethod
from dmef_bench.protocol import Fit
from dmef_bench.scene import Encoded, ExposureStack, Image, Scene, to_uint8

MOST_INPUTS = 8
"""Distinct inputs that samples go round over."""

MISMATCH = "clock_mismatch"
LOSSY = "lossy_cache"


@dataclass(frozen=True)
class Work:
    """What is timed: one method, how it is fitted, and the stacks it goes round over.

    Parameters
    ----------
    method : Method
        Any.
    stacks : tuple of ExposureStack
        At native size, distinct.
    fit : {"full", "downsample", "tile"}
        As for `fuse_at`.
    size : (height, width)
        Fused size, or the tile's.
    overlap, blend
        Of tiles.
    """

    method: Method
    stacks: tuple[ExposureStack, ...]
    fit: Fit
    size: tuple[int, int]
    overlap: int = 64
    blend: str = "cosine"

    @property
    def device(self) -> str:
        """Where the method computes."""
        return str(getattr(self.method, "device", "cpu"))

    @property
    def stateful(self) -> bool:
        """Whether there is a cache to be dropped before every cold call."""
        return isinstance(self.method, StatefulMethod)

    def fuse(self, stack: ExposureStack) -> Image:
        """One fused picture at native size."""
        return fuse_at(
            self.method,
            stack,
            fit=self.fit,
            size=self.size,
            overlap=self.overlap,
            blend=self.blend,
        )

    def reset(self) -> None:
        """Drop every cache, where there is one."""
        if isinstance(self.method, StatefulMethod):
            self.method.reset()


def distinct_stacks(scenes: Sequence[Scene]) -> tuple[ExposureStack, ...]:
    """Stacks to go round over: as many scenes as a quarter of free memory holds, two at least.

    One scene alone is joined by its mirror image, so that no input comes twice in a row.
    """
    first = scenes[0].stack
    height, width = first.size
    # Kept as stored and as float32: the frames are to be resident when the clock starts.
    bytes_each = len(first.images) * height * width * 3 * 5
    fitting = int(psutil.virtual_memory().available // 4 // bytes_each)
    count = max(2, min(MOST_INPUTS, len(scenes), fitting))
    stacks = [scenes[index].stack for index in range(min(count, len(scenes)))]
    return tuple(stacks) if len(stacks) > 1 else (first, _mirrored(first))


def measure(work: Work, rules: Rules | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Time a method and its memory; nothing else should run in the process.

    Parameters
    ----------
    work : Work
        What to time.
    rules : Rules, optional
        When enough has been timed.

    Returns
    -------
    timing, memory : dict
        As in ``run.json``. ``t_core``: from frames on the device at the fused size to the fused
        tensor there. ``t_e2e``: from native bytes in host memory to native bytes in host memory.
        Cold where the method has a cache; ``core_warm`` is the same input once more. Of a GPU
        also ``clocks``, where NVML tells them.
    """
    rules = rules or Rules()
    core = _Core(work)
    before = device_state(work.device)
    cold = take_samples(core.cold, rules)
    warm = take_samples(core.warm, rules) if work.stateful else None
    memory: dict[str, Any] = {"core": _peak(work, lambda: core.cold(0))}
    flags = list(core.flags(cold))
    core.drop()
    end_to_end = take_samples(lambda index: _end_to_end(work, index), rules)
    after = device_state(work.device)
    memory["e2e"] = _peak(work, lambda: _end_to_end(work, 1))
    memory["host_peak_bytes"] = high_water_bytes()
    if "process_bytes" in after:
        memory["process_bytes"] = after["process_bytes"]
    if work.stateful and not _warm_equals_cold(work):
        flags.append(LOSSY)
    facts = {"scope": core.scope, "clock": core.clock, "distinct_inputs": len(work.stacks)}
    device = describe_device(work.method)
    timing = {
        "group": timing_group(device),
        "measured_on": device,
        "core": cold.record(**facts),
        "core_warm": warm.record(**facts) if warm else None,
        "e2e": end_to_end.record(),
        "flags": flags,
    }
    # Beside the times that they explain, so that a later run keeps or renews both together.
    if clocks := clocks_record(before, after):
        timing["clocks"] = clocks
        flags += throttled(clocks)
    return timing, memory


def measure_io(read: Callable[[int], object], fused: Encoded, count: int = 3) -> dict[str, float]:
    """``t_io``: reading a scene's files from a warm page cache, and encoding the result.

    Parameters
    ----------
    read : callable
        Reads the i-th scene anew.
    fused : ndarray, uint8
        A fused picture.
    count : int
        Samples of each; the medians are given.
    """
    read(0)
    reading = sorted(timed(lambda: read(0)) for _ in range(count))
    writing = sorted(timed(lambda: encode_png(fused)) for _ in range(count))
    return {"read_median_s": reading[count // 2], "write_median_s": writing[count // 2]}


class _Core:
    """Calls from frames that are ready on the device to the fused tensor there."""

    def __init__(self, work: Work) -> None:
        self._work = work
        staged = isinstance(work.method, StagedMethod) and work.fit != "tile"
        self.scope = "compute" if staged else "tiles" if work.fit == "tile" else "fuse"
        cuda = staged and work.device.startswith("cuda")
        self.clock = "cuda-events" if cuda else "perf_counter"
        self._inputs = [self._ready(stack) for stack in work.stacks]

    def _ready(self, stack: ExposureStack) -> Any:
        given = stack if self._work.fit == "tile" else at_size(stack, self._size(stack))
        if self.scope == "compute":
            return self._work.method.upload(given)  # type: ignore[attr-defined]
        given.images  # noqa: B018 - made now and kept, so that the clock does not see it
        return given

    def _size(self, stack: ExposureStack) -> tuple[int, int]:
        return self._work.size if self._work.fit == "downsample" else stack.size

    def _call(self, index: int) -> object:
        given = self._inputs[index % len(self._inputs)]
        if self.scope == "compute":
            return self._work.method.compute(given)  # type: ignore[attr-defined]
        return self._work.fuse(given) if self.scope == "tiles" else self._work.method.fuse(given)

    def cold(self, index: int) -> float:
        """One call with every cache dropped, outside the clock."""
        self._work.reset()
        return self._timed(index)

    def warm(self, index: int) -> float:
        """The same input once more: its first call fills the caches, the second is timed."""
        self._work.reset()
        self._call(index)
        return self._timed(index)

    def _timed(self, index: int) -> float:
        if self.clock == "perf_counter":
            return timed(lambda: self._call(index))
        import torch

        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begin.record()
        self._call(index)
        end.record()
        end.synchronize()
        return float(begin.elapsed_time(end)) / 1e3

    def flags(self, samples: Samples) -> tuple[str, ...]:
        """``clock_mismatch`` where the device's clock and the wall's tell different times."""
        if self.clock == "perf_counter":
            return ()
        import torch

        def walled(index: int) -> float:
            torch.cuda.synchronize()
            begin = time.perf_counter()
            self._call(index)
            torch.cuda.synchronize()
            return time.perf_counter() - begin

        wall = sorted(walled(index) for index in range(5))[2]
        apart = abs(wall - samples.median)
        return (MISMATCH,) if apart > max(0.2 * samples.median, 2e-4) else ()

    def drop(self) -> None:
        """Let go of the inputs on the device."""
        self._inputs.clear()


def _end_to_end(work: Work, index: int) -> float:
    stack = work.stacks[index % len(work.stacks)]
    work.reset()
    if stack.encoded is None:
        return timed(lambda: to_uint8(work.fuse(stack)))
    # A stack made anew: converting the bytes is part of the way from bytes to bytes.
    encoded = stack.encoded
    return timed(lambda: to_uint8(work.fuse(ExposureStack(encoded, stack.evs, stack.reference))))


def _peak(work: Work, call: Callable[[], object]) -> dict[str, Any]:
    """Memory of one call above what the process held before."""
    torch = sys.modules.get("torch")
    on_device = work.device.startswith("cuda") and torch is not None
    if on_device and torch is not None:
        torch.cuda.reset_peak_memory_stats()
    with peak_memory() as peak:
        call()
    found: dict[str, Any] = {"resident_bytes": peak.resident_bytes}
    if peak.sampled:
        found["sampled"] = True
    if on_device and torch is not None:
        found["allocated_bytes"] = torch.cuda.max_memory_allocated()
        found["reserved_bytes"] = torch.cuda.max_memory_reserved()
    return found


def _warm_equals_cold(work: Work) -> bool:
    """Whether what is remembered changes not a single pixel, on each of the inputs in turn."""
    work.reset()
    cold = [to_uint8(_fresh(work, stack)) for stack in work.stacks[:2]]
    # The second input meets caches filled by the first: reuse across pictures shows here.
    work.reset()
    for stack in work.stacks[:2]:
        work.fuse(stack)
    warm = [to_uint8(work.fuse(stack)) for stack in work.stacks[:2]]
    return all(np.array_equal(a, b) for a, b in zip(cold, warm, strict=True))


def _fresh(work: Work, stack: ExposureStack) -> Image:
    work.reset()
    return work.fuse(stack)


def _mirrored(stack: ExposureStack) -> ExposureStack:
    if stack.encoded is None:
        images = [np.ascontiguousarray(image[:, ::-1]) for image in stack.images]
        return ExposureStack.from_images(images, stack.evs, stack.reference)
    flipped: Any = tuple(np.ascontiguousarray(codes[:, ::-1]) for codes in stack.encoded)
    return ExposureStack(flipped, stack.evs, stack.reference)
