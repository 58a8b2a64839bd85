"""The process in which one method runs: reads its task on stdin, writes scores as they come.

Started by `dmef_bench.harness.isolation` as ``python -m dmef_bench.harness.child``. What it tells
its parent are lines of JSON on the stdout it was born with; whatever a method prints goes to the
log instead.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any, TextIO

from dmef_bench.datasets import load_scenes
from dmef_bench.errors import DmefError, UnavailableError
from dmef_bench.harness.evaluate import Options, describe_method, evaluate
from dmef_bench.protocol import Protocol
from dmef_bench.registry import load_method
from dmef_bench.results import SCENES_FILE, SceneScore, append_score


def main() -> None:
    """Run the task that stdin describes."""
    task = json.loads(sys.stdin.read())
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    run_task(task, _private_stdout())


def _private_stdout() -> TextIO:
    """The parent's pipe, out of reach of a method's prints, which go to stderr from here on."""
    pipe = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    return pipe


def run_task(task: dict[str, Any], pipe: TextIO) -> None:
    """Load the method, fuse the scenes named, append their scores, report each step."""

    def tell(event: str, **facts: Any) -> None:
        pipe.write(json.dumps({"event": event, **facts}) + "\n")

    try:
        method = load_method(task["method"], **task["options"])
    except UnavailableError as error:
        tell("refused", status="unavailable", reason=str(error))
        return
    except DmefError as error:
        tell("refused", status="error", reason=str(error))
        return
    tell("method", **describe_method(method))
    scenes = load_scenes(task["root"], task["split"], task["dataset"]).select(task["scenes"])
    out = Path(task["out"])

    def record(score: SceneScore) -> None:
        append_score(out / SCENES_FILE, score)
        tell("score", scene=score.scene_id, status=score.status)

    evaluate(
        method,
        scenes,
        Protocol.from_record(task["protocol"]),
        options=_options(task, out),
        on_begin=lambda scene: tell("begin", scene=scene),
        on_score=record,
    )
    tell("done")


def _options(task: dict[str, Any], out: Path) -> Options:
    weights = task["lpips_weights"]
    return Options(
        lpips_weights=Path(weights) if weights else None,
        unavailable=task["unavailable"],
        save_fused=out / "fused" if task["save_fused"] else None,
        seed=task["seed"],
        method_digest=task["method_digest"],
    )


if __name__ == "__main__":
    main()
