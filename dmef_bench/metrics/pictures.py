"""The one door for pictures: what the metrics compare are 8-bit codes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dmef_bench.scene import check_image, check_layout, to_uint8

Codes = npt.NDArray[np.uint8]
"""(H, W, 3), RGB, display-encoded, uint8."""

_BAND = 64  # rows rounded at once: a band and its float32 temporaries stay small and in cache


def as_codes(
    picture: npt.NDArray[np.generic], *, name: str, size: tuple[int, int] | None = None
) -> Codes:
    """Bring a picture to the 8-bit codes a user would receive.

    Parameters
    ----------
    picture : ndarray, shape (H, W, 3)
        RGB, display-encoded: float32 in [0, 1], rounded half up (``floor(v * 255 + 0.5)``), or
        uint8, handed back untouched.
    name : str
        What to call the picture in the message.
    size : (height, width), optional
        The size it must have.

    Returns
    -------
    ndarray, shape (H, W, 3), uint8

    Raises
    ------
    ImageContractError
        Another type (float64 too), shape or size; NaN; a value outside [0, 1].

    Examples
    --------
    >>> as_codes(np.full((1, 1, 3), 0.5, np.float32), name="grey")
    array([[[128, 128, 128]]], dtype=uint8)
    """
    check_layout(picture, name=name, dtypes=(np.float32, np.uint8), size=size)
    if picture.dtype == np.uint8:
        return picture.view(np.uint8)
    image = check_image(picture, name=name)
    codes = np.empty(image.shape, np.uint8)
    for top in range(0, len(image), _BAND):
        codes[top : top + _BAND] = to_uint8(image[top : top + _BAND])
    return codes


def as_code_pair(
    fused: npt.NDArray[np.generic], ground_truth: npt.NDArray[np.generic]
) -> tuple[Codes, Codes]:
    """`as_codes` of a fused picture and its ground truth, which must be of one size."""
    truth = as_codes(ground_truth, name="ground_truth")
    return as_codes(fused, name="fused", size=(truth.shape[0], truth.shape[1])), truth
