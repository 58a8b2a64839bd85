"""What the harness adds to fusing and scoring: scenes as the child evaluates them, and by hand.

``python benchmarks/harness_overhead.py [SCENES] [WIDTHxHEIGHT] [METHOD] [METRICS]``. Four clips of
the demo are built into scenes, which go round until there are enough (``DMEF_SCENES=ROOT`` takes a
data set that is there). Scene by scene, in turn, what the isolated process does, records written
and synchronised, against reading, fusing and scoring by bare calls. What a child needs to start,
and to load the method, is left out of the ratio and stands beside it.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from side_by_side import cpu_seconds, report

from dmef_bench import load_method, load_scenes
from dmef_bench.building.build import build_dataset
from dmef_bench.building.recipe import Recipe
from dmef_bench.datasets.scene_set import SceneSet
from dmef_bench.demo.clips import write_clips
from dmef_bench.harness.bench import bench, plan_tasks
from dmef_bench.harness.evaluate import Options, evaluate
from dmef_bench.harness.isolation import Limits, converse
from dmef_bench.harness.plan import Plan
from dmef_bench.harness.row import _Filling
from dmef_bench.method import Method
from dmef_bench.metrics import METRICS
from dmef_bench.metrics.lpips_trunk import find_trunk
from dmef_bench.protocol import Protocol
from dmef_bench.results import append_score
from dmef_bench.scene import to_uint8


def by_hand(scenes: SceneSet, method: Method, measures: list[Callable]) -> None:
    """Read, fuse and score."""
    for scene in scenes:
        fused = to_uint8(method.fuse(scene.stack))
        for measure in measures:
            measure(fused, scene.ground_truth)


def by_the_harness(
    scenes: SceneSet, method: Method, rules: Protocol, options: Options, record: Path
) -> None:
    """The same as the isolated process does it, a line on disk included."""
    evaluate(method, scenes, rules, options=options, on_score=partial(append_score, record))


def start_up(root: Path, name: str, folder: Path) -> float:
    """CPU seconds of a child that loads the method and has no scene to fuse."""
    given = {"dataset": None, "split": "all", "metrics": ("psnr",), "limit": 1, "scenes": None}
    plan = Plan(timing=False)
    task = plan_tasks(root, [name], folder, plan=plan, options=None, **given)[-1]
    child = _Filling(task, lambda _done, _news: None, None)._child_task([])
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    converse(child, limits=Limits(), hear=lambda event: event["event"] == "done")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def rerun(root: Path, name: str, folder: Path) -> float:
    """Wall seconds of a run that finds all work done."""
    work = partial(bench, root, [name], folder, split="all", limit=1, metrics=("psnr",))
    work(plan=Plan(timing=False))
    begin = time.perf_counter()
    work(plan=Plan(timing=False))
    return time.perf_counter() - begin


def main(
    count: str = "30", size: str = "3840x2160", name: str = "mertens", metrics: str = "psnr,ssim"
) -> None:
    """Print one JSON line."""
    width, height = map(int, size.split("x"))
    chosen = [METRICS[word] for word in metrics.split(",")]
    weights = find_trunk("alex").backbone.find() if "lpips" in metrics else None
    measures = [
        partial(metric.score, weights=weights) if metric.name == "lpips" else metric.score
        for metric in chosen
    ]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        root = Path(os.environ.get("DMEF_SCENES", folder / "data"))
        if not root.exists():
            clips = write_clips(folder / "clips", size=(height, width))
            build_dataset(clips, root, Recipe())
        scenes = load_scenes(root, "all")
        conventions = tuple(metric.convention for metric in chosen)
        rules = Protocol(scenes.dataset, "all", scenes.digest, conventions, fit="full")
        options = Options(lpips_weights=weights)
        method = load_method(name)
        ours, theirs = [], []
        for turn in range(-1, int(count)):
            one = scenes.select([scenes.ids[turn % len(scenes)]])
            pair = [
                (ours, partial(by_the_harness, one, method, rules, options, folder / "lines")),
                (theirs, partial(by_hand, one, method, measures)),
            ]
            for seconds, task in pair if turn % 2 else reversed(pair):
                seconds.append(cpu_seconds(task))
        # The first scene of each is a warm-up: weights and libraries are loaded there.
        ratios = [mine / bare for mine, bare in zip(ours[1:], theirs[1:], strict=True)]
        report(
            "harness_overhead",
            scenes=int(count),
            size=size,
            method=name,
            metrics=metrics,
            ratio=sum(ours[1:]) / sum(theirs[1:]),
            median_ratio=statistics.median(ratios),
            ratio_spread=[min(ratios), max(ratios)],
            bare_cpu_s_a_scene=statistics.median(theirs[1:]),
            child_start_up_cpu_s=start_up(root, name, folder / "none"),
            rerun_s=rerun(root, name, folder / "runs"),
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
