"""Row bands: a picture worked on a few rows at a time, by as many threads as OpenCV may use."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

import cv2

Item = TypeVar("Item")
Made = TypeVar("Made")

# What a step makes on its way stays in the cache: a 4K disagreement of two pictures takes 39 ms
# of one core instead of 160, with 32 to 128 rows alike.
BAND_ROWS = 64


def at_once(work: Callable[[Item], Made], items: Iterable[Item]) -> list[Made]:
    """What ``work`` makes of each item; what it raises is raised here."""
    with ThreadPoolExecutor(max(1, cv2.getNumThreads())) as threads:
        return list(threads.map(work, items))


def in_bands(height: int, work: Callable[[slice], None]) -> None:
    """Call ``work`` with every band of rows of a picture.

    Examples
    --------
    >>> import numpy as np
    >>> squares = np.empty(200)
    >>> def square(rows):
    ...     squares[rows] = np.arange(rows.start, rows.stop) ** 2
    >>> in_bands(200, square)
    >>> bool((squares == np.arange(200) ** 2).all())
    True
    """
    edges = [*range(0, height, BAND_ROWS), height]
    at_once(work, (slice(top, bottom) for top, bottom in pairwise(edges)))


def widened(rows: slice, reach: int) -> tuple[slice, slice]:
    """Rows with those up to ``reach`` beside them, and where among these the rows lie.

    Examples
    --------
    >>> widened(slice(64, 128), 3)
    (slice(61, 131, None), slice(3, 67, None))
    >>> widened(slice(0, 64), 3)
    (slice(0, 67, None), slice(0, 64, None))
    """
    top = max(rows.start - reach, 0)
    return slice(top, rows.stop + reach), slice(rows.start - top, rows.stop - top)
