"""Which parts of a scene are worth a look: where errors are large, methods differ, things move."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from dmef_bench.errors import ImageContractError
from dmef_bench.metrics.motion_mask import moving_mask
from dmef_bench.report.comparison import Codes, Window
from dmef_bench.scene import ExposureStack

_STEP = 16
"""Windows start at multiples of so many pixels."""

Weights = npt.NDArray[np.float32]


def telling_windows(
    truth: Codes, fused: Mapping[str, Codes], stack: ExposureStack, side: int
) -> tuple[Window, ...]:
    """Up to three windows; of two that share more than half of themselves one is shown.

    Parameters
    ----------
    truth : ndarray, shape (H, W, 3), uint8
        RGB.
    fused : mapping of str to ndarray
        Of the same size, the best method first.
    stack : ExposureStack
        Where motion is looked for.
    side : int
        Pixels of a window's side; smaller pictures are shown whole.

    Returns
    -------
    tuple of Window
        Where the error of the median method is largest; where methods differ most; where the
        scene moves most. A scene too small for optical flow has no window of motion.
    """
    windows: list[Window] = []
    for weights, why in _reasons(truth, fused, stack):
        window = densest(weights, side, why)
        near = next((n for n, other in enumerate(windows) if _shared(window, other) > 0.5), None)
        if near is None:
            windows.append(window)
        else:
            windows[near] = replace(windows[near], why=f"{windows[near].why}, and {why}")
    return tuple(windows)


def _reasons(
    truth: Codes, fused: Mapping[str, Codes], stack: ExposureStack
) -> Iterator[tuple[Weights, str]]:
    names = list(fused)
    middle = names[len(names) // 2]
    yield _apart(fused[middle], truth), f"largest error of {middle}"
    if len(names) > 1:
        yield _spread(fused), "methods differ most"
    try:
        moving = moving_mask(stack)
    except ImageContractError:  # too small for flow
        return
    if moving.any():
        yield moving.astype(np.float32), "most motion"


def _apart(picture: Codes, other: Codes) -> Weights:
    """Mean absolute difference over the channels, in codes."""
    return cv2.absdiff(picture, other).mean(axis=2, dtype=np.float32)


def _spread(fused: Mapping[str, Codes]) -> Weights:
    """How far the brightest and the darkest answer lie apart, mean over the channels."""
    first, *others = fused.values()
    low, high = first.copy(), first.copy()
    for picture in others:
        np.minimum(low, picture, out=low)
        np.maximum(high, picture, out=high)
    return _apart(high, low)


def densest(weights: Weights, side: int, why: str) -> Window:
    """The window that holds most; the first of equals, from the top left."""
    height, width = (min(side, length) for length in weights.shape)
    sums = cv2.integral(weights.astype(np.float64))
    held = (
        sums[height:, width:]
        - sums[:-height, width:]
        - sums[height:, :-width]
        + sums[:-height, :-width]
    )[::_STEP, ::_STEP]
    top, left = np.unravel_index(int(held.argmax()), held.shape)
    return Window(int(left) * _STEP, int(top) * _STEP, width, height, why)


def _shared(one: Window, other: Window) -> float:
    """Share of a window that lies in another of the same size."""
    across = one.width - abs(one.left - other.left)
    down = one.height - abs(one.top - other.top)
    return max(across, 0) * max(down, 0) / (one.width * one.height)


def window_at(left: int, top: int, size: tuple[int, ...], side: int) -> Window:
    """The chosen window, moved back inside the picture where it would reach out of it."""
    height, width = (min(side, length) for length in size)
    return Window(min(left, size[1] - width), min(top, size[0] - height), width, height, "chosen")
