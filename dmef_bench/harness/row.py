"""Fill one row: what is on record stays, the rest is fused and scored in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event, Lock
from typing import Any

from dmef_bench.errors import DmefError
from dmef_bench.harness.completion import name_groups
from dmef_bench.harness.isolation import Death, Limits, converse
from dmef_bench.harness.resolution import find_max_resolution
from dmef_bench.harness.resume import (
    Task,
    Tell,
    alone,
    as_recorded,
    blank_row,
    found_size,
    recorded_row,
    set_aside,
    utc_now,
    valid_scores,
)
from dmef_bench.results import (
    FINAL,
    SCENES_FILE,
    MethodResult,
    SceneScore,
    Status,
    append_score,
    ordered,
    read_scores,
    summarise,
    without_paths,
)

RESTARTS = 3
"""How often a row's process may die before the scenes left are given up."""

_KEPT = ("timing", "memory", "cost")
"""Measured after the scores, and not lost when scenes are added later."""


def fill_row(task: Task, tell: Tell | None = None, stop: Event | None = None) -> MethodResult:
    """Fuse and score what has no valid record yet, and sum the row up.

    Parameters
    ----------
    task : Task
        The row.
    tell : callable, optional
        See `Tell`.
    stop : Event, optional
        Set to end after the scenes in work.

    Returns
    -------
    MethodResult
        Saved already. The row of a method that failed, too.
    """
    tell = tell or (lambda _done, _news: None)
    task.folder.mkdir(parents=True, exist_ok=True)
    if task.plan.resume == "never":
        return as_recorded(task)
    with alone(task.folder, tell):
        if task.plan.resume == "all":
            set_aside(task.folder)
        return _Filling(task, tell, stop or Event()).run()


class _Filling:
    """One row while it is being filled."""

    def __init__(self, task: Task, tell: Tell, stop: Event) -> None:
        self.task, self.tell, self.stop = task, tell, stop
        self.method: dict[str, Any] = {}
        self.device: dict[str, Any] = {}
        self.refusal: tuple[Status, str] | None = None
        self.search: dict[str, Any] | None = None
        self.too_large: tuple[int, int] | None = None
        self.found: tuple[int, int] | None = None
        self.deadline = (
            time.monotonic() + task.plan.method_timeout if task.plan.method_timeout else None
        )
        self._changing = Lock()

    def run(self) -> MethodResult:
        """Fill the row and save it."""
        name_groups(self.task.folder / SCENES_FILE, self.task.scenes.facts)
        recorded = recorded_row(self.task.folder)
        fresh = recorded is None or recorded.method.get("digest") != self.task.job.digest
        if recorded is not None and not fresh and not self.task.plan.mr_refresh:
            self.found, self.search = found_size(self.task.folder), _plain(recorded.max_resolution)
        todo = self._todo()
        finished = recorded is not None and not fresh and recorded.finished
        if not todo and recorded is not None and finished and recorded.status in FINAL:
            self.tell(len(self.task.scenes), "already done")
            return recorded
        result = blank_row(self.task)
        result.save(self.task.folder)
        self._fill(todo)
        result = self._summary(result, None if fresh else recorded)
        result.save(self.task.folder)
        return result

    def _todo(self) -> list[str]:
        kept = {score.scene_id for score in valid_scores(self.task, self.found)}
        return [scene_id for scene_id in self.task.scenes.ids if scene_id not in kept]

    def _fill(self, todo: list[str]) -> None:
        self.done = len(self.task.scenes) - len(todo)
        self.tell(self.done, "starting")
        while todo and self.refusal is None and not self.stop.is_set():
            shards = [todo[start :: self.task.shards] for start in range(self.task.shards)]
            shards = [shard for shard in shards if shard]
            if len(shards) == 1:
                self._fill_shard(shards[0])
            else:
                with ThreadPoolExecutor(len(shards)) as pool:
                    list(pool.map(self._fill_shard, shards))
            if self.too_large is None or self.stop.is_set():
                return
            if not self._search_size():
                return
            todo = self._todo()
            self.done = len(self.task.scenes) - len(todo)

    def _fill_shard(self, scenes: list[str]) -> None:
        """Run children until every scene has a record, or the row need not go on."""
        remaining = list(scenes)
        for _ in range(1 + RESTARTS):
            current: list[str] = []
            death = self._one_child(remaining, current)
            if death is None or not remaining:
                return
            if not current and not self.method:
                self._refuse(death.status, f"{death.message} while loading")
                return
            scene = current[0] if current else remaining[0]
            remaining.remove(scene)
            self._settle(scene, death)
            if not remaining:
                return
        for scene in remaining:
            self._settle(scene, Death(Status.ERROR, "not tried: its process died again and again"))

    def _one_child(self, remaining: list[str], current: list[str]) -> Death | None:
        def hear(event: Mapping[str, Any]) -> bool:
            match event["event"]:
                case "method":
                    self.method, self.device = dict(event["facts"]), dict(event["environment"])
                case "refused":
                    self._refuse(Status(event["status"]), event["reason"])
                    return True
                case "begin":
                    current[:] = [event["scene"]]
                case "score":
                    current.clear()
                    remaining.remove(event["scene"])
                    self._note(event["scene"], Status(event["status"]), event["native_size"])
                    return self.stop.is_set() or self.too_large is not None
                case "done":
                    return True
            return False

        return converse(
            self._child_task(remaining),
            limits=self._limits(),
            hear=hear,
            log=self.task.folder / "log.txt",
            environment=self.task.environment,
        )

    def _limits(self) -> Limits:
        plan, budget = self.task.plan, self.task.protocol.memory_budget
        silence = plan.timeout
        if self.deadline is not None:
            silence = max(min(silence, self.deadline - time.monotonic()), 0.01)
        limits = [limit for limit in (plan.memory_limit, self._host_budget(budget)) if limit]
        return Limits(silence, min(limits) if limits else None)

    def _host_budget(self, budget: int | None) -> int | None:
        """The budget in resident bytes; on a GPU the allocator keeps it instead."""
        on_gpu = str(self.device.get("cuda", "")) or (self.task.plan.device or "").startswith(
            "cuda"
        )
        return None if on_gpu or self.task.plan.devices or self.task.job.is_bound else budget

    def _child_task(self, scenes: Sequence[str]) -> dict[str, Any]:
        task, plan, job = self.task, self.task.plan, self.task.job
        return {
            "job": "evaluate",
            "method": job.method,
            "options": dict(job.options),
            "bound": job.is_bound,
            "device": plan.device,
            "dtype": plan.dtype,
            "threads": plan.threads,
            "memory_budget": task.protocol.memory_budget,
            "memory_limit": plan.memory_limit,
            "forecast": plan.forecast,
            "root": str(task.scenes.root),
            "dataset": task.scenes.dataset,
            "split": task.scenes.split,
            "scenes": list(scenes),
            "protocol": task.protocol.in_force,
            "out": str(task.folder),
            "lpips_weights": str(plan.lpips_weights) if plan.lpips_weights else None,
            "unavailable": dict(task.unavailable),
            "save_fused": plan.save_fused,
            "found_size": self.found,
            "size": job.size,
            "warm": job.warm,
            "tile_memo": plan.tile_memo,
            "seed": plan.seed,
            "method_digest": job.digest,
        }

    def _note(self, scene: str, status: Status, native: Sequence[int] | None) -> None:
        with self._changing:
            self.done += 1
            searching = self.task.protocol.mr == "auto" and self.task.protocol.fit != "full"
            given = self.task.protocol.fit == "tile" and self.task.protocol.tile is not None
            unsought = self.found is None and not self.task.job.is_bound and not given
            if status is Status.OOM and native and searching and unsought:
                self.too_large = (native[0], native[1])
        self.tell(self.done, f"{scene} {status.value}")

    def _settle(self, scene: str, death: Death) -> None:
        """Record the scene that a child died in."""
        facts = next(facts for facts in self.task.scenes.facts if facts.scene_id == scene)
        native = facts.size
        score = SceneScore(
            scene,
            death.status,
            group=facts.group,
            native_size=native,
            mr_source="native" if self.found is None else "search",
            fingerprint=self.task.protocol.fingerprint,
            method_digest=self.task.job.digest,
            scene_digest=facts.digest,
            started=utc_now(),
            error=death.error(),
        )
        append_score(self.task.folder / SCENES_FILE, score)
        self._note(scene, death.status, native)

    def _refuse(self, status: Status, reason: str) -> None:
        self.refusal = (status, reason)

    def _search_size(self) -> bool:
        """Search the largest size after the native one did not fit; False where none does."""
        native, plan = self.too_large, self.task.plan
        self.too_large = None
        if native is None:
            return False
        self.tell(self.done, "out of memory at native size; searching the largest size that fits")
        try:
            found = find_max_resolution(
                self.task.job.method,
                self.task.job.options,
                native,
                device=plan.device,
                memory_budget=self.task.protocol.memory_budget or plan.memory_limit,
                stride=int(self.method.get("stride", 8)),
                timeout=plan.probe_timeout,
                forecast=plan.forecast,
                log=self.task.folder / "log.txt",
                native_fails=True,
            )
        except DmefError as error:
            self._refuse(Status.ERROR, str(error))
            return False
        self.search, self.found = found.record(), found.size
        return self.found is not None

    def _summary(self, result: MethodResult, before: MethodResult | None) -> MethodResult:
        scores = [
            score
            for score in read_scores(self.task.folder / SCENES_FILE)
            if score.method_digest == self.task.job.digest
            and score.fingerprint == self.task.protocol.fingerprint
        ]
        status, reason = self.refusal or (summarise(scores, len(self.task.scenes)), "")
        if self.stop.is_set() and len(scores) < len(self.task.scenes):
            status, reason = Status.INTERRUPTED, "interrupted; run the same command again"
        kept = {} if before is None else {part: getattr(before, part) for part in _KEPT}
        return replace(
            result,
            **kept,
            # What names the row is ours to say; a method's own name is its display name.
            method={**result.method, **self.method, "digest": self.task.job.digest},
            scenes=ordered(scores, self.task.scenes.ids),
            environment={**result.environment, **self.device},
            max_resolution=self.search,
            status=status,
            reason=without_paths(reason),
            finished=utc_now(),
        )


def _plain(record: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if record is None else dict(record)
