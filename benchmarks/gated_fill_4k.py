"""Gated fill on a 4K triple, against response-fill, which it cannot do without."""

from __future__ import annotations

import sys

import cv2
import side_by_side
import torch
from response_fill_4k import triple

from baselines.gated_fill import GatedFill
from baselines.response_fill import ResponseFill


def main() -> None:
    """Print one JSON line; as a child (``--memory``), the peak bytes of a fusion."""
    cv2.setNumThreads(2)
    torch.set_num_threads(2)
    stack, gated, plain = triple("clean"), GatedFill(device="cpu"), ResponseFill()
    if "--memory" in sys.argv:
        print(side_by_side.extra_bytes(lambda: gated.fuse(stack)))
        return
    ratio = side_by_side.compare(lambda: gated.fuse(stack), lambda: plain.fuse(stack), rounds=3)
    extra_mb = side_by_side.peak_extra_bytes(__file__, "--memory") / 1e6
    side_by_side.report("gated_fill_4k", **ratio, peak_extra_mb=extra_mb)


if __name__ == "__main__":
    main()
