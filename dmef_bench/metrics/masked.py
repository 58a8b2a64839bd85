"""PSNR where fusion earns its keep: ``psnr/rgb8-clipped`` and ``psnr/rgb8-moving``."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from dmef_bench.errors import ImageContractError
from dmef_bench.metrics.metric import Measurement
from dmef_bench.metrics.motion_mask import moving_mask
from dmef_bench.metrics.pictures import as_code_pair
from dmef_bench.metrics.psnr import decibels
from dmef_bench.scene import ExposureStack, size_text

Mask = npt.NDArray[np.bool_]
"""(H, W)."""

FEWEST_PIXELS = 1000
"""Fewer than this say more about chance than about a method."""


def lost_mask(stack: ExposureStack) -> Mask:
    """Mark the pixels that the reference exposure lost: any channel at its maximum, or all at zero.

    Parameters
    ----------
    stack : ExposureStack
        Its reference counts, as stored.

    Returns
    -------
    ndarray, shape (H, W), bool

    Examples
    --------
    >>> reference = np.array([[[9, 255, 9], [0, 0, 0], [0, 1, 0], [254, 254, 254]]], np.uint8)
    >>> lost_mask(ExposureStack((reference,), None, reference=0))
    array([[ True,  True, False, False]])
    """
    exposures = stack.images if stack.encoded is None else stack.encoded
    reference = exposures[stack.reference]
    most = {"uint8": 255, "uint16": 65535, "float32": 1}[reference.dtype.name]
    # Channel by channel: a reduction over the short last axis is ten times slower.
    red, green, blue = (reference[..., channel] for channel in range(3))
    clipped = (red == most) | (green == most) | (blue == most)
    return clipped | ((red == 0) & (green == 0) & (blue == 0))


def psnr_clipped(
    fused: npt.NDArray[np.generic], ground_truth: npt.NDArray[np.generic], stack: ExposureStack
) -> Measurement:
    """PSNR over the pixels that the reference exposure lost, which only the others can restore.

    Parameters
    ----------
    fused, ground_truth : ndarray, shape (H, W, 3)
        RGB, display-encoded; each float32 in [0, 1] or uint8.
    stack : ExposureStack
        The exposures, of the same size.

    Returns
    -------
    Measurement
        dB over the pixels of `lost_mask`, and their sums; no value for fewer than 1,000 of them.

    Raises
    ------
    ImageContractError
        A picture that breaks the contract, or two sizes.
    """
    return _psnr_over(lost_mask(stack), "psnr-clipped: the reference lost", fused, ground_truth)


def psnr_moving(
    fused: npt.NDArray[np.generic], ground_truth: npt.NDArray[np.generic], stack: ExposureStack
) -> Measurement:
    """PSNR over the pixels that moved, where careless fusion leaves ghosts.

    Parameters
    ----------
    fused, ground_truth : ndarray, shape (H, W, 3)
        RGB, display-encoded; each float32 in [0, 1] or uint8.
    stack : ExposureStack
        The exposures, of the same size, in the order they were taken.

    Returns
    -------
    Measurement
        dB over the pixels of `moving_mask`, and their sums; no value for fewer than 1,000 of them.

    Raises
    ------
    ImageContractError
        A picture that breaks the contract, or two sizes.
    """
    return _psnr_over(moving_mask(stack), "psnr-moving: there moved", fused, ground_truth)


def _psnr_over(
    mask: Mask,
    what: str,
    fused: npt.NDArray[np.generic],
    ground_truth: npt.NDArray[np.generic],
) -> Measurement:
    codes, truth = as_code_pair(fused, ground_truth)
    if mask.shape != truth.shape[:2]:
        raise ImageContractError(
            f"The exposures are {size_text(mask.shape)}, the ground truth is "
            f"{size_text(truth.shape[:2])}; measure at the native size."
        )
    pixels = int(np.count_nonzero(mask))
    # Rounded as in `squared_error`: OpenCV hands back the square of a root.
    sse = round(cv2.norm(codes, truth, cv2.NORM_L2SQR, mask.view(np.uint8)))
    if pixels < FEWEST_PIXELS:
        reason = f"{what} {pixels} pixels, fewer than {FEWEST_PIXELS:,}."
        return Measurement(None, reason, sse=sse, samples=3 * pixels)
    return Measurement(decibels(sse, 3 * pixels), sse=sse, samples=3 * pixels)
