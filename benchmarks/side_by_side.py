"""Compare two implementations fairly on a shared machine: ratios of CPU time, peaks of memory.

Wall times mean nothing where others work on the same cores. Ours and a peer therefore run
alternately in one process, and their CPU seconds are divided round by round.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def compare(ours: Callable[[], object], peer: Callable[[], object], rounds: int = 5) -> dict:
    """CPU seconds of two implementations of one task, measured in turn.

    Parameters
    ----------
    ours, peer : callable
        The same task on the same inputs, prepared beforehand.
    rounds : int
        How often each runs after one warm-up; who goes first changes from round to round.

    Returns
    -------
    dict
        ``ours_cpu_s`` and ``peer_cpu_s``, medians over the rounds, all threads of the process
        counted; ``ratio``, the median of ours / peer within one round; ``ratio_spread``, the
        smallest and the largest of those.
    """
    ours()
    peer()
    ours_s, peer_s = [], []
    for turn in range(rounds):
        pair = [(ours, ours_s), (peer, peer_s)]
        for task, seconds in pair if turn % 2 == 0 else reversed(pair):
            seconds.append(cpu_seconds(task))
    ratios = [mine / theirs for mine, theirs in zip(ours_s, peer_s, strict=True)]
    return {
        "ours_cpu_s": statistics.median(ours_s),
        "peer_cpu_s": statistics.median(peer_s),
        "ratio": statistics.median(ratios),
        "ratio_spread": [min(ratios), max(ratios)],
    }


def cpu_seconds(task: Callable[[], object]) -> float:
    """CPU seconds of this process, all its threads, while ``task`` runs once."""
    start = time.process_time()
    task()
    return time.process_time() - start


def extra_bytes(task: Callable[[], object]) -> int:
    """Peak resident memory of this process while ``task`` runs, above what it held before.

    The kernel's own high-water mark is set back first (Linux); where that is not allowed, memory
    is sampled every millisecond instead. Best in a fresh process (`peak_extra_bytes`).
    """
    _return_freed_memory()
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return _sampled_extra_bytes(task)
    before = _status_bytes("VmRSS")
    task()
    return _status_bytes("VmHWM") - before


def peak_extra_bytes(script: str | Path, *args: str, env: dict[str, str] | None = None) -> int:
    """Run ``python script args...`` in a fresh process and read the bytes it reports.

    The script prints, as the last line, what `extra_bytes` returned, as one JSON number.
    """
    done = subprocess.run(
        [sys.executable, str(script), *args],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
    )
    return int(json.loads(done.stdout.splitlines()[-1]))


def report(benchmark: str, **figures: object) -> None:
    """Print the one JSON line of a benchmark, floats rounded to four significant digits."""
    print(json.dumps({"benchmark": benchmark, **{k: _rounded(v) for k, v in figures.items()}}))


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value


def _return_freed_memory() -> None:
    # Pages an earlier task gave back to the allocator, but not to the system, would be used again
    # unseen: four threads of SSIM, 49 MB, once read as 26, and one thread as nothing.
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # glibc alone has it
        ctypes.CDLL(None).malloc_trim(0)


def _status_bytes(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


def _sampled_extra_bytes(task: Callable[[], object]) -> int:
    import psutil

    process = psutil.Process()
    before = peak = process.memory_info().rss
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.001):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    task()
    peak = max(peak, process.memory_info().rss)
    done.set()
    watcher.join()
    return peak - before


def picture_pair(height: int = 2160, width: int = 3840) -> tuple[np.ndarray, np.ndarray]:
    """Make a photograph of UHD size and a slightly blurred, noisy copy, uint8 RGB, from a seed."""
    import cv2
    import numpy as np
    from skimage import data

    generator = np.random.default_rng(2004)
    photo = cv2.resize(data.coffee(), (width, height), interpolation=cv2.INTER_CUBIC)
    truth = photo + generator.normal(0, 4, photo.shape).astype(np.float32)
    copy = cv2.GaussianBlur(truth, (0, 0), 0.7)
    copy += generator.normal(0, 2, photo.shape).astype(np.float32)
    fused, ground_truth = (np.clip(np.rint(p), 0, 255).astype(np.uint8) for p in (copy, truth))
    return fused, ground_truth
