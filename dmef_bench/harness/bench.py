"""Many methods on one data set: plan, preflight, one process each, bounds always beside them."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Lock
from typing import Any

from dmef_bench.datasets import load_scenes
from dmef_bench.datasets.scene_set import SceneSet
from dmef_bench.errors import UsageError
from dmef_bench.harness.costs import measure_row
from dmef_bench.harness.plan import (
    Job,
    Plan,
    bounds_of,
    find_metrics,
    make_jobs,
    oracle_job,
    warm_job,
)
from dmef_bench.harness.resume import Task
from dmef_bench.harness.row import fill_row
from dmef_bench.harness.timing import LOSSY
from dmef_bench.metrics import choose_metrics
from dmef_bench.protocol import Fit, Protocol
from dmef_bench.results import MethodResult, Status

WITHOUT_TRUTH = ("mef-ssim", "mef-ssimd")
"""What is measured by default where no scene has a ground truth."""

Progress = Callable[[int, int, str], None]
"""Called with (scenes done, scenes in all, news), both counted over all rows."""


def bench(
    root: Path | str,
    methods: Sequence[str],
    out: Path | str = "runs",
    *,
    dataset: str | None = None,
    split: str = "test",
    metrics: Sequence[str] = (),
    fit: Fit = "downsample",
    mr: str = "auto",
    tile: str | None = None,
    overlap: int = 64,
    blend: str = "cosine",
    memory_budget: int | None = None,
    limit: int | None = None,
    scenes: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    plan: Plan | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
    stop: Event | None = None,
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
        Short names of `METRICS` and `METRIC_SETS`; by default the set that fits the data set.
    fit, mr, tile, overlap, blend, memory_budget
        See `Protocol`. Under ``mr="auto"`` a method runs at native size; where that does not fit
        into memory, the largest size that does is searched.
    limit : int, optional
        Only the first scenes; such a run never mixes with a full one.
    scenes : sequence of str, optional
        Only the scenes named; likewise.
    options : mapping, optional
        Given to every method asked for.
    plan : Plan, optional
        How to measure.
    executor : Executor, optional
        Runs whole rows, for example a cluster's; ``out`` and ``root`` must be reachable there.
        Times are then not measured: rows would disturb each other.
    progress : callable, optional
        See `Progress`.
    stop : Event, optional
        Set it to end after the scenes in work; what is finished is on record.

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
    rules: dict[str, Any] = {
        "dataset": dataset, "split": split, "metrics": metrics, "fit": fit, "mr": mr, "tile": tile,
        "overlap": overlap, "blend": blend, "memory_budget": memory_budget, "limit": limit,
        "scenes": scenes, "options": options,
    }  # fmt: skip
    tasks = plan_tasks(root, methods, out, plan=plan or Plan(), **rules)
    plan, jobs = tasks[0].plan, [task.job for task in tasks]
    run = _Run(plan, executor, progress, stop or Event(), len(tasks[0].scenes))
    results = run.fill(tasks)
    if plan.timing and executor is None and plan.resume != "never":
        results = run.measure(tasks, results)
    extra = [*_warm_jobs(jobs, results), *map(oracle_job, _shrunken_sizes(results))]
    return (*results, *run.fill([of_job(tasks[0], job) for job in extra]))


def plan_tasks(
    root: Path | str,
    methods: Sequence[str],
    out: Path | str,
    *,
    plan: Plan,
    dataset: str | None,
    split: str,
    metrics: Sequence[str],
    limit: int | None,
    scenes: Sequence[str] | None,
    options: Mapping[str, Any] | None,
    **rules: Any,
) -> tuple[Task, ...]:
    """The rows that `bench` would fill, in order; everything that can be refused is refused here.

    Parameters and errors are those of `bench`; nothing is written.
    """
    chosen = _scenes(root, dataset, split, limit, scenes)
    metrics = metrics or (() if chosen.has_truth else WITHOUT_TRUTH)
    measures = choose_metrics(metrics, dataset=chosen.dataset, linear=chosen.linear)
    protocol = Protocol(
        dataset=chosen.dataset,
        split=split,
        dataset_digest=chosen.digest,
        metrics=tuple(metric.convention for metric in measures),
        scenes=None if limit is None and scenes is None else chosen.ids,
        **rules,
    )
    bounds = bounds_of(has_truth=chosen.has_truth, linear=chosen.linear)
    jobs = make_jobs(methods, protocol, plan, options or {}, bounds)
    plan, unavailable = find_metrics([metric.name for metric in measures], plan)
    base = Path(out) / f"{chosen.dataset}-{split}" / protocol.fingerprint
    return tuple(Task(job, chosen, protocol, base / job.row, plan, unavailable) for job in jobs)


def of_job(task: Task, job: Job) -> Task:
    """Another row of the same run."""
    return replace(task, job=job, folder=task.folder.parent / job.row)


def _scenes(
    root: Path | str,
    dataset: str | None,
    split: str,
    limit: int | None,
    named: Sequence[str] | None,
) -> SceneSet:
    scenes = load_scenes(root, split, dataset)
    if not len(scenes):
        raise UsageError(
            f"{root} has no scene in its {split} split; choose another with --split, or build more."
        )
    if named is not None:
        unknown = sorted(set(named) - set(scenes.ids))
        if unknown or not named:
            raise UsageError(
                f"The {split} split has no scene {', '.join(unknown) or 'named'}; it has "
                f"{', '.join(scenes.ids[:8])}{', ...' if len(scenes) > 8 else ''}."
            )
        scenes = scenes.select(named)
    if limit is not None and limit < 1:
        raise UsageError(f"limit is {limit}; give at least 1 scene.")
    return scenes if limit is None else scenes.select(scenes.ids[:limit])


def _warm_jobs(jobs: Iterable[Job], results: Iterable[MethodResult]) -> list[Job]:
    """A second row for each method whose caches change its pictures."""
    return [
        warm_job(job)
        for job, result in zip(jobs, results, strict=True)
        if result.timing is not None and LOSSY in result.timing["flags"]
    ]


def _lacks_times(plan: Plan, result: MethodResult) -> bool:
    return result.timing is None or (plan.throughput and "throughput" not in result.timing)


def _shrunken_sizes(results: Iterable[MethodResult]) -> list[tuple[int, int]]:
    """Sizes that a search or the paper shrank some method to: each has a ceiling of its own."""
    sizes = {
        scene.fused_size
        for result in results
        if not result.is_bound
        for scene in result.ok
        if scene.mr_source in {"search", "paper"} and scene.fused_size != scene.native_size
    }
    return sorted(size for size in sizes if size is not None)


class _Run:
    """Rows being filled, one after the other or side by side."""

    def __init__(
        self,
        plan: Plan,
        executor: Executor | None,
        progress: Progress | None,
        stop: Event,
        scenes: int,
    ) -> None:
        self._plan, self._executor, self._stop = plan, executor, stop
        self._progress, self._scenes = progress, scenes
        self._done: dict[str, int] = {}
        self._rows = 0
        self._lock = Lock()
        self._devices: queue.Queue[str] = queue.Queue()
        for device in plan.devices:
            self._devices.put(device)

    def fill(self, tasks: Sequence[Task]) -> tuple[MethodResult, ...]:
        """Fill rows; the order of the results is that of the tasks."""
        self._rows += len(tasks)
        if self._executor is not None:
            return self._elsewhere(self._executor, tasks)
        workers = len(self._plan.devices) or min(self._plan.jobs, max(len(tasks), 1))
        if workers == 1 and not self._plan.devices:
            shards = self._plan.jobs
            return tuple(self._fill_one(replace(task, shards=shards)) for task in tasks)
        shards = max(self._plan.jobs // workers, 1)
        with ThreadPoolExecutor(workers) as pool:
            return tuple(pool.map(self._fill_one, (replace(t, shards=shards) for t in tasks)))

    def measure(
        self, tasks: Sequence[Task], results: Sequence[MethodResult]
    ) -> tuple[MethodResult, ...]:
        """Times, memory and cost of the rows that have scores: one by one, undisturbed."""
        measured = []
        for task, result in zip(tasks, results, strict=True):
            wanted = not task.job.is_bound and result.ok and _lacks_times(task.plan, result)
            if wanted and not self._stop.is_set() and result.status is not Status.INTERRUPTED:
                self._say(task, self._done.get(task.job.row, 0), "measuring times and memory")
                with self._device() as environment:
                    placed = replace(task, environment=environment)
                    measured.append(measure_row(placed, result))
            else:
                measured.append(result)
        return tuple(measured)

    def _elsewhere(self, executor: Executor, tasks: Sequence[Task]) -> tuple[MethodResult, ...]:
        waiting = [executor.submit(fill_row, task) for task in tasks]
        results = []
        for task, future in zip(tasks, waiting, strict=True):
            results.append(future.result())
            self._say(task, self._scenes, "done")
        return tuple(results)

    def _fill_one(self, task: Task) -> MethodResult:
        with self._device() as environment:
            return fill_row(
                replace(task, environment=environment),
                lambda done, news: self._say(task, done, news),
                self._stop,
            )

    @contextmanager
    def _device(self) -> Iterator[dict[str, str]]:
        """The environment of a process that sees one GPU only, where several are given."""
        if not self._plan.devices:
            yield {}
            return
        device = self._devices.get()
        try:
            yield {"CUDA_VISIBLE_DEVICES": device.removeprefix("cuda:")}
        finally:
            self._devices.put(device)

    def _say(self, task: Task, done: int, news: str) -> None:
        with self._lock:
            self._done[task.job.row] = done
            if self._progress:
                total = self._rows * self._scenes
                self._progress(sum(self._done.values()), total, f"{task.job.row}: {news}")
