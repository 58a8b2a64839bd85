"""Videos given out to workers: in this process, in a pool of them, or on a cluster."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

from dmef_bench.building.recipe import Recipe
from dmef_bench.building.records import Record, blank_record, write_record
from dmef_bench.building.sources import Source
from dmef_bench.building.task import build_video
from dmef_bench.errors import DmefError

AHEAD = 256
"""Videos that wait at an executor of unknown size, enough for as many workers: ten thousand need
not queue there at once."""


def work(
    todo: Mapping[str, Source],
    recipe: Recipe,
    root: Path,
    executor: Executor | None,
    *,
    jobs: int = 1,
    ahead: int = AHEAD,
) -> Iterator[tuple[str, str | None]]:
    """Build every video.

    Parameters
    ----------
    todo : mapping
        SHA-256 to source.
    recipe : Recipe
        How.
    root : Path
        Of the data set; absolute.
    executor : Executor or None
        Where; in ``jobs`` processes of this machine otherwise.
    jobs : int
        1 for this process itself.
    ahead : int
        Videos submitted at once to ``executor``.

    Yields
    ------
    tuple
        Source and why it was refused, or None; as they come.
    """
    if executor is not None:
        yield from _submit(todo, recipe, root, executor, ahead)
    elif jobs > 1:
        with _pool(min(jobs, max(len(todo), 1))) as pool:
            yield from _submit(todo, recipe, root, pool, 2 * jobs)
    else:
        for sha, source in todo.items():
            yield sha, build_video(source, recipe, root)["refused"]


def _pool(jobs: int) -> ProcessPoolExecutor:
    # Not fork: OpenCV and FFmpeg hold threads, and a forked copy of their locks may never open.
    context = get_context("spawn")
    return ProcessPoolExecutor(jobs, mp_context=context, initializer=_leave_interrupts_alone)


def _leave_interrupts_alone() -> None:
    """Ctrl-C reaches every process of a terminal; the builder alone decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _submit(
    todo: Mapping[str, Source], recipe: Recipe, root: Path, executor: Executor, ahead: int
) -> Iterator[tuple[str, str | None]]:
    waiting = iter(todo.items())
    running: dict[Future[Record], str] = {}
    orphans: list[str] = []
    try:
        while True:
            for sha, source in waiting:
                running[executor.submit(build_video, source, recipe, root)] = sha
                if len(running) >= ahead:
                    break
            if not running:
                break
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                sha = running.pop(future)
                error = future.exception()
                if error is None:
                    yield sha, future.result()["refused"]
                elif isinstance(error, DmefError):
                    raise error
                else:
                    # Nothing but the death of its worker keeps a task from returning a record.
                    orphans.append(sha)
    except BrokenExecutor:  # from submit: the pool died with videos still waiting
        orphans += [*running.values(), sha, *(sha for sha, _ in waiting)]
    finally:
        for future in running:
            future.cancel()
    for sha in orphans:
        yield sha, _alone(todo[sha], recipe, root)


def _alone(source: Source, recipe: Recipe, root: Path) -> str | None:
    """Try a video whose worker died once more, by itself, to find out whether it is to blame."""
    with suppress(BrokenExecutor), _pool(1) as pool:
        refused: str | None = pool.submit(build_video, source, recipe, root).result()["refused"]
        return refused
    record = blank_record(source, recipe)
    record["refused"] = (
        f"{record['video']}: its worker process died twice; the file crashes the decoder, or asks "
        "for more memory than there is."
    )
    write_record(root, record)
    return str(record["refused"])
