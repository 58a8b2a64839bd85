"""Response-fill on a 4K triple, without and with sensor noise, against what it cannot do without.

The floor is the optical flow to each neighbour that is used (one without noise, two with) and one
remap of its light. Wanted: 3840x2160 in less than 4 s on two cores.
"""

from __future__ import annotations

import sys
import time

import cv2
import numpy as np
import side_by_side
from skimage import data

from baselines.exposure_pair import Pair, at_ev_zero
from baselines.response_fill import ResponseFill
from dmef_bench.exposure.camera_response import Sigmoid
from dmef_bench.exposure.noise import LEVELS, SeededNoise
from dmef_bench.exposure.synthesis import expose
from dmef_bench.scene import ExposureStack

WIDTH, HEIGHT = 3840, 2160
EVS = (-1.0, 1.0, 3.0)
NEIGHBOURS = {"clean": (0,), "mild": (0, 2)}


def triple(noise: str) -> ExposureStack:
    """One photograph, moved by some pixels between its three exposures."""
    wide = cv2.resize(data.coffee(), (WIDTH + 60, HEIGHT + 40), interpolation=cv2.INTER_CUBIC)
    exposures = []
    for ev, (left, top) in zip(EVS, ((0, 40), (30, 20), (60, 0)), strict=True):
        frame = np.ascontiguousarray(wide[top : top + HEIGHT, left : left + WIDTH])
        seeded = SeededNoise(LEVELS[noise], f"benchmark {ev}") if noise in LEVELS else None
        exposures.append(expose(frame, ev, Sigmoid(), seeded))
    return ExposureStack(tuple(exposures), EVS)


def flows_and_remaps(stack: ExposureStack, neighbours: tuple[int, ...]) -> None:
    """Find each neighbour's pixels, and fetch its light once."""
    for index in neighbours:
        reference, donor = (at_ev_zero(stack, which, Sigmoid()) for which in (1, index))
        Pair(reference, donor).fetch(donor.light)


def main() -> None:
    """Print one JSON line a noise; as a child (``--memory NOISE``), the peak bytes of a fusion."""
    cv2.setNumThreads(2)
    if "--memory" in sys.argv:
        stack = triple(sys.argv[-1])
        print(side_by_side.extra_bytes(lambda: ResponseFill().fuse(stack)))
        return
    for noise, neighbours in NEIGHBOURS.items():
        stack = triple(noise)
        ratio = side_by_side.compare(
            lambda stack=stack: ResponseFill().fuse(stack),
            lambda stack=stack, used=neighbours: flows_and_remaps(stack, used),
            rounds=5,
        )
        wall_s = []
        for _ in range(5):
            start = time.perf_counter()
            ResponseFill().fuse(stack)
            wall_s.append(time.perf_counter() - start)
        side_by_side.report(
            "response_fill_4k",
            noise=noise,
            **ratio,
            wall_s=[min(wall_s), max(wall_s)],
            peak_extra_mb=side_by_side.peak_extra_bytes(__file__, "--memory", noise) / 1e6,
        )


if __name__ == "__main__":
    main()
