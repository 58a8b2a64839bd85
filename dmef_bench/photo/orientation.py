"""The eight EXIF orientations: how pixels lie in a file, and how they are meant to be seen."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy.typing as npt

Array = TypeVar("Array", bound=npt.NDArray[Any])

UPRIGHT = 1

_FLIPS = {
    1: (1, 1),
    2: (1, -1),
    3: (-1, -1),
    4: (-1, 1),
    5: (1, 1),
    6: (1, -1),
    7: (-1, -1),
    8: (-1, 1),
}
"""Steps through rows and columns, after rows and columns have changed places from 5 on."""

_BACK = {6: 8, 8: 6}
"""A quarter turn is undone by the other quarter turn, everything else by itself."""


def turned(picture: Array, orientation: int) -> Array:
    """The picture as it is meant to be seen: a view, nothing is copied.

    Parameters
    ----------
    picture : ndarray, shape (H, W, ...)
        As coded.
    orientation : int
        1 to 8, the EXIF tag 274 (CIPA DC-008, 4.6.5.1).

    Examples
    --------
    >>> import numpy as np
    >>> turned(np.array([[1, 2], [3, 4]]), 6).tolist()  # a quarter turn clockwise
    [[3, 1], [4, 2]]
    """
    standing = picture.swapaxes(0, 1) if swaps_sides(orientation) else picture
    rows, columns = _FLIPS[orientation]
    return standing[::rows, ::columns]  # type: ignore[return-value]


def as_coded(upright: Array, orientation: int) -> Array:
    """The view of an upright picture that runs as the file's own pixels do."""
    return turned(upright, _BACK.get(orientation, orientation))


def swaps_sides(orientation: int) -> bool:
    """Whether width and height change places."""
    return orientation >= 5


def turned_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """(height, width) as seen, of a (height, width) as coded."""
    height, width = size
    return (width, height) if swaps_sides(orientation) else (height, width)
