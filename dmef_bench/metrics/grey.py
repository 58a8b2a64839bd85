"""The pictures in which structure and motion are looked for: grey, and of one exposure."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from dmef_bench.metrics.pictures import Codes
from dmef_bench.scene import Encoded, ExposureStack, Image, to_uint8

Grey = npt.NDArray[np.uint8]
"""(H, W), uint8: 0.299 R + 0.587 G + 0.114 B of the display-encoded codes, rounded."""

_BAND = 64  # rows converted at once, so that no second full-size float picture is made


def stack_codes(stack: ExposureStack) -> tuple[Codes, ...]:
    """The 8-bit codes of every exposure, in the stack's order."""
    exposures = stack.images if stack.encoded is None else stack.encoded
    return tuple(_codes(exposure) for exposure in exposures)


def _codes(exposure: Encoded | Image) -> Codes:
    if exposure.dtype == np.uint8:
        return exposure.view(np.uint8)
    codes = np.empty(exposure.shape, np.uint8)
    for top in range(0, len(codes), _BAND):
        codes[top : top + _BAND] = to_uint8(exposure[top : top + _BAND])
    return codes


def grey_codes(codes: Codes) -> Grey:
    """The luma of a picture's 8-bit codes."""
    return cv2.cvtColor(codes, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)


def render(source: Codes, target: Codes) -> Codes:
    """Show one exposure as if it had been taken like another.

    Each channel passes the rising tone curve that gives it the other's histogram. Two exposures
    differ by such curves wherever nothing moved, whatever the camera's response; luma alone would
    not do, because a colour of which one channel is clipped changes with exposure.

    Parameters
    ----------
    source, target : ndarray, shape (H, W, 3), uint8
        Two exposures of a scene.

    Returns
    -------
    ndarray, shape (H, W, 3), uint8
        What the source has clipped becomes the median of what the target shows instead.

    Examples
    --------
    >>> ramp = np.arange(0, 120, dtype=np.uint8).reshape(5, 8, 3)
    >>> bool((render(ramp, 2 * ramp) == 2 * ramp).all())
    True
    """
    curves = [_curve(source, target, channel) for channel in range(3)]
    return cv2.LUT(source, np.stack(curves, axis=-1)[None]).astype(np.uint8, copy=False)


def _curve(source: Codes, target: Codes, channel: int) -> npt.NDArray[np.uint8]:
    shown, wanted = (
        cv2.calcHist([picture], [channel], None, [256], [0, 256]).ravel().astype(np.float64)
        for picture in (source, target)
    )
    # The middle of a code's own pixels, not their end, finds the code they meet on the other side.
    ranks = (np.cumsum(shown) - shown / 2) / shown.sum()
    found = np.searchsorted(np.cumsum(wanted) / wanted.sum(), ranks)
    return np.minimum(found, 255).astype(np.uint8)
