"""The commands by which a page, and what stands on it, can be made again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from dmef_bench.results import MethodResult


def remaking(results: Iterable[MethodResult], **asked: str | None) -> Iterator[str]:
    """Commands from the records to the page.

    Parameters
    ----------
    results : iterable of MethodResult
        Of one protocol; what was run stands in them.
    **asked
        Options of ``dmef leaderboard`` by name; those that are None were not given.

    Yields
    ------
    str
        Each command once. Folders are called ``RUNS`` and ``DATASET``: names that a reader gives.
    """
    fingerprint = ""
    seen = set()
    for result in results:
        fingerprint = result.protocol.fingerprint
        if result.command and result.command not in seen:
            seen.add(result.command)
            yield shlex.join(result.command)
    words = ["dmef", "leaderboard", "RUNS", "--fingerprint", fingerprint, "--format", "html"]
    for name, value in asked.items():
        words += [] if value is None else [f"--{name.replace('_', '-')}", value]
    yield shlex.join(words)
