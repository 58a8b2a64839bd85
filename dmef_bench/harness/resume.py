"""One row between runs: what is asked for, what is on record, and what of that still holds."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from dmef_bench.datasets.scene_set import SceneSet
from dmef_bench.harness.digest import public_options
from dmef_bench.harness.environment import describe_environment
from dmef_bench.harness.plan import Job, Plan
from dmef_bench.metrics import METRICS
from dmef_bench.protocol import Protocol, parse_size
from dmef_bench.results import (
    FINAL,
    FORESEEN,
    RUN_FILE,
    SCENES_FILE,
    UNTRAINED,
    MethodResult,
    SceneScore,
    Status,
    ordered,
    read_scores,
    summarise,
)

Tell = Callable[[int, str], None]
"""Gets (scenes done, news)."""


@dataclass(frozen=True)
class Task:
    """Everything a row needs: the same in this process, in another one, on another machine.

    Parameters
    ----------
    job : Job
        The row.
    scenes : SceneSet
        All of them, done or not.
    protocol : Protocol
        The rules.
    folder : Path
        Where its records stand.
    plan : Plan
        How to measure.
    unavailable : mapping
        Convention id to the reason why a metric cannot be had.
    shards : int
        Processes that share the row's scenes.
    environment : mapping
        Environment variables of its processes.
    """

    job: Job
    scenes: SceneSet
    protocol: Protocol
    folder: Path
    plan: Plan
    unavailable: Mapping[str, str] = field(default_factory=dict)
    shards: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def alone(folder: Path, tell: Tell) -> Iterator[None]:
    """Wait until no other run works on this row; what it did meanwhile is then on record."""
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            tell(0, "waiting: another run is at work on this row")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def set_aside(folder: Path) -> None:
    """Begin anew: the old scores are kept under another name."""
    scenes = folder / SCENES_FILE
    if scenes.exists():
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        scenes.rename(folder / f"scenes-{stamp}.jsonl")
    (folder / RUN_FILE).unlink(missing_ok=True)


def as_recorded(task: Task) -> MethodResult:
    """The row as it stands; what is missing makes it ``interrupted``."""
    scores = valid_scores(task, found_size(task.folder))
    base = recorded_row(task.folder) or blank_row(task)
    missing = len(task.scenes) - len(scores)
    reason = f"{missing} of {len(task.scenes)} scenes have no valid record" if missing else ""
    return replace(
        base,
        scenes=ordered(scores, task.scenes.ids),
        status=summarise(scores, len(task.scenes)),
        reason=reason or base.reason,
    )


def recorded_row(folder: Path) -> MethodResult | None:
    """What stands in the row's folder, finished or not; None before the first run."""
    return MethodResult.load(folder) if (folder / RUN_FILE).exists() else None


def found_size(folder: Path) -> tuple[int, int] | None:
    """What an earlier search found for this row."""
    recorded = recorded_row(folder)
    if recorded is None or not recorded.max_resolution:
        return None
    size = recorded.max_resolution.get("size")
    return None if size is None else parse_size(size)


def valid_scores(task: Task, found: tuple[int, int] | None) -> tuple[SceneScore, ...]:
    """Scores on record that still say what a new run would."""
    digests = {facts.scene_id: facts.digest for facts in task.scenes.facts}
    return tuple(
        score
        for score in read_scores(task.folder / SCENES_FILE)
        if score.fingerprint == task.protocol.fingerprint
        and score.method_digest == task.job.digest
        and digests.get(score.scene_id) == score.scene_digest
        and (score.status is Status.OK or (score.status in FINAL and not task.plan.retry_failed))
        and not _worth_another_run(score, task)
        # Out of memory at the native size, before the search found a smaller one.
        and not (found is not None and score.status is Status.OOM and score.mr_source == "native")
    )


def _worth_another_run(score: SceneScore, task: Task) -> bool:
    """Whether weights that a metric lacked then are there now, or what was only foreseen is due."""
    if not task.plan.forecast and (score.error or {}).get("oom_kind") == FORESEEN:
        return True
    lacked = {METRICS["lpips"].convention} & set(score.unavailable)
    return UNTRAINED not in score.flags and not lacked <= set(task.unavailable)


def blank_row(task: Task) -> MethodResult:
    """What is on record while the method runs: nothing yet, hence ``interrupted``."""
    job = task.job
    return MethodResult(
        row=job.row,
        method={
            "name": job.method.rpartition("/")[2],
            "target": job.target.rpartition("/")[2],
            "paper": "",
            "kind": "bound" if job.is_bound else "method",
            "options": public_options(job.options),
            "digest": job.digest,
            **({"cache_state": "warm"} if job.warm else {}),
        },
        protocol=task.protocol,
        environment=describe_environment(),
        status=Status.INTERRUPTED,
        expected=len(task.scenes),
        command=task.plan.command,
        seed=task.plan.seed,
        started=utc_now(),
    )


def utc_now() -> str:
    """The time of day for a record."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
