"""What happens between two frames of a clip: the camera's motion, the subject's, the light's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np

from dmef_bench.metrics.grey import Grey
from dmef_bench.metrics.optical_flow import (
    LONG_SIDE_4K,
    camera_shift,
    dense_flow,
    follow,
    unexplained,
)


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
    flow = dense_flow(first, second)
    camera = camera_shift(flow)
    residual = np.hypot(*np.moveaxis(flow - camera, 2, 0)) * to_4k
    aligned, inside = follow(second, camera)
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


@contextmanager
def one_thread() -> Iterator[None]:
    """OpenCV on one thread: workers share the machine, and sums keep their order."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
