"""Seams on the grid of chunks: how much larger the error's steps are there than elsewhere.

A network that attends chunk by chunk can print edges every 64 pixels. The score is the mean step
of (fused - truth) across rows and columns at multiples of 64, over the mean step across all
others; 1 means that nothing is seen of the grid. ``--every 4`` looks at the sub-pixel blocks.

    python benchmarks/ipl_seams.py DATASET METHOD... [--split test] [--every 64]
"""

from __future__ import annotations

import argparse
import json
import sys

import numpy as np
import numpy.typing as npt

from dmef_bench.datasets import load_scenes
from dmef_bench.registry import load_method, parse_method
from dmef_bench.scene import Image, to_float


def seam_score(error: npt.NDArray[np.float32], every: int = 64) -> float:
    """Mean absolute step of an error (H, W, 3) at multiples of ``every``, over that elsewhere.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(256, 256, 3)).astype(np.float32)
    >>> round(seam_score(noise), 1)
    1.0
    >>> noise[64:, 64:] += 9
    >>> seam_score(noise) > 2
    True
    """
    on, off = [], []
    for axis in (0, 1):
        steps = np.abs(np.diff(error, axis=axis)).mean(axis=(1 - axis, 2))
        at_seam = np.arange(1, len(steps) + 1) % every == 0
        on.append(steps[at_seam])
        off.append(steps[~at_seam])
    return float(np.concatenate(on).mean() / np.concatenate(off).mean())


def errors(spec: str, dataset: str, split: str) -> list[Image]:
    """Fused minus truth, for every scene."""
    name, options = parse_method(spec)
    method = load_method(name, **options)
    scenes = (scene for scene in load_scenes(dataset, split) if scene.ground_truth is not None)
    return [method.fuse(scene.stack) - to_float(scene.ground_truth) for scene in scenes]


def main() -> None:
    """One JSON line a method: the mean over the scenes, and the largest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("methods", nargs="+")
    parser.add_argument("--split", default="test")
    parser.add_argument("--every", type=int, default=64)
    given = parser.parse_args()
    for spec in given.methods:
        scores = [
            seam_score(each, given.every) for each in errors(spec, given.dataset, given.split)
        ]
        row = {
            "method": spec,
            "every": given.every,
            "mean": round(float(np.mean(scores)), 3),
            "most": round(max(scores), 3),
            "scenes": len(scores),
        }
        sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
