"""GDC by bands and OpenCV against its formulas written out plainly, and one 4K triple in numbers.

The plain path is the yardstick of ``tests/baselines/test_gdc.py``. Ours must agree with it and
fuse 3840x2160 in less than 5 s on two cores; ``floor_cpu_s`` is what the filters alone cost that
no order of work can avoid (luminance, gradients, means of differences).
"""

from __future__ import annotations

import runpy
import sys
import time
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import side_by_side
from skimage import data

from baselines.gdc import GDC, derivative_taps
from dmef_bench.scene import ExposureStack

YARDSTICK = Path(__file__).resolve().parents[1] / "tests" / "baselines" / "test_gdc.py"


def triple(width: int, height: int) -> ExposureStack:
    """One photograph at three gains, its float32 pictures made beforehand."""
    photograph = cv2.resize(data.coffee(), (width, height), interpolation=cv2.INTER_CUBIC)
    codes = (np.clip(np.rint(photograph * gain), 0, 255) for gain in (0.4, 1.0, 2.5))
    stack = ExposureStack(tuple(code.astype(np.uint8) for code in codes), None)
    assert len(stack.images) == 3
    return stack


def filters_alone(stack: ExposureStack) -> None:
    """Steps 1 and 3 without a single weight."""
    smooth, difference = derivative_taps(1.0)
    planes = [
        cv2.transform(image, np.float32([[0.2126, 0.7152, 0.0722]])) for image in stack.images
    ]
    directions = []
    for plane in planes:
        along_x = cv2.sepFilter2D(plane, -1, difference, smooth)
        along_y = cv2.sepFilter2D(plane, -1, smooth, difference)
        directions.append(cv2.cartToPolar(along_x, along_y)[1])
    for one, other in combinations(directions, 2):
        cv2.boxFilter(cv2.absdiff(one, other), -1, (19, 19))


def main() -> None:
    """Print one JSON line; as a child (``--memory``), the peak bytes of one 4K fusion."""
    cv2.setNumThreads(2)
    full = triple(3840, 2160)
    if "--memory" in sys.argv:
        print(side_by_side.extra_bytes(lambda: GDC().fuse(full)))
        return
    exact_gdc = runpy.run_path(str(YARDSTICK))["exact_gdc"]
    small = triple(960, 540)
    error = GDC().fuse(small) - exact_gdc(small.images)
    ratio = side_by_side.compare(
        lambda: GDC().fuse(small), lambda: exact_gdc(small.images), rounds=5
    )
    cpu_s, wall_s = [], []
    for _ in range(5):
        start = time.perf_counter()
        cpu_s.append(side_by_side.cpu_seconds(lambda: GDC().fuse(full)))
        wall_s.append(time.perf_counter() - start)
    side_by_side.report(
        "gdc_4k",
        **ratio,
        largest_difference=float(np.abs(error).max()),
        psnr_db=float(-10 * np.log10(np.mean(error**2))),
        median_cpu_s_4k=float(np.median(cpu_s)),
        wall_s_4k=[min(wall_s), max(wall_s)],
        floor_cpu_s=min(side_by_side.cpu_seconds(lambda: filters_alone(full)) for _ in range(5)),
        peak_extra_mb_4k=side_by_side.peak_extra_bytes(__file__, "--memory") / 1e6,
    )


if __name__ == "__main__":
    main()
