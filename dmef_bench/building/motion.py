"""What happens between two frames of a clip: the camera's motion, the subject's, the light's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]
"""(h, w), uint8: a small frame's luminance."""

LONG_SIDE_4K = 3840
_GRID_PX = 8
_RANSAC_PX = 1.0
_RANSAC_ROUNDS = 500
_RANSAC_CONFIDENCE = 0.999
# Sensor noise and codec residue are gone at this width; detail of two pixels is not.
_SMOOTHING_PX = 0.7


@dataclass(frozen=True)
class Motion:
    """From one frame to a later one; lengths in pixels of a picture 3840 wide, rest in fractions.

    Parameters
    ----------
    global_px_4k : float
        Median shift of the homography that carries one frame onto the other: the camera.
    moving4, moving12 : float
        Pixels whose flow departs from the homography by more than 4, and more than 12.
    visible : float
        Pixels that move and show it: see `measure_motion`.
    residual_p95_px_4k : float
        95th percentile of the departure.
    drift : float
        Change of mean luminance over the pixels that do not move, of full scale.
    """

    global_px_4k: float
    moving4: float
    moving12: float
    visible: float
    residual_p95_px_4k: float
    drift: float


def measure_motion(
    first: Grey, second: Grey, *, moving_px_4k: float = 12.0, codes: int = 8
) -> Motion:
    """Separate the camera's motion from that of the subject.

    Dense flow alone sees motion in flat sky, in repeated patterns and in parallax, where one
    place looks like the next. A pixel therefore counts as visibly moving only if it also differs
    from everything within that distance of the place the camera's motion leads to.

    Parameters
    ----------
    first, second : ndarray, shape (h, w), uint8
        Small frames; 480 pixels on the long side is what the thresholds were fitted on.
    moving_px_4k : float
        Departure from the camera's motion above which a pixel moves, at 4K.
    codes : int
        A visible difference is larger than this many of 255 codes.

    Returns
    -------
    Motion
        From ``first`` to ``second``.
    """
    to_4k = LONG_SIDE_4K / max(first.shape)
    flow = _flow().calc(first, second, None)
    camera = _camera_shift(flow)
    residual = np.hypot(*np.moveaxis(flow - camera, 2, 0)) * to_4k
    aligned, inside = _follow(second, camera)
    moving = residual > moving_px_4k
    visible = moving & inside & (unexplained(first, aligned, moving_px_4k) > codes)
    still = inside & ~moving
    ground = still if still.mean() >= 0.1 else inside
    drift = 0.0
    if ground.any():
        drift = abs(float(aligned[ground].mean()) - float(first[ground].mean())) / 255
    return Motion(
        global_px_4k=float(np.median(np.hypot(*np.moveaxis(camera, 2, 0)))) * to_4k,
        moving4=float(np.mean(residual > 4)),
        moving12=float(np.mean(residual > 12)),
        visible=float(np.mean(visible)),
        residual_p95_px_4k=float(np.percentile(residual, 95)),
        drift=drift,
    )


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


@contextmanager
def one_thread() -> Iterator[None]:
    """OpenCV on one thread: workers share the machine, and sums keep their order."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


@cache
def _flow() -> cv2.DISOpticalFlow:
    # The faster presets lose their way in repeated patterns: between two frames of a still
    # pegboard they find up to 44 % of the picture moving, this one 20 %, and mostly 2 to 6 %.
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)


def _camera_shift(flow: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(h, w, 2) shift of every pixel under the homography that most of the flow agrees with."""
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


def _follow(second: Grey, camera: npt.NDArray[np.float32]) -> tuple[Grey, npt.NDArray[np.bool_]]:
    """The second frame as seen from the first, and where it covers it."""
    height, width = second.shape
    target = _grid(height, width) + camera
    aligned = cv2.remap(second, target, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    x, y = target[..., 0], target[..., 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return aligned.astype(np.uint8), inside


def _grid(height: int, width: int) -> npt.NDArray[np.float32]:
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.stack([columns, rows], axis=-1)
