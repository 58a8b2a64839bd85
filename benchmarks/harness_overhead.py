"""What the harness adds to fusing and scoring: a row through `bench` against the bare calls."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from dmef_bench import load_method, load_scenes, psnr, ssim
from dmef_bench.building.build import build_dataset
from dmef_bench.building.recipe import Recipe
from dmef_bench.demo.clips import write_clips
from dmef_bench.harness.bench import bench
from dmef_bench.harness.evaluate import evaluate
from dmef_bench.harness.plan import Plan
from dmef_bench.protocol import Protocol
from dmef_bench.scene import to_uint8

METHOD = "mertens"
ROUNDS = 3


def bare(root: Path) -> float:
    """Read, fuse and score every scene by hand; CPU seconds."""
    begin = time.process_time()
    method = load_method(METHOD)
    for scene in load_scenes(root, "all"):
        fused = to_uint8(method.fuse(scene.stack))
        psnr(fused, scene.ground_truth), ssim(fused, scene.ground_truth)
    return time.process_time() - begin


def through_evaluate(root: Path) -> float:
    """The same by `evaluate`, which the isolated process runs; CPU seconds."""
    begin = time.process_time()
    scenes = load_scenes(root, "all")
    rules = Protocol("4k-dmef", "all", scenes.digest, ("psnr/rgb8", "ssim/wang04-rgb-valid"))
    evaluate(load_method(METHOD), scenes, rules)
    return time.process_time() - begin


def start_up(root: Path, folder: Path) -> float:
    """Wall seconds of a rerun that finds all work done, and starts nothing."""
    begin = time.perf_counter()
    bench(root, [METHOD], folder, split="all", metrics=("psnr",), plan=Plan(timing=False))
    return time.perf_counter() - begin


def main(size: str = "3840x2160") -> None:
    """Print one JSON line."""
    width, height = map(int, size.split("x"))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        clips = write_clips(folder / "clips", size=(height, width))
        build_dataset(clips, folder / "data", Recipe())
        pairs = [(through_evaluate(folder / "data"), bare(folder / "data")) for _ in range(ROUNDS)]
        first = start_up(folder / "data", folder / "runs")
        again = start_up(folder / "data", folder / "runs")
    ratios = [ours / theirs for ours, theirs in pairs]
    print(
        json.dumps(
            {
                "benchmark": "harness_overhead",
                "size": size,
                "ratio": round(statistics.median(ratios), 3),
                "ratio_spread": [round(min(ratios), 3), round(max(ratios), 3)],
                "bare_cpu_s": round(statistics.median(theirs for _, theirs in pairs), 2),
                "first_run_s": round(first, 2),
                "rerun_s": round(again, 2),
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
