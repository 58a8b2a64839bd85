"""Measure what a finished row costs, in a process that has done nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from dmef_bench.harness.isolation import Limits, converse
from dmef_bench.harness.resume import Task, found_size
from dmef_bench.harness.timing import MOST_INPUTS
from dmef_bench.results import MethodResult, without_paths

_NO_TIMES = {"group": None, "core": None, "core_warm": None, "e2e": None, "io": None}


def measure_row(task: Task, result: MethodResult) -> MethodResult:
    """Time the method on scenes it has scores for, and save what was found.

    A method that fails here keeps its scores; its times say why they are missing.
    """
    found: dict[str, Any] = {}
    refused: list[str] = []

    def hear(event: Mapping[str, Any]) -> bool:
        match event["event"]:
            case "measured":
                found.update({key: event[key] for key in ("timing", "memory", "cost")})
            case "refused":
                refused.append(str(event["reason"]))
        return bool(found or refused)

    death = converse(
        _measuring(task, result),
        limits=Limits(_patience(task), task.plan.memory_limit),
        hear=hear,
        log=task.folder / "log.txt",
        environment=task.environment,
    )
    if not found:
        reason = refused[0] if refused else death.message if death else "no answer"
        flags = [f"not measured: {without_paths(reason)}"]
        found = {"timing": {**_NO_TIMES, "flags": flags}, "memory": None, "cost": None}
    measured = replace(result, **found)
    measured.save(task.folder)
    return measured


def _measuring(task: Task, result: MethodResult) -> dict[str, Any]:
    plan, job = task.plan, task.job
    first = result.ok[0]
    alike = [score.scene_id for score in result.ok if score.native_size == first.native_size]
    return {
        "job": "measure",
        "method": job.method,
        "options": dict(job.options),
        "device": plan.device,
        "dtype": plan.dtype,
        "threads": plan.threads,
        "memory_budget": task.protocol.memory_budget,
        "root": str(task.scenes.root),
        "dataset": task.scenes.dataset,
        "split": task.scenes.split,
        "scenes": alike[:MOST_INPUTS],
        "protocol": task.protocol.in_force,
        "found_size": found_size(task.folder),
        "rules": asdict(plan.rules),
        "throughput": plan.throughput,
    }


def _patience(task: Task) -> float:
    """Seconds for all samples together: a slow call is made some ten times."""
    rules = task.plan.rules
    return 10 * task.plan.timeout + 3 * (rules.warmup_s + rules.max_s)
