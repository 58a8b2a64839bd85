"""Marks on pictures for people: what is burnt out, what is black, what moves."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dmef_bench.scene import Encoded, to_uint8

Codes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

BURNT, BLACK, MOVES = (213, 94, 0), (0, 114, 178), (240, 228, 66)
"""Vermilion, blue and yellow of Okabe and Ito's palette, which colour-blind people tell apart."""


def burnt_out(picture: Encoded) -> Mask:
    """Pixels with a channel at the highest code: their colour is lost.

    Parameters
    ----------
    picture : ndarray, shape (H, W, 3), uint8 or uint16
        RGB.
    """
    top = np.iinfo(picture.dtype).max
    # Channel by channel: a reduction over the last axis takes ten times as long.
    red, green, blue = np.moveaxis(picture, 2, 0)
    return (red == top) | (green == top) | (blue == top)


def black(picture: Encoded) -> Mask:
    """Pixels with all channels at 0: nothing is to be seen.

    Parameters
    ----------
    picture : ndarray, shape (H, W, 3), uint8 or uint16
        RGB.
    """
    red, green, blue = np.moveaxis(picture, 2, 0)
    return (red | green | blue) == 0


def mark_clipped(picture: Encoded) -> Codes:
    """A copy in which burnt-out pixels are vermilion and black ones blue.

    Parameters
    ----------
    picture : ndarray, shape (H, W, 3), uint8 or uint16
        RGB.

    Returns
    -------
    ndarray of the same shape, uint8
    """
    marked = to_uint8(picture).copy()
    marked[burnt_out(picture)] = BURNT
    marked[black(picture)] = BLACK
    return marked


def mark_motion(picture: Encoded, moving: Mask) -> Codes:
    """A copy that is grey and dim where nothing moves, and yellow over its own light where it does.

    Parameters
    ----------
    picture : ndarray, shape (H, W, 3), uint8 or uint16
        RGB.
    moving : ndarray, shape (H, W), bool
        From `dmef_bench.metrics.motion_mask.moving_mask`.

    Returns
    -------
    ndarray of the same shape, uint8
    """
    light = to_uint8(picture).max(axis=2).astype(np.float32)[..., None]
    tint = np.where(moving[..., None], np.array(MOVES, np.float32) / 255, np.float32(0.5))
    # Lifted, so that what moves in the dark can be seen as well.
    lifted = np.where(moving[..., None], 80 + light * (175 / 255), light)
    return (lifted * tint + 0.5).astype(np.uint8)
