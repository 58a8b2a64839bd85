"""Motion between two small grey pictures of one exposure: dense flow, the camera's part, proof."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from dmef_bench.metrics.grey import Grey

Field = npt.NDArray[np.float32]
"""(h, w, 2): x and y, of a place or a shift, in pixels."""

LONG_SIDE_4K = 3840
_GRID_PX = 8
_RANSAC_PX = 1.0
_RANSAC_ROUNDS = 500
_RANSAC_CONFIDENCE = 0.999
# Sensor noise and codec residue are gone at this width; detail of two pixels is not.
_SMOOTHING_PX = 0.7


def dense_flow(first: Grey, second: Grey) -> Field:
    """Where every pixel of ``first`` went in ``second`` (Kroeger et al., DIS, ECCV 2016)."""
    return _dis().calc(np.ascontiguousarray(first), np.ascontiguousarray(second), None)


@cache
def _dis() -> cv2.DISOpticalFlow:
    # The faster presets lose their way in repeated patterns: between two frames of a still
    # pegboard they find up to 44 % of the picture moving, this one 20 %, and mostly 2 to 6 %.
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)


def camera_shift(flow: Field) -> Field:
    """The shift of every pixel under the homography that most of the flow agrees with."""
    height, width = flow.shape[:2]
    rows, columns = np.mgrid[_GRID_PX // 2 : height : _GRID_PX, _GRID_PX // 2 : width : _GRID_PX]
    places = np.stack([columns, rows], axis=-1).reshape(-1, 2).astype(np.float32)
    arrivals = places + flow[rows, columns].reshape(-1, 2)
    cv2.setRNGSeed(0)
    homography, _ = cv2.findHomography(
        places,
        arrivals,
        cv2.RANSAC,
        _RANSAC_PX,
        maxIters=_RANSAC_ROUNDS,
        confidence=_RANSAC_CONFIDENCE,
    )
    if homography is None:
        return np.zeros_like(flow)
    grid = _grid(height, width)
    return cv2.perspectiveTransform(grid, homography).astype(np.float32) - grid


def follow(second: Grey, shift: Field) -> tuple[Grey, npt.NDArray[np.bool_]]:
    """The second picture as seen from the first, and where it covers it."""
    height, width = second.shape
    target = _grid(height, width) + shift
    aligned = cv2.remap(second, target, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    x, y = target[..., 0], target[..., 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return aligned.astype(np.uint8), inside


def unexplained(first: Grey, second: Grey, radius_px_4k: float) -> Grey:
    """How far ``first`` lies outside all that ``second`` holds within a radius, in codes.

    Zero wherever some place that near has the same luminance: edges that are a little out of
    register, and repeated patterns, leave no trace.

    Examples
    --------
    >>> stripes = np.tile(np.array([0, 255], np.uint8), (480, 135))
    >>> int(unexplained(stripes, np.roll(stripes, 1, axis=1), radius_px_4k=12).max())
    0
    """
    radius = radius_px_4k * max(first.shape) / LONG_SIDE_4K
    reach = np.arange(-np.ceil(radius + 0.5), np.ceil(radius + 0.5) + 1)
    # Somewhat more than the radius, because both pictures are sampled at whole pixels.
    near = (np.hypot(*np.meshgrid(reach, reach)) <= radius + 0.75).astype(np.uint8)
    smooth_first = cv2.GaussianBlur(first, (0, 0), _SMOOTHING_PX)
    smooth_second = cv2.GaussianBlur(second, (0, 0), _SMOOTHING_PX)
    below = cv2.subtract(cv2.erode(smooth_second, near), smooth_first)
    above = cv2.subtract(smooth_first, cv2.dilate(smooth_second, near))
    return np.maximum(below, above).astype(np.uint8)


def _grid(height: int, width: int) -> Field:
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.stack([columns, rows], axis=-1)
