"""Run one method in a process of its own, so that its death costs one scene and not the board."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dmef_bench.results import SCENES_FILE, SceneScore, Status, append_score

RESTARTS = 3


@dataclass
class Outcome:
    """What became of a method's process.

    Parameters
    ----------
    method : dict
        What the method said of itself; empty if it never came up.
    status : Status
        ``ok`` where the method came up, however its scenes went.
    reason : str
        Why it did not come up.
    """

    method: dict[str, Any] = field(default_factory=dict)
    status: Status = Status.OK
    reason: str = ""


def run_isolated(
    task: dict[str, Any],
    *,
    blank: Callable[[str], SceneScore],
    timeout: float = 600.0,
    on_score: Callable[[str, Status], None] | None = None,
) -> Outcome:
    """Run ``task`` (see `dmef_bench.harness.child`) until every scene has a record.

    Parameters
    ----------
    task : dict
        What the child needs; its ``scenes`` are those still to be done.
    blank : callable
        Scene id to a score without result, for scenes that the child died in.
    timeout : float
        Seconds one scene may take, loading of the method included.
    on_score : callable, optional
        Called with (scene id, status) after each scene.

    Notes
    -----
    A scene in progress when the child dies is recorded as ``error`` (``timeout`` where it was
    ended for its slowness, ``oom`` where the system killed it), and a new child goes on with the
    rest, at most three times.
    """
    outcome = Outcome()
    out = Path(task["out"])
    remaining = list(task["scenes"])

    def settle(score: SceneScore) -> None:
        append_score(out / SCENES_FILE, score)
        remaining.remove(score.scene_id)
        if on_score:
            on_score(score.scene_id, score.status)

    for _ in range(1 + RESTARTS):
        death = _one_child({**task, "scenes": remaining}, timeout, outcome, remaining, on_score)
        if death is None or outcome.status is not Status.OK:
            return outcome
        if not outcome.method and death.scene is None:
            outcome.status, outcome.reason = Status.ERROR, f"{death.message} while loading"
            return outcome
        settle(death.score(blank(death.scene or remaining[0])))
        if not remaining:
            return outcome
    for scene in tuple(remaining):
        settle(
            Death(scene, Status.ERROR, "not tried: its process died again and again").score(
                blank(scene)
            )
        )
    return outcome


@dataclass(frozen=True)
class Death:
    """How a child ended before its work was done."""

    scene: str | None
    status: Status
    message: str

    def score(self, blank: SceneScore) -> SceneScore:
        """The record of the scene it died in."""
        error = {
            "kind": self.status.value,
            "type": "ProcessDied",
            "message": self.message,
            "where": "process",
        }
        return replace(blank, status=self.status, error=error)


def _one_child(
    task: dict[str, Any],
    timeout: float,
    outcome: Outcome,
    remaining: list[str],
    on_score: Callable[[str, Status], None] | None,
) -> Death | None:
    """Start a child, follow its lines until it ends; None if it did all it was asked."""
    with (Path(task["out"]) / "log.txt").open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "dmef_bench.harness.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        return _follow(child, task, timeout, outcome, remaining, on_score)
    finally:
        # Also on Ctrl-C: no method goes on working behind the back of a harness that has ended.
        child.kill()
        child.wait()


def _follow(
    child: subprocess.Popen[bytes],
    task: dict[str, Any],
    timeout: float,
    outcome: Outcome,
    remaining: list[str],
    on_score: Callable[[str, Status], None] | None,
) -> Death | None:
    lines = _lines(child)
    _send(child, task)
    current: str | None = None
    while True:
        try:
            line = lines.get(timeout=timeout)
        except queue.Empty:
            return Death(current, Status.TIMEOUT, f"took longer than {timeout:g} s")
        if line is None:
            return _explain(child, current)
        event = json.loads(line)
        match event.pop("event"):
            case "method":
                outcome.method = event
            case "refused":
                outcome.status, outcome.reason = Status(event["status"]), event["reason"]
                return None
            case "begin":
                current = event["scene"]
            case "score":
                current = None
                remaining.remove(event["scene"])
                if on_score:
                    on_score(event["scene"], Status(event["status"]))
            case "done":
                return None


def _send(child: subprocess.Popen[bytes], task: dict[str, Any]) -> None:
    if child.stdin is None:  # never with stdin=PIPE
        return
    try:
        child.stdin.write(json.dumps(task).encode())
        child.stdin.close()
    except BrokenPipeError:
        # It died before it could read; its end of stdout tells the rest.
        return


def _lines(child: subprocess.Popen[bytes]) -> queue.Queue[bytes | None]:
    """The child's lines as a queue, so that waiting for one can have a limit; None at the end."""
    lines: queue.Queue[bytes | None] = queue.Queue()

    def read() -> None:
        for line in child.stdout or ():
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    return lines


def _explain(child: subprocess.Popen[bytes], scene: str | None) -> Death:
    code = child.wait()
    if code == -signal.SIGKILL:
        return Death(scene, Status.OOM, "killed by the system (SIGKILL), most likely out of memory")
    if code < 0:
        return Death(scene, Status.ERROR, f"died of {signal.Signals(-code).name}; see log.txt")
    return Death(scene, Status.ERROR, f"its process ended with exit code {code}; see log.txt")
