"""Bicubic resizing that widens its kernel when it shrinks, in float64, mirrored at the edges."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from dmef_bench.errors import UsageError

Float64 = npt.NDArray[np.float64]


def resize_bicubic(values: Float64, size: tuple[int, int]) -> Float64:
    """Resize by cubic convolution, a = -1/2, with antialiasing where it shrinks.

    Parameters
    ----------
    values : ndarray, shape (H, W), float64
        Any range; sharp edges overshoot.
    size : (height, width)
        Of the result.

    Returns
    -------
    ndarray, shape ``size``, float64

    Raises
    ------
    UsageError
        A side below 1.

    References
    ----------
    Keys, "Cubic convolution interpolation for digital image processing", IEEE TASSP 29(6), 1981,
    eq. 4; half-pixel centres, edges mirrored with the edge itself.

    Examples
    --------
    >>> resize_bicubic(np.full((4, 6), 0.25), (2, 3))
    array([[0.25, 0.25, 0.25],
           [0.25, 0.25, 0.25]])
    """
    if min(size) < 1 or min(values.shape) < 1:
        raise UsageError(f"A picture of {values.shape} cannot become one of {size}.")
    rows, columns = (_weights(old, new) for old, new in zip(values.shape, size, strict=True))
    # Shrinking first would be cheaper one way and dearer the other; both orders agree to rounding.
    return np.asarray((columns @ (rows @ values).T).T)


def _weights(old: int, new: int) -> sparse.csr_array:
    """How much of every old sample goes into every new one, shape (new, old)."""
    stretch = max(1.0, old / new)
    centres = (np.arange(new) + 0.5) * old / new - 0.5
    reach = int(np.ceil(2 * stretch))
    places = np.floor(centres)[:, None] + np.arange(-reach, reach + 2)
    shares = _cubic((centres[:, None] - places) / stretch)
    shares /= shares.sum(axis=1, keepdims=True)
    mirrored = places.astype(np.intp) % (2 * old)
    mirrored = np.minimum(mirrored, 2 * old - 1 - mirrored)
    line = np.repeat(np.arange(new), places.shape[1])
    # Mirrored places may coincide; a sparse array adds them up.
    return sparse.csr_array((shares.ravel(), (line, mirrored.ravel())), shape=(new, old))


def _cubic(distance: Float64) -> Float64:
    """Keys's kernel with a = -1/2: third order, 0 from a distance of 2 on."""
    x = np.abs(distance)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))
