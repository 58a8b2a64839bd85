"""Which pixels of a stack's reference moved, from the exposures alone."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from dmef_bench.errors import ImageContractError
from dmef_bench.metrics.grey import Grey, grey_codes, render
from dmef_bench.metrics.optical_flow import (
    LONG_SIDE_4K,
    camera_shift,
    dense_flow,
    follow,
    unexplained,
)
from dmef_bench.metrics.pictures import Codes
from dmef_bench.scene import Encoded, ExposureStack, Image, size_text, to_uint8

MOVING_PX_4K = 12.0
"""A pixel that departs from the camera's motion by more than this moves."""
VISIBLE_CODES = 8
"""A difference larger than this, after the exposures were matched, can be seen."""
DILATION_PX_4K = 8.0
"""How far the mask grows beyond what moved: ghosts begin at its rim."""
_LONG_SIDE = 960
_SHORTEST_SIDE = 16


def moving_mask(stack: ExposureStack) -> npt.NDArray[np.bool_]:
    """Mark the pixels that moved between the reference and the exposure before or after it.

    The exposures are shrunk to 960 pixels on the long side; of each pair the darker is rendered
    like the brighter, so that both are clipped alike, and both are made grey; dense flow less its
    homography is the motion beyond the camera's. A pixel moved if that exceeds 12 pixels at 4K,
    and if the pixel also differs by more than 8 codes from everything the neighbour shows within
    as many pixels of the place to which the camera's motion leads: flow alone is arbitrary in
    blank sky and white walls, of which a bright exposure is full. The marks of both neighbours
    are joined and grown by 8 pixels at 4K. All lengths are relative to the long side.

    Parameters
    ----------
    stack : ExposureStack
        Darkest to brightest, in the order they were taken.

    Returns
    -------
    ndarray, shape (H, W), bool
        All False where the reference has no neighbour.

    Raises
    ------
    ImageContractError
        Exposures too small, or too narrow, for flow: below 16 pixels a side once shrunk.
    """
    exposures = stack.images if stack.encoded is None else stack.encoded
    small = [_shrink(exposure) for exposure in exposures]
    if min(small[0].shape[:2]) < _SHORTEST_SIDE:
        raise ImageContractError(
            f"The exposures are {size_text(stack.size)}; motion needs {_SHORTEST_SIDE} pixels a "
            f"side where the long side has at most {_LONG_SIDE}."
        )
    reference = stack.reference
    moved = np.zeros(small[reference].shape[:2], np.uint8)
    for neighbour in (reference - 1, reference + 1):
        if 0 <= neighbour < len(small):
            moved |= _moved(*_alike(small, reference, neighbour))
    radius = DILATION_PX_4K * max(moved.shape) / LONG_SIDE_4K
    grown = cv2.dilate(moved, _disc(radius))
    height, width = stack.size
    return cv2.resize(grown, (width, height), interpolation=cv2.INTER_NEAREST).astype(bool)


def _shrink(exposure: Encoded | Image) -> Codes:
    height, width = exposure.shape[:2]
    scale = _LONG_SIDE / max(height, width)
    if scale < 1:
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        exposure = cv2.resize(exposure, size, interpolation=cv2.INTER_AREA)
    return to_uint8(exposure)


def _alike(exposures: list[Codes], reference: int, neighbour: int) -> tuple[Grey, Grey]:
    """The reference and its neighbour in grey, the darker of them rendered like the brighter.

    The other way round, what the brighter one has clipped would be structure on one side only.
    """
    first, second = exposures[reference], exposures[neighbour]
    if reference < neighbour:
        first = render(first, second)
    else:
        second = render(second, first)
    return grey_codes(first), grey_codes(second)


def _moved(first: Grey, second: Grey) -> npt.NDArray[np.uint8]:
    """1 where a pixel of ``first`` moves and shows it."""
    flow = dense_flow(first, second)
    camera = camera_shift(flow)
    departure = np.hypot(*np.moveaxis(flow - camera, 2, 0)) * (LONG_SIDE_4K / max(first.shape))
    aligned, inside = follow(second, camera)
    visible = unexplained(first, aligned, MOVING_PX_4K) > VISIBLE_CODES
    return ((departure > MOVING_PX_4K) & inside & visible).astype(np.uint8)


def _disc(radius: float) -> npt.NDArray[np.uint8]:
    reach = np.arange(-np.floor(radius), np.floor(radius) + 1)
    return (np.hypot(*np.meshgrid(reach, reach)) <= radius).astype(np.uint8)
