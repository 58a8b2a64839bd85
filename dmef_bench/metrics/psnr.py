"""Peak signal-to-noise ratio over all channels of 8-bit RGB: ``psnr/rgb8``."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from dmef_bench.metrics.pictures import as_code_pair


def psnr(fused: npt.NDArray[np.generic], ground_truth: npt.NDArray[np.generic]) -> float:
    """Peak signal-to-noise ratio of two pictures, compared as 8-bit codes.

    Parameters
    ----------
    fused, ground_truth : ndarray, shape (H, W, 3)
        RGB, display-encoded; each float32 in [0, 1] or uint8.

    Returns
    -------
    float
        ``10 log10(255**2 / MSE)`` in dB, the mean taken over all pixels and channels at once;
        ``math.inf`` if the codes are identical. No epsilon, no cap.

    Raises
    ------
    ImageContractError
        A picture that breaks the contract, or two sizes.

    Examples
    --------
    >>> black = np.zeros((4, 6, 3), np.uint8)
    >>> round(psnr(black + np.uint8(51), black), 2)
    13.98
    """
    return decibels(*squared_error(fused, ground_truth))


def squared_error(
    fused: npt.NDArray[np.generic], ground_truth: npt.NDArray[np.generic]
) -> tuple[int, int]:
    """Exact sum of squared errors and the number of samples, for the records.

    From these two integers MSE, PSNR and the pooled PSNR of many scenes can be remade without the
    pictures.

    Parameters
    ----------
    fused, ground_truth : ndarray, shape (H, W, 3)
        As for `psnr`.

    Returns
    -------
    sse : int
        Sum over pixels and channels of the squared difference in codes.
    samples : int
        ``3 H W``.

    Raises
    ------
    ImageContractError
        As for `psnr`.

    Examples
    --------
    >>> squared_error(np.zeros((4, 6, 3), np.uint8), np.full((4, 6, 3), 255, np.uint8))
    (4681800, 72)
    """
    codes, truth = as_code_pair(fused, ground_truth)
    # OpenCV 5 hands back the square of a rounded root, some 1e-16 beside the integer; rounding
    # brings the integer back for every sum below 2**50, which is 5 gigapixels black against white.
    return round(cv2.norm(codes, truth, cv2.NORM_L2SQR)), truth.size


def decibels(sse: int, samples: int) -> float:
    """PSNR in dB of a sum of squared errors in 8-bit codes; of many scenes' sums, the pooled PSNR.

    Examples
    --------
    >>> decibels(0, 72)
    inf
    """
    return math.inf if sse == 0 else 10 * math.log10(255**2 * samples / sse)
