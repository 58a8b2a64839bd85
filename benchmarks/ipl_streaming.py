"""Streaming against the full frame: CPU seconds, peak memory at 4K, and memory by height.

Each figure comes from a child process of its own. Exposures are read from a pattern that repeats,
and the picture is thrown away, so the memory is that of the network alone. One thread by default.

    python benchmarks/ipl_streaming.py              the full network at 4K, a short one by height
    python benchmarks/ipl_streaming.py --heights    the second alone
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile

import numpy as np
import side_by_side
import torch

from ipl.network import IPLConfig, IPLNetwork
from ipl.streaming import TILE, fuse_streaming

NETWORKS = {
    "base": IPLConfig(),
    # Of the full width, for memory; of two blocks, for patience.
    "short": dataclasses.replace(IPLConfig(), blocks=2),
    "tiny": IPLConfig.tiny(),
}
HEIGHTS = (2160, 4320, 8640, 16384)


class Pattern:
    """Rows of three exposures without end: 64 seeded rows again and again."""

    evs = None

    def __init__(self, height: int, width: int) -> None:
        self.size = height, width
        light = np.random.default_rng(7).random((64, width, 3), dtype=np.float32)
        self._rows = [light * gain for gain in (0.25, 0.5, 1.0)]

    def read(self, start: int, stop: int) -> tuple[np.ndarray, ...]:
        """Rows of every exposure."""
        places = np.arange(start, stop) % 64
        return tuple(rows[places] for rows in self._rows)


class Nowhere:
    """A sink that counts rows."""

    rows = 0

    def write(self, start: int, rows: np.ndarray) -> None:
        """Take rows."""
        assert start == self.rows
        self.rows += len(rows)


def once(name: str, form: str, height: int, width: int, tile: int) -> dict[str, float]:
    """Peak bytes and CPU seconds of one frame in this process."""
    torch.manual_seed(0)
    network = IPLNetwork(NETWORKS[name]).eval()
    pattern = Pattern(height, width)

    def streaming(reader: Pattern, scratch: str | None) -> None:
        fuse_streaming(network, reader, tile=tile, scratch=scratch, out=Nowhere())

    def full() -> None:
        with torch.inference_mode():
            network(*exposures)

    if form == "full":
        whole = pattern.read(0, height)
        exposures = [torch.from_numpy(rows).permute(2, 0, 1)[None] for rows in whole]
        task = full
    elif form == "scratch":
        folder = tempfile.TemporaryDirectory()
        task = lambda: streaming(pattern, folder.name)  # noqa: E731 - one of three
    else:
        task = lambda: streaming(pattern, None)  # noqa: E731
    streaming(Pattern(64, 64), None)
    peak = [0]

    def measured() -> None:
        peak[0] = side_by_side.extra_bytes(task)

    seconds = side_by_side.cpu_seconds(measured)
    return {"peak_extra_mb": peak[0] / 1e6, "cpu_s": seconds}


def child(*words: object) -> dict[str, float]:
    """`once` in a fresh process."""
    command = [sys.executable, __file__, "--once", *map(str, words)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print one JSON line, or as a child that of one frame."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--heights", action="store_true")
    parser.add_argument("--tile", type=int, default=TILE)
    parser.add_argument("--once", nargs=5, metavar=("NETWORK", "FORM", "HEIGHT", "WIDTH", "TILE"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.once:
        name, form, *sizes = options.once
        print(json.dumps(once(name, form, *map(int, sizes))))
        return
    figures = {}
    if not options.heights:
        for form in ("full", "stream", "scratch"):
            figures[f"base_4k_{form}"] = child("base", form, 2160, 3840, options.tile)
    figures["short_512_wide_by_height"] = {
        height: child("short", "stream", height, 512, options.tile) for height in HEIGHTS
    }
    side_by_side.report("ipl_streaming", threads=options.threads, tile=options.tile, **figures)


if __name__ == "__main__":
    main()
