"""How much memory a piece of work takes at its peak, resident and on the device."""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_SAMPLING_S = 0.005


@dataclass
class Peak:
    """What `peak_memory` found, filled when its block ends.

    Parameters
    ----------
    resident_bytes : int
        Highest resident size minus the size before.
    sampled : bool
        True where the system keeps no high-water mark, so short peaks may have been missed.
    """

    resident_bytes: int = 0
    sampled: bool = False


@contextlib.contextmanager
def peak_memory() -> Iterator[Peak]:
    """Measure how far this process's resident size rises inside the block.

    Examples
    --------
    >>> with peak_memory() as peak:
    ...     block = bytearray(50_000_000)
    >>> 45e6 < peak.resident_bytes < 80e6
    True
    """
    peak = Peak()
    _give_back_freed()
    before = psutil.Process().memory_info().rss
    if _forget_high_water():
        try:
            yield peak
        finally:
            peak.resident_bytes = max(high_water_bytes() - before, 0)
        return
    with _sampled(peak, before):
        yield peak


def high_water_bytes() -> int:
    """The highest resident size of this process since it began or was told to forget."""
    if _STATUS.exists():
        for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return int(psutil.Process().memory_info().rss)


def _give_back_freed() -> None:
    """Hand freed memory back to the system, else the block's own needs hide in what is kept."""
    with contextlib.suppress(OSError, AttributeError):  # glibc alone can
        ctypes.CDLL(None).malloc_trim(0)


def _forget_high_water() -> bool:
    """Set the high-water mark to the present size (Linux lets a process do so to itself)."""
    try:
        _CLEAR.write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _sampled(peak: Peak, before: int) -> Iterator[None]:
    process, done = psutil.Process(), threading.Event()
    highest = before

    def watch() -> None:
        nonlocal highest
        while not done.wait(_SAMPLING_S):
            highest = max(highest, process.memory_info().rss)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        peak.resident_bytes, peak.sampled = max(highest - before, 0), True
