"""Many methods on one data set: plan, preflight, one process each, bounds always beside them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dmef_bench.datasets import load_scenes
from dmef_bench.datasets.dmef4k import DmefScenes
from dmef_bench.errors import UnavailableError, UsageError
from dmef_bench.harness.digest import method_digest
from dmef_bench.harness.environment import describe_environment
from dmef_bench.harness.isolation import Outcome, run_isolated
from dmef_bench.metrics import METRICS
from dmef_bench.metrics.lpips_backbone import find_backbone
from dmef_bench.protocol import Fit, Protocol
from dmef_bench.registry import parse_method, resolve
from dmef_bench.results import (
    FINAL,
    SCENES_FILE,
    UNTRAINED,
    MethodResult,
    SceneScore,
    Status,
    ordered,
    read_scores,
    summarise,
    without_paths,
)

BOUNDS = ("reference", "oracle", "tone-curve")
"""Rows that stand on every board, asked for or not."""

DEFAULT_METRICS = ("psnr", "ssim", "lpips")

Progress = Callable[[int, int, str], None]
"""Called with (scenes done, scenes in all, news), both counted over all rows."""


@dataclass(frozen=True)
class Job:
    """One row to be filled.

    Parameters
    ----------
    row : str
        Its name on the board.
    method : str
        What `load_method` is given.
    target : str
        ``module:Class`` or ``file.py:Class``.
    options : mapping
        Constructor arguments.
    digest : str
        Of its code and options.
    """

    row: str
    method: str
    target: str
    options: Mapping[str, Any]
    digest: str


@dataclass(frozen=True)
class Plan:
    """How to measure; nothing here changes a score.

    Parameters
    ----------
    require : tuple of str
        Metrics without which nothing is computed.
    lpips_weights : Path or None
        File of the LPIPS backbone.
    offline : bool
        Never download.
    save_fused : bool
        Keep the fused pictures.
    retry_failed : bool
        Run scenes again that ended in ``oom``, ``timeout`` or ``error``.
    timeout : float
        Seconds one scene may take.
    seed : int
        For the generators of every method's process.
    command : tuple of str
        The command line, for the record.
    """

    require: tuple[str, ...] = ()
    lpips_weights: Path | None = None
    offline: bool = False
    save_fused: bool = False
    retry_failed: bool = False
    timeout: float = 600.0
    seed: int = 0
    command: tuple[str, ...] = field(default_factory=tuple)


def bench(
    root: Path | str,
    methods: Sequence[str],
    out: Path | str = "runs",
    *,
    dataset: str | None = None,
    split: str = "test",
    metrics: Sequence[str] = DEFAULT_METRICS,
    fit: Fit = "downsample",
    mr: str = "auto",
    limit: int | None = None,
    plan: Plan | None = None,
    progress: Progress | None = None,
) -> tuple[MethodResult, ...]:
    """Run methods on a data set and leave records under ``out``.

    Finished work is not done twice: a scene is skipped where a record of the same protocol,
    method and pixels exists. A method that fails still has its row.

    Parameters
    ----------
    root : Path or str
        The data set.
    methods : sequence of str
        ``NAME`` or ``NAME@key=value,...``; the bounds come by themselves.
    out : Path or str
        Results go to ``out/<dataset>-<split>/<fingerprint>/<row>/``.
    dataset, split
        See `load_scenes`.
    metrics : sequence of str
        Short names of `METRICS`.
    fit, mr
        See `Protocol`; until the search exists, ``mr="auto"`` means the native size.
    limit : int, optional
        Only the first scenes; such a run never mixes with a full one.
    plan : Plan, optional
        How to measure.
    progress : callable, optional
        See `Progress`.

    Returns
    -------
    tuple of MethodResult
        One a row, bounds first.

    Raises
    ------
    UsageError, MethodNotFoundError
        Before anything is computed: unknown names, no scenes, two rows of one name.
    UnavailableError
        A required metric cannot be had.
    """
    plan = plan or Plan()
    scenes = _scenes(root, dataset, split, limit)
    protocol = Protocol(
        dataset=scenes.dataset,
        split=split,
        dataset_digest=scenes.digest,
        metrics=_conventions(metrics),
        fit=fit,
        mr=mr,
        scenes=scenes.ids if limit is not None else None,
    )
    if fit == "tile" or mr == "paper":
        raise UsageError("--fit tile and --mr paper are not built yet; use full, downsample, WxH.")
    jobs = _jobs(methods, protocol)
    plan, unavailable = _preflight(metrics, plan)
    base = Path(out) / f"{scenes.dataset}-{split}" / protocol.fingerprint
    count = len(scenes)

    def of_row(index: int) -> Callable[[int, str], None]:
        def tell(done: int, news: str) -> None:
            if progress:
                progress(index * count + done, len(jobs) * count, f"{jobs[index].row}: {news}")

        return tell

    return tuple(
        _run_row(job, scenes, protocol, base / job.row, plan, unavailable, of_row(index))
        for index, job in enumerate(jobs)
    )


def _scenes(root: Path | str, dataset: str | None, split: str, limit: int | None) -> DmefScenes:
    scenes = load_scenes(root, split, dataset)
    if not len(scenes):
        raise UsageError(
            f"{root} has no scene in its {split} split; choose another with --split, or build more."
        )
    if limit is not None and limit < 1:
        raise UsageError(f"limit is {limit}; give at least 1 scene.")
    return scenes if limit is None else scenes.select(scenes.ids[:limit])


def _conventions(metrics: Sequence[str]) -> tuple[str, ...]:
    unknown = [name for name in metrics if name not in METRICS]
    if unknown or not metrics:
        raise UsageError(f"No metric is called {unknown[:1]}; choose from {', '.join(METRICS)}.")
    return tuple(METRICS[name].convention for name in METRICS if name in metrics)


def _jobs(methods: Sequence[str], protocol: Protocol) -> tuple[Job, ...]:
    """One job a row: the bounds, then what was asked for; a bound asked for is not run twice."""
    jobs: dict[str, Job] = {}
    for text in dict.fromkeys((*BOUNDS, *methods)):
        name, options = parse_method(text)
        label = options.pop("label", None)
        target = resolve(name)
        row = _row_name(text, name, target, label, protocol)
        if row in jobs:
            raise UsageError(f"Two rows would be called {row!r}; tell them apart by label=NAME.")
        jobs[row] = Job(row, name, target, options, method_digest(target, options))
    return tuple(jobs.values())


def _row_name(text: str, name: str, target: str, label: object, protocol: Protocol) -> str:
    if text == "oracle":
        size = protocol.mr if protocol.fit == "downsample" and protocol.mr != "auto" else "native"
        return f"oracle@{size}"
    plain = name if name != target else target.rpartition(":")[2]
    row = str(label) if label is not None else text.replace(name, plain, 1)
    # The row is also the name of its folder.
    return re.sub(r"[^\w.@=,+-]+", "-", row).strip(".-") or "row"


def _preflight(metrics: Sequence[str], plan: Plan) -> tuple[Plan, dict[str, str]]:
    """The plan with the LPIPS backbone found, and the metrics that cannot be had, with reasons.

    Raises if one of those is required.
    """
    if "lpips" not in metrics:
        return plan, {}
    try:
        found = find_backbone("alex", weights=plan.lpips_weights, offline=plan.offline)
    except UnavailableError as error:
        # A file named by the user that cannot be read is his error, not a column without numbers.
        if "lpips" in plan.require or plan.lpips_weights is not None:
            raise
        return plan, {METRICS["lpips"].convention: without_paths(str(error))}
    return replace(plan, lpips_weights=found), {}


def _run_row(
    job: Job,
    scenes: DmefScenes,
    protocol: Protocol,
    folder: Path,
    plan: Plan,
    unavailable: Mapping[str, str],
    tell: Callable[[int, str], None],
) -> MethodResult:
    folder.mkdir(parents=True, exist_ok=True)
    kept = _valid(folder, job, scenes, protocol, plan, unavailable)
    todo = [scene_id for scene_id in scenes.ids if scene_id not in kept]
    if not todo and (folder / "run.json").exists():
        done = MethodResult.load(folder)
        if done.method.get("digest") == job.digest and done.status is not Status.INTERRUPTED:
            tell(len(scenes), "already done")
            return done
    result = _blank_result(job, protocol, scenes, plan)
    result.save(folder)
    outcome = _fill(job, scenes, protocol, folder, plan, unavailable, todo, tell)
    result = _summary(result, outcome, scenes, folder)
    result.save(folder)
    return result


def _valid(
    folder: Path,
    job: Job,
    scenes: DmefScenes,
    protocol: Protocol,
    plan: Plan,
    unavailable: Mapping[str, str],
) -> set[str]:
    """Scenes whose record still says what a new run would."""
    digests = {entry.scene: entry.digest for entry in scenes.entries}
    return {
        score.scene_id
        for score in read_scores(folder / SCENES_FILE)
        if score.fingerprint == protocol.fingerprint
        and score.method_digest == job.digest
        and digests.get(score.scene_id) == score.scene_digest
        and (score.status is Status.OK or (score.status in FINAL and not plan.retry_failed))
        and not _worth_another_run(score, unavailable)
    }


def _worth_another_run(score: SceneScore, unavailable: Mapping[str, str]) -> bool:
    """Whether weights that a metric lacked then are there now."""
    lacked = {METRICS["lpips"].convention} & set(score.unavailable)
    return UNTRAINED not in score.flags and not lacked <= set(unavailable)


def _fill(
    job: Job,
    scenes: DmefScenes,
    protocol: Protocol,
    folder: Path,
    plan: Plan,
    unavailable: Mapping[str, str],
    todo: list[str],
    tell: Callable[[int, str], None],
) -> Outcome:
    digests = {entry.scene: entry.digest for entry in scenes.entries}
    done = len(scenes) - len(todo)

    def on_score(_scene: str, status: Status) -> None:
        nonlocal done
        done += 1
        tell(done, status.value)

    def blank(scene_id: str) -> SceneScore:
        return SceneScore(
            scene_id,
            Status.ERROR,
            fingerprint=protocol.fingerprint,
            method_digest=job.digest,
            scene_digest=digests[scene_id],
            started=_now(),
        )

    tell(done, "starting")
    task = {
        "method": job.method,
        "options": dict(job.options),
        "root": str(scenes.manifest.root),
        "dataset": scenes.dataset,
        "split": scenes.split,
        "scenes": todo,
        "protocol": protocol.in_force,
        "out": str(folder),
        "lpips_weights": str(plan.lpips_weights) if plan.lpips_weights else None,
        "unavailable": dict(unavailable),
        "save_fused": plan.save_fused,
        "seed": plan.seed,
        "method_digest": job.digest,
    }
    return run_isolated(task, blank=blank, timeout=plan.timeout, on_score=on_score)


def _blank_result(job: Job, protocol: Protocol, scenes: DmefScenes, plan: Plan) -> MethodResult:
    """What is on record while the method runs: nothing yet, hence ``interrupted``."""
    return MethodResult(
        row=job.row,
        method={
            "name": job.method,
            "target": Path(job.target).name,
            "paper": "",
            "kind": "bound" if job.method in BOUNDS else "method",
            "options": dict(job.options),
            "digest": job.digest,
        },
        protocol=protocol,
        environment=describe_environment(),
        status=Status.INTERRUPTED,
        expected=len(scenes),
        command=plan.command,
        seed=plan.seed,
        started=_now(),
    )


def _summary(
    result: MethodResult, outcome: Outcome, scenes: DmefScenes, folder: Path
) -> MethodResult:
    digest = result.method["digest"]
    scores = [score for score in read_scores(folder / SCENES_FILE) if score.method_digest == digest]
    status = outcome.status if outcome.status is not Status.OK else summarise(scores, len(scenes))
    return replace(
        result,
        method={**result.method, **outcome.method},
        scenes=ordered(scores, scenes.ids),
        status=status,
        reason=without_paths(outcome.reason),
        finished=_now(),
    )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
