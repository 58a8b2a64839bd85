"""Run work in a process of its own: follow what it says, end it at its limits, tell how it died."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import psutil

from dmef_bench.results import Status
from dmef_bench.units import bytes_text

_WATCH_S = 0.05

Hear = Callable[[Mapping[str, Any]], bool]
"""Gets each event of the child; returns True when the child's work is done."""


@dataclass(frozen=True)
class Limits:
    """What a child may take.

    Parameters
    ----------
    silence_s : float
        Seconds between two events, loading of the method included.
    memory_bytes : int or None
        Resident size of the child and its children.
    """

    silence_s: float = 600.0
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Death:
    """How a child ended before its work was done.

    Parameters
    ----------
    status : Status
        ``timeout``, ``oom`` or ``error``.
    message : str
        For a record.
    kind : str
        Of an ``oom``: ``budget`` where our limit ended it, ``system`` where the system did.
    """

    status: Status
    message: str
    kind: str = ""

    def error(self) -> dict[str, str]:
        """The death as the ``error`` of a record."""
        facts = {"kind": self.status.value, "type": "ProcessDied", "message": self.message}
        return {**facts, "where": "process", **({"oom_kind": self.kind} if self.kind else {})}


def converse(
    task: Mapping[str, Any],
    *,
    limits: Limits,
    hear: Hear,
    log: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Death | None:
    """Start a child on ``task`` and hear it out.

    Parameters
    ----------
    task : mapping
        See `dmef_bench.harness.child`; of JSON's types.
    limits : Limits
        Where the child is ended.
    hear : callable
        See `Hear`.
    log : Path, optional
        File that the child's stderr is appended to.
    environment : mapping, optional
        Further environment variables of the child.

    Returns
    -------
    Death or None
        None if ``hear`` said that the work is done.

    Notes
    -----
    However this ends, also by an exception or Ctrl-C, the child and all processes it started are
    gone afterwards: no method goes on working behind the back of a harness that has ended.
    """
    with _opened(log) as stderr:
        child = subprocess.Popen(
            [sys.executable, "-m", "dmef_bench.harness.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, **(environment or {})},
            # A group of its own: it can be ended with its children, and Ctrl-C is ours to handle.
            start_new_session=True,
        )
    watcher = _MemoryWatch(child, limits.memory_bytes)
    try:
        return _follow(child, task, limits, hear, watcher)
    finally:
        watcher.stop()
        _end(child)


def _follow(
    child: subprocess.Popen[bytes],
    task: Mapping[str, Any],
    limits: Limits,
    hear: Hear,
    watcher: _MemoryWatch,
) -> Death | None:
    lines = _lines(child)
    _send(child, task)
    while True:
        try:
            line = lines.get(timeout=limits.silence_s)
        except queue.Empty:
            return Death(Status.TIMEOUT, f"took longer than {limits.silence_s:g} s")
        if line is None:
            return watcher.verdict or _explain(child)
        if hear(json.loads(line)):
            return None


class _MemoryWatch:
    """Ends a child whose resident size passes a limit."""

    def __init__(self, child: subprocess.Popen[bytes], limit: int | None) -> None:
        self.verdict: Death | None = None
        self._done = threading.Event()
        if limit is not None:
            threading.Thread(target=self._watch, args=(child, limit), daemon=True).start()

    def _watch(self, child: subprocess.Popen[bytes], limit: int) -> None:
        while not self._done.wait(_WATCH_S):
            taken = _resident(child.pid)
            if taken > limit:
                message = f"took {bytes_text(taken)} of memory, {bytes_text(limit)} are allowed"
                self.verdict = Death(Status.OOM, message, "budget")
                _end(child)
                return

    def stop(self) -> None:
        """Watch no longer."""
        self._done.set()


def _resident(pid: int) -> int:
    """Resident bytes of a process and of all it started."""
    total = 0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += one.memory_info().rss
    return total


@contextlib.contextmanager
def _opened(log: Path | None) -> Iterator[BinaryIO | int]:
    if log is None:
        yield subprocess.DEVNULL
        return
    with log.open("ab") as file:
        yield file


def _send(child: subprocess.Popen[bytes], task: Mapping[str, Any]) -> None:
    # A child that dies before it could read says why by the end of its stdout.
    with contextlib.suppress(BrokenPipeError):
        if child.stdin is not None:  # never None with stdin=PIPE
            child.stdin.write(json.dumps(task).encode())
            child.stdin.close()


def _lines(child: subprocess.Popen[bytes]) -> queue.Queue[bytes | None]:
    """The child's lines as a queue, so that waiting for one can have a limit; None at the end."""
    lines: queue.Queue[bytes | None] = queue.Queue()

    def read() -> None:
        for line in child.stdout or ():
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    return lines


def _end(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.kill()
    child.wait()


def _explain(child: subprocess.Popen[bytes]) -> Death:
    # What the child started may hold its stdout open no longer, yet it may not have been reaped.
    deadline = time.monotonic() + 5
    while child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    code = child.poll()
    if code is None:
        return Death(Status.ERROR, "closed its pipe and went on; it was ended")
    if code == -signal.SIGKILL:
        message = "killed by the system (SIGKILL), most likely out of memory"
        return Death(Status.OOM, message, "system")
    if code < 0:
        return Death(Status.ERROR, f"died of {signal.Signals(-code).name}; see log.txt")
    return Death(Status.ERROR, f"its process ended with exit code {code}; see log.txt")
