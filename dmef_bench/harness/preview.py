"""What a run would do: rows, scenes to fuse, metrics to be had, disk and time."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dmef_bench.harness.bench import plan_tasks
from dmef_bench.harness.plan import Plan
from dmef_bench.harness.resume import Task, found_size, valid_scores
from dmef_bench.results import SCENES_FILE, read_scores
from dmef_bench.scene import size_text
from dmef_bench.units import bytes_text


def preview(
    root: Path | str, methods: Sequence[str], out: Path | str = "runs", **asked: Any
) -> tuple[str, ...]:
    """Lines that say what `dmef_bench.harness.bench.bench` would do with the same arguments.

    Raises
    ------
    DmefError
        What the run itself would refuse beforehand.
    """
    defaults: dict[str, Any] = {
        "dataset": None, "split": "test", "metrics": (), "limit": None, "scenes": None,
        "options": None, "plan": Plan(),
    }  # fmt: skip
    tasks = plan_tasks(root, methods, out, **{**defaults, **asked})
    first = tasks[0]
    rules = ", ".join(
        f"{name} {value}"
        for name, value in first.protocol.in_force.items()
        if name in {"fit", "mr", "tile", "overlap", "blend", "memory_budget"} and value is not None
    )
    return (
        f"{len(first.scenes)} scenes of {first.scenes.dataset}, split {first.scenes.split}, "
        f"{_sizes(first)}",
        f"protocol {first.protocol.fingerprint}: {rules}",
        f"metrics {', '.join(first.protocol.metrics)}",
        *(f"  N/A {name}: {reason}" for name, reason in first.unavailable.items()),
        *(_row(task) for task in tasks),
        *_disk(tasks),
        f"records under {first.folder.parent}",
    )


def _sizes(task: Task) -> str:
    return ", ".join(sorted({size_text(facts.size) for facts in task.scenes.facts}))


def _row(task: Task) -> str:
    kept = {score.scene_id for score in valid_scores(task, found_size(task.folder))}
    todo = len(task.scenes) - len(kept)
    if todo == 0:
        return f"{task.job.row:24} done"
    seconds = [
        score.seconds["e2e"] or 0.0
        for score in read_scores(task.folder / SCENES_FILE)
        if score.seconds.get("e2e")
    ]
    guess = f", about {statistics.median(seconds) * todo:.0f} s of fusing" if seconds else ""
    return f"{task.job.row:24} {todo} of {len(task.scenes)} scenes to fuse{guess}"


def _disk(tasks: Sequence[Task]) -> tuple[str, ...]:
    if not tasks[0].plan.save_fused:
        return ()
    pixels = sum(math.prod(facts.size) for facts in tasks[0].scenes.facts)
    # A fused photograph as PNG takes about half of its raw bytes.
    return (f"fused pictures: about {bytes_text(pixels * 1.5 * len(tasks))} of disk",)
