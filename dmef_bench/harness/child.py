"""The process in which one method runs: reads its task on stdin, tells what comes of it.

Started by `dmef_bench.harness.isolation` as ``python -m dmef_bench.harness.child``. What it tells
its parent are lines of JSON on the stdout it was born with; whatever a method prints goes to the
log instead.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import cv2
import numpy as np
import psutil

from dmef_bench.datasets import load_scenes
from dmef_bench.errors import DmefError, UnavailableError
from dmef_bench.harness.clock import Rules
from dmef_bench.harness.environment import describe_device
from dmef_bench.harness.evaluate import Options, describe_method, evaluate
from dmef_bench.harness.fit import fuse_at
from dmef_bench.harness.foresight import Foresight
from dmef_bench.harness.measuring import measure_method
from dmef_bench.harness.memory import high_water_bytes
from dmef_bench.method import CalibratedMethod, Method
from dmef_bench.protocol import Protocol
from dmef_bench.registry import accepts, load_method
from dmef_bench.results import SCENES_FILE, SceneScore, append_score
from dmef_bench.scene import ExposureStack

Task = dict[str, Any]
Tell = Callable[..., None]


def main() -> None:
    """Run the task that stdin describes."""
    task = json.loads(sys.stdin.read())
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    pipe = _private_stdout()

    def tell(event: str, **facts: Any) -> None:
        pipe.write(json.dumps({"event": event, **facts}) + "\n")

    run_task(task, tell)


def _private_stdout() -> TextIO:
    """The parent's pipe, out of reach of a method's prints, which go to stderr from here on."""
    pipe = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    return pipe


def run_task(task: Task, tell: Tell) -> None:
    """Load the method and do what the task's ``job`` says."""
    use_threads(task.get("threads"))
    try:
        method = _loaded(task)
    except UnavailableError as error:
        tell("refused", status="unavailable", reason=str(error))
        return
    except DmefError as error:
        tell("refused", status="error", reason=str(error))
        return
    {"evaluate": _evaluate, "measure": _measure, "probe": _probe}[task["job"]](task, method, tell)


def _loaded(task: Task) -> Method:
    """The method; device and dtype are handed to those that know such options."""
    common = {key: task[key] for key in ("device", "dtype") if task.get(key) is not None}
    known = {key: value for key, value in common.items() if accepts(task["method"], key)}
    if budget := task.get("memory_budget"):
        _limit_device(common.get("device"), budget)
    return load_method(task["method"], **{**known, **task["options"]})


def _limit_device(device: str | None, budget: int) -> None:
    """Let a large GPU behave like a small one in capacity; its speed stays its own."""
    # Importing torch takes hundreds of MiB, which a budget for the CPU must not pay for nothing.
    on_cpu = device is not None and not device.startswith("cuda")
    if on_cpu or not any(Path("/dev").glob("nvidia[0-9]*")):
        return
    import torch

    if torch.cuda.is_available():
        index = torch.device(device or "cuda").index or 0
        total = torch.cuda.get_device_properties(index).total_memory
        torch.cuda.set_per_process_memory_fraction(min(budget / total, 1.0), index)


def use_threads(count: int | None) -> None:
    """Let OpenCV and torch take equally many threads, or their times could not be compared.

    Parameters
    ----------
    count : int or None
        How many; None is ``OMP_NUM_THREADS``, else a thread for each physical core that this
        process may use, which is torch's own choice. OpenCV's would be every logical core.
    """
    count = count or _stated_threads() or _physical_cores()
    cv2.setNumThreads(count)
    # torch reads the variable when it is imported, which is not yet.
    os.environ["OMP_NUM_THREADS"] = str(count)


def _stated_threads() -> int:
    stated = os.environ.get("OMP_NUM_THREADS", "")
    return int(stated) if stated.isdecimal() else 0


def _physical_cores() -> int:
    # OpenCV's count knows what a container allows, psutil's which of them are whole cores.
    allowed = cv2.getNumberOfCPUs()
    return min(allowed, psutil.cpu_count(logical=False) or allowed)


def _evaluate(task: Task, method: Method, tell: Tell) -> None:
    scenes = load_scenes(task["root"], task["split"], task["dataset"]).select(task["scenes"])
    calibrated = _calibrate(task, method)
    device = {} if task.get("bound") else describe_device(method)
    tell("method", facts={**describe_method(method), **calibrated}, environment=device)
    out = Path(task["out"])

    def record(score: SceneScore) -> None:
        append_score(out / SCENES_FILE, score)
        size = score.native_size
        tell("score", scene=score.scene_id, status=score.status, native_size=size)

    evaluate(
        method,
        scenes,
        Protocol.from_record(task["protocol"]),
        options=_options(task, method, out),
        on_begin=lambda scene: tell("begin", scene=scene),
        on_score=record,
    )
    tell("done")


def _calibrate(task: Task, method: Method) -> dict[str, Any]:
    """Show training scenes to a method that wants them; never those that it is tested on."""
    if not isinstance(method, CalibratedMethod) or task["split"] != "test":
        return {}
    scenes = load_scenes(task["root"], "train", task["dataset"])
    seen: list[str] = []

    def stacks() -> Iterator[ExposureStack]:
        for scene_id in scenes.ids[: task.get("calibration_scenes", 1)]:
            (scene,) = scenes.select([scene_id])
            seen.append(scene_id)
            yield scene.stack

    method.calibrate(stacks())
    return {"calibrated_on": seen}


def _measure(task: Task, method: Method, tell: Tell) -> None:
    """Time the method on scenes that it has been seen to hold."""
    scenes = load_scenes(task["root"], task["split"], task["dataset"]).select(task["scenes"])
    _calibrate(task, method)
    found = measure_method(
        method,
        scenes,
        Protocol.from_record(task["protocol"]),
        found=_pair(task.get("found_size")),
        rules=Rules(**task["rules"]),
        throughput=task["throughput"],
    )
    tell("measured", **found)


def _probe(task: Task, method: Method, tell: Tell) -> None:
    """Fuse noise twice in a row at one size."""
    size = height, width = tuple(task["size"])
    noise = np.random.default_rng(0).integers(
        0, 256, (task["exposures"], height, width, 3), dtype=np.uint8
    )
    stack = ExposureStack(tuple(np.sort(noise, axis=0)), _evs(task["exposures"]))
    begin = time.perf_counter()

    def seconds() -> float:
        return time.perf_counter() - begin

    if task["forecast"] and (shortage := Foresight(method, _limit(task, method)).shortage(size)):
        tell("failed", outcome="oom", seconds=seconds(), message=shortage.text(auto=True))
        return
    try:
        for _ in range(2):
            fuse_at(method, stack, fit="full", size=size)
    except MemoryError as error:
        tell("failed", outcome="oom", seconds=seconds(), message=str(error))
    except Exception as error:
        kind = type(error).__name__
        outcome = "oom" if kind == "OutOfMemoryError" else "error"
        tell("failed", outcome=outcome, seconds=seconds(), message=f"{kind}: {error}")
    else:
        tell("passed", seconds=seconds(), peak_bytes=_peak_bytes(method))


def _peak_bytes(method: Method) -> int:
    torch = sys.modules.get("torch")
    if torch is not None and str(getattr(method, "device", "cpu")).startswith("cuda"):
        return int(torch.cuda.max_memory_reserved())
    return high_water_bytes()


def _evs(count: int) -> tuple[float, ...]:
    """Two stops apart, around the default reference."""
    return tuple(2.0 * index - 1.0 for index in range(count))


def _limit(task: Task, method: Method) -> int | None:
    """Bytes that may be taken: of the process, or on a GPU by the emulated budget alone."""
    on_gpu = str(getattr(method, "device", "cpu")).startswith("cuda")
    limits = [task.get("memory_budget"), None if on_gpu else task.get("memory_limit")]
    return min((limit for limit in limits if limit), default=None)


def _options(task: Task, method: Method, out: Path) -> Options:
    weights = task["lpips_weights"]
    return Options(
        lpips_weights=Path(weights) if weights else None,
        unavailable=task["unavailable"],
        save_fused=out / "fused" if task["save_fused"] else None,
        found_size=_pair(task.get("found_size")),
        size=_pair(task.get("size")),
        warm=task.get("warm", False),
        tile_memo=task.get("tile_memo", False),
        seed=task["seed"],
        method_digest=task["method_digest"],
        forecast=task["forecast"],
        memory_limit=_limit(task, method),
    )


def _pair(size: list[int] | None) -> tuple[int, int] | None:
    return (size[0], size[1]) if size else None


if __name__ == "__main__":
    main()
