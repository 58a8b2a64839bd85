"""Measures of luma alone: ``psnr/y601-studio`` and ``ssim/wang04-y601-studio-valid``."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from dmef_bench.metrics.pictures import as_code_pair
from dmef_bench.metrics.ssim import strip_ssim

_WEIGHTS = np.array([[65.481, 128.553, 24.966]]) / 255
"""Of the codes of R, G, B; a white pixel gets 219."""
_STRIP = 64  # rows: the float32 differences of a 4K strip are 3 MB


def psnr_y(fused: npt.NDArray[np.generic], ground_truth: npt.NDArray[np.generic]) -> float:
    """Peak signal-to-noise ratio of two pictures' luma: ``psnr/y601-studio``.

    ``Y = 16 + 65.481 R + 128.553 G + 24.966 B`` of ITU-R BT.601 in studio swing, with R, G, B the
    8-bit codes over 255; not rounded, nothing cut off at the border, peak 255. It is what the
    restoration field calls "PSNR on Y", and lies above `psnr`: the swing alone, 219 codes
    measured against a peak of 255, adds 1.32 dB.

    Parameters
    ----------
    fused, ground_truth : ndarray, shape (H, W, 3)
        RGB, display-encoded; each float32 in [0, 1] or uint8.

    Returns
    -------
    float
        dB; ``math.inf`` where the lumas are equal.

    Raises
    ------
    ImageContractError
        A picture that breaks the contract, or two sizes.

    Examples
    --------
    >>> black = np.zeros((4, 6, 3), np.uint8)
    >>> round(psnr_y(~black, black), 2)  # 20 log10(255 / 219)
    1.32
    """
    codes, truth = as_code_pair(fused, ground_truth)
    strips = (slice(top, top + _STRIP) for top in range(0, len(truth), _STRIP))
    sse = math.fsum(_squared_error(codes[rows], truth[rows]) for rows in strips)
    samples = truth.shape[0] * truth.shape[1]
    return math.inf if sse == 0 else 10 * math.log10(255**2 * samples / sse)


def ssim_y(
    fused: npt.NDArray[np.generic],
    ground_truth: npt.NDArray[np.generic],
    *,
    threads: int | None = None,
) -> float:
    """Structural similarity of two pictures' luma: ``ssim/wang04-y601-studio-valid``.

    Luma as in `psnr_y`, not rounded; window, constants (L = 255) and borders as in
    `dmef_bench.metrics.ssim`.

    Parameters
    ----------
    fused, ground_truth : ndarray, shape (H, W, 3)
        RGB, display-encoded; each float32 in [0, 1] or uint8; at least 11 pixels a side.
    threads : int, optional
        As for `dmef_bench.metrics.ssim`.

    Returns
    -------
    float
        Mean of the map, in [-1, 1].

    Raises
    ------
    ImageContractError
        A picture that breaks the contract, two sizes, or a side below 11 pixels.
    UsageError
        ``threads`` below 1.
    """
    return strip_ssim(*as_code_pair(fused, ground_truth), threads=threads, seen_as=_luma)


def _luma(codes: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Y of (h, W, 3) codes; (h, W)."""
    return 16 + cv2.transform(codes.astype(np.float32), _WEIGHTS)


def _squared_error(codes: npt.NDArray[np.uint8], truth: npt.NDArray[np.uint8]) -> float:
    # Luma is linear: that of the differences is the difference of lumas, and the 16 drops out.
    difference = cv2.transform(cv2.subtract(codes, truth, dtype=cv2.CV_32F), _WEIGHTS)
    return cv2.norm(difference, cv2.NORM_L2SQR)
