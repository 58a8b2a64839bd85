"""One builder at a time: a lock file that names its holder."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import psutil

from dmef_bench import strict_json
from dmef_bench.errors import UnavailableError


@contextmanager
def build_lock(scratch: Path) -> Iterator[None]:
    """Hold ``scratch/lock`` while the block runs; a holder that is gone is no holder.

    Raises
    ------
    UnavailableError
        Another living process holds it; the message names process, host and start. Or nothing can
        be written here.
    """
    path = scratch / "lock"
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        _take(path)
    except OSError as error:
        raise UnavailableError(f"{scratch.parent} cannot be written: {error.strerror}.") from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _take(path: Path) -> None:
    mine = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now().strftime("%H:%M"),
    }
    for _ in range(2):
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(strict_json.dumps(mine))
        except FileExistsError:
            _clear_if_stale(path)
        else:
            return
    raise UnavailableError(f"{path} is taken again and again; is another build starting?")


def _clear_if_stale(path: Path) -> None:
    try:
        holder = strict_json.loads(path.read_text(encoding="utf-8"))
        pid, host, since = int(holder["pid"]), str(holder["host"]), str(holder["since"])
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError):
        # Cut off in mid-write by a kill: nobody can hold it.
        path.unlink(missing_ok=True)
        return
    if host == socket.gethostname() and not psutil.pid_exists(pid):
        path.unlink(missing_ok=True)
        return
    raise UnavailableError(
        f"{path.parent.parent} is being built by process {pid} on host {host} since {since}. "
        f"Wait, or remove {path} if that process is gone."
    )
