"""Where the rows of a board were measured, in sentences, each with the rows it is true of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dmef_bench.results import MethodResult

_ELSEWHERE = ("dmef", "git", "python", "platform", "cpu", "device", "packages", "clocks")
"""Keys with a place of their own in the sentence; clocks differ in every run."""


def environments(results: Sequence[MethodResult]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The distinct machines and versions of a board.

    Returns
    -------
    tuple of (str, tuple of str)
        A sentence without its subject, and the names of the rows measured so; sorted.
    """
    found: dict[str, list[str]] = {}
    for result in results:
        if result.environment:
            found.setdefault(_sentence(result.environment), []).append(result.row)
    return tuple((sentence, tuple(sorted(rows))) for sentence, rows in sorted(found.items()))


def machine(environment: Mapping[str, Any]) -> str:
    """What decides how fast a single call is: the device and, for the processor, which one."""
    device = environment.get("device") or ""
    return f"{device} ({environment.get('cpu')})" if device == "cpu" else str(device)


def _sentence(environment: Mapping[str, Any]) -> str:
    git = environment.get("git") or {}
    state = " with uncommitted changes" if git.get("dirty") else ""
    commit = f" (commit {git['commit']}{state})" if git.get("commit") else ""
    parts = [
        f"dmef {environment.get('dmef')}{commit}",
        f"Python {environment.get('python')}",
        str(environment.get("platform")),
        str(environment.get("cpu")),
        f"device {environment.get('device')}",
    ]
    parts += [
        f"{key.removesuffix('_bytes').replace('_', ' ')} {_plain(key, value)}"
        for key, value in environment.items()
        if key not in _ELSEWHERE and value is not None
    ]
    packages = environment.get("packages") or {}
    parts += [f"{name} {number}" for name, number in packages.items() if number is not None]
    return ", ".join(parts)


def _plain(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Mapping):
        return f"({', '.join(f'{name} {_plain(name, part)}' for name, part in value.items())})"
    return f"{value / 2**30:.0f} GiB" if key.endswith("_bytes") else str(value)
