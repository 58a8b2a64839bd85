"""Structural similarity of 8-bit RGB in strips, exact and small: ``ssim/wang04-rgb-valid``."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from dmef_bench.errors import ImageContractError, UsageError
from dmef_bench.metrics.pictures import as_code_pair
from dmef_bench.scene import size_text

_WINDOW = 11
_BORDER = _WINDOW // 2
_GAUSSIAN = cv2.getGaussianKernel(_WINDOW, 1.5, cv2.CV_64F)
_C1 = (0.01 * 255) ** 2
_C2 = (0.03 * 255) ** 2
_STRIP = 32  # map rows: at 4K six buffers of 42 rows are 12 MB; twice as many rows are no faster


def ssim(
    fused: npt.NDArray[np.generic],
    ground_truth: npt.NDArray[np.generic],
    *,
    threads: int | None = None,
) -> float:
    """Structural similarity of two pictures, compared as 8-bit codes.

    Eq. 13 of Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to
    structural similarity", TIP 2004: Gaussian window 11 x 11 of sigma 1.5, K1 = 0.01, K2 = 0.03,
    L = 255, population variances, per channel on RGB, no downsampling, only windows wholly inside.

    Parameters
    ----------
    fused, ground_truth : ndarray, shape (H, W, 3)
        RGB, display-encoded; each float32 in [0, 1] or uint8; at least 11 pixels a side.
    threads : int, optional
        How many threads share the strips; the score is the same to the last bit for any number.
        ``min(4, cores)`` if not given, each with 12 MB of buffers at 4K.

    Returns
    -------
    float
        Mean of the three channels' maps, in [-1, 1]; 1 for identical codes.

    Raises
    ------
    ImageContractError
        A picture that breaks the contract, two sizes, or a side below 11 pixels.
    UsageError
        ``threads`` below 1.

    Notes
    -----
    The product of the pictures is never formed. With s = x + y, d = x − y, their blurred means
    ms, md and variances Vs, Vd, and A = ms², B = md²::

        SSIM = (A − B + 2 C1)(Vs − Vd + 2 C2) / ((A + B + 2 C1)(Vs + Vd + 2 C2))

    because 2 μx μy = (A − B) / 2, μx² + μy² = (A + B) / 2, 2 σxy = (Vs − Vd) / 2 and
    σx² + σy² = (Vs + Vd) / 2. The picture is worked through in strips of 32 map rows.

    Examples
    --------
    >>> ramp = np.linspace(0, 1, 16 * 20 * 3, dtype=np.float32).reshape(16, 20, 3)
    >>> ssim(ramp, ramp)
    1.0
    """
    return strip_ssim(*as_code_pair(fused, ground_truth), threads=threads)


def strip_ssim(
    x: npt.NDArray[np.generic],
    y: npt.NDArray[np.generic],
    *,
    threads: int | None = None,
    seen_as: Callable[[npt.NDArray[Any]], npt.NDArray[Any]] | None = None,
) -> float:
    """SSIM of two pictures on a scale of 255, strip by strip, for `ssim` and its relatives.

    Parameters
    ----------
    x, y : ndarray, shape (H, W, 3)
        Two checked pictures of one size.
    threads : int, optional
        As for `ssim`.
    seen_as : callable, optional
        Turns rows (h, W, 3) of either picture into what is compared: uint8 or float32 from 0 to
        255, (h, W) or (h, W, 3), pixel by pixel. Not given, the rows themselves are.

    Returns
    -------
    float
        The mean of all channels' maps.

    Raises
    ------
    ImageContractError
        A side below 11 pixels.
    UsageError
        ``threads`` below 1.
    """
    seen = seen_as or (lambda rows: rows)
    height, width = y.shape[:2]
    if min(height, width) < _WINDOW:
        raise ImageContractError(
            f"The pictures are {size_text((height, width))}; SSIM needs {_WINDOW} pixels a side, "
            "one window."
        )
    rows, columns = height - 2 * _BORDER, width - 2 * _BORDER
    strips = [(top, min(top + _STRIP, rows) + 2 * _BORDER) for top in range(0, rows, _STRIP)]
    lanes = min(_thread_count(threads), len(strips))
    channels = seen(y[:1]).shape[2:]  # (3,), or () where one channel is compared

    def sums_of_lane(lane: int) -> list[float]:
        strip_height = min(_STRIP + 2 * _BORDER, height)
        buffers = np.empty((6, strip_height, width, *channels), np.float32)
        return [
            total
            for top, end in strips[lane::lanes]
            for total in _strip_sums(seen(x[top:end]), seen(y[top:end]), buffers[:, : end - top])
        ]

    # OpenCV keeps each of these small calls on the caller's thread, so lanes are all there is to
    # share out, and its process-wide thread count can stay as it is. fsum rounds once: the order
    # in which lanes add up cannot show.
    if lanes == 1:
        sums = sums_of_lane(0)
    else:
        with ThreadPoolExecutor(lanes) as pool:
            sums = [total for lane in pool.map(sums_of_lane, range(lanes)) for total in lane]
    return math.fsum(sums) / (math.prod(channels) * rows * columns)


def _thread_count(threads: int | None) -> int:
    if threads is None:
        return min(4, os.cpu_count() or 1)
    if threads < 1:
        raise UsageError(f"threads is {threads}; give 1 or more.")
    return threads


def _strip_sums(
    x: npt.NDArray[Any], y: npt.NDArray[Any], buffers: npt.NDArray[np.float32]
) -> tuple[float, float, float]:
    """Sum the SSIM map of each channel over one strip, 0 for those it lacks.

    ``buffers``, six arrays of the strip's shape, are overwritten.
    """
    s, d, ms, md, vs, vd = buffers
    cv2.add(x, y, dst=s, dtype=cv2.CV_32F)
    cv2.subtract(x, y, dst=d, dtype=cv2.CV_32F)
    # Variances ignore a shift. Each channel's own mean, a whole number to keep s exact, saves the
    # digits that float32 would cancel away where a channel is dark or bright throughout.
    shift = tuple(map(round, cv2.mean(s)))
    cv2.subtract(s, shift, dst=s)
    _blur(s, ms)
    _blur(d, md)
    s *= s
    d *= d
    _blur(s, vs)
    _blur(d, vd)
    vs -= np.multiply(ms, ms, out=s)
    cv2.add(ms, shift, dst=ms)
    a = np.multiply(ms, ms, out=ms)
    b = np.multiply(md, md, out=md)
    vd -= b
    numerator = np.subtract(a, b, out=s)
    numerator += np.float32(2 * _C1)
    structure = np.subtract(vs, vd, out=d)
    structure += np.float32(2 * _C2)
    numerator *= structure
    denominator = np.add(a, b, out=a)
    denominator += np.float32(2 * _C1)
    contrast = np.add(vs, vd, out=vs)
    contrast += np.float32(2 * _C2)
    denominator *= contrast
    similarity = np.divide(numerator, denominator, out=numerator)
    first, second, third, _ = cv2.sumElems(similarity[_BORDER:-_BORDER, _BORDER:-_BORDER])
    return first, second, third


def _blur(source: npt.NDArray[np.float32], target: npt.NDArray[np.float32]) -> None:
    # The border rule does not matter: the five pixels it touches are cut away.
    cv2.sepFilter2D(source, -1, _GAUSSIAN, _GAUSSIAN, dst=target, borderType=cv2.BORDER_REFLECT_101)
