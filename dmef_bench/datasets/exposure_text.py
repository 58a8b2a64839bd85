"""Exposure values beside pictures: one number a line, in stops."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from dmef_bench.errors import ManifestError


def read_evs(path: Path, count: int = 3) -> tuple[float, ...]:
    """The stops that a text file states, one a line; as stated, in the file's order.

    Parameters
    ----------
    path : Path
        Windows line ends, tabs and blank lines are fine.
    count : int
        How many there must be.

    Raises
    ------
    ManifestError
        Missing, unreadable, another number of values, or one that is no number.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(
            f"{path}: exposure values cannot be read ({error}). The file holds one EV a line."
        ) from error
    words = text.split()
    try:
        evs = tuple(float(word) for word in words)
    except ValueError as error:
        raise ManifestError(f"{path}: {error}. The file holds one EV a line, in stops.") from error
    return _checked(evs, path, count)


def read_evs_npy(path: Path, count: int = 3) -> tuple[float, ...]:
    """The same from a NumPy file."""
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ManifestError(f"{path}: exposure values cannot be read ({error}).") from error
    return _checked(tuple(float(value) for value in np.ravel(values)), path, count)


def _checked(evs: tuple[float, ...], path: Path, count: int) -> tuple[float, ...]:
    if len(evs) != count:
        raise ManifestError(
            f"{path}: {len(evs)} exposure values for {count} exposures; give one EV each."
        )
    if not all(map(math.isfinite, evs)) or len(set(evs)) != len(evs):
        raise ManifestError(
            f"{path}: exposure values {evs} are not finite and distinct; each exposure has its own."
        )
    return evs
