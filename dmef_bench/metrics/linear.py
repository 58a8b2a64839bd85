"""Measures of linear radiance, as it is and through the mu-law: PSNR and SSIM of each."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from dmef_bench.errors import ImageContractError
from dmef_bench.metrics.ssim import strip_ssim
from dmef_bench.metrics.tonemap import Radiance, mu_law
from dmef_bench.scene import check_layout

_STRIP = 64  # rows: the float32 copies of a 4K strip are 3 MB each


def psnr_l(fused: npt.NDArray[np.generic], ground_truth: npt.NDArray[np.generic]) -> float:
    """Peak signal-to-noise ratio of two radiances, not quantised, peak 1: ``psnr/linear``.

    Parameters
    ----------
    fused, ground_truth : ndarray, shape (H, W, 3), float32
        Linear radiance, RGB; both are clipped to [0, 1].

    Returns
    -------
    float
        dB; ``math.inf`` where the clipped radiances are equal.

    Raises
    ------
    ImageContractError
        Another type, shape or size, or NaN.

    Examples
    --------
    >>> dark = np.zeros((4, 6, 3), np.float32)
    >>> round(psnr_l(dark + np.float32(0.1), dark), 4)
    20.0
    """
    return _psnr_of(lambda radiance: np.clip(radiance, 0, 1), fused, ground_truth)


def psnr_mu(fused: npt.NDArray[np.generic], ground_truth: npt.NDArray[np.generic]) -> float:
    """Peak signal-to-noise ratio after the mu-law, not quantised, peak 1: ``psnr/mu5000``.

    Parameters, result and errors are those of `psnr_l`; both sides pass `mu_law` first.

    Examples
    --------
    >>> dark = np.zeros((4, 6, 3), np.float32)
    >>> round(psnr_mu(dark + np.float32(0.01), dark), 2)
    6.71
    """
    return _psnr_of(mu_law, fused, ground_truth)


def ssim_mu(
    fused: npt.NDArray[np.generic],
    ground_truth: npt.NDArray[np.generic],
    *,
    threads: int | None = None,
) -> float:
    """Structural similarity of 255 T(h), not rounded: ``ssim/wang04-mu5000-valid``.

    Window, constants and borders are those of `dmef_bench.metrics.ssim`.

    Parameters
    ----------
    fused, ground_truth : ndarray, shape (H, W, 3), float32
        As for `psnr_l`; at least 11 pixels a side.
    threads : int, optional
        As for `dmef_bench.metrics.ssim`.

    Returns
    -------
    float
        Mean of the three channels' maps, in [-1, 1].

    Raises
    ------
    ImageContractError
        As for `psnr_l`, or a side below 11 pixels.
    UsageError
        ``threads`` below 1.
    """
    pair = _radiance_pair(fused, ground_truth)
    return strip_ssim(*pair, threads=threads, seen_as=lambda rows: mu_law(rows) * np.float32(255))


def ssim_l(
    fused: npt.NDArray[np.generic],
    ground_truth: npt.NDArray[np.generic],
    *,
    threads: int | None = None,
) -> float:
    """Structural similarity of 255 h, not rounded: ``ssim/wang04-linear-valid``.

    What the authors of HDR-Transformer and SCTNet print as SSIM-l. Parameters, result and errors
    are those of `ssim_mu`; both sides are clipped to [0, 1] instead of passing the mu-law.
    """
    pair = _radiance_pair(fused, ground_truth)
    return strip_ssim(
        *pair, threads=threads, seen_as=lambda rows: np.clip(rows, 0, 1) * np.float32(255)
    )


def _psnr_of(
    seen_as: Callable[[Radiance], Radiance],
    fused: npt.NDArray[np.generic],
    ground_truth: npt.NDArray[np.generic],
) -> float:
    radiance, truth = _radiance_pair(fused, ground_truth)
    sse = math.fsum(
        cv2.norm(
            seen_as(radiance[top : top + _STRIP]),
            seen_as(truth[top : top + _STRIP]),
            cv2.NORM_L2SQR,
        )
        for top in range(0, len(truth), _STRIP)
    )
    return math.inf if sse == 0 else 10 * math.log10(truth.size / sse)


def _radiance_pair(
    fused: npt.NDArray[np.generic], ground_truth: npt.NDArray[np.generic]
) -> tuple[Radiance, Radiance]:
    truth = _check_radiance(ground_truth, name="ground_truth")
    return _check_radiance(fused, name="fused", size=(truth.shape[0], truth.shape[1])), truth


def _check_radiance(
    radiance: npt.NDArray[np.generic], *, name: str, size: tuple[int, int] | None = None
) -> Radiance:
    if isinstance(radiance, np.ndarray) and radiance.dtype in (np.uint8, np.uint16):
        raise ImageContractError(
            f"{name} is {radiance.dtype}, which is display-encoded; linear radiance is float32."
        )
    check_layout(radiance, name=name, dtypes=(np.float32,), size=size)
    if np.isnan(radiance.min()):  # infinity passes: it is light, and will be clipped
        raise ImageContractError(f"{name} holds NaN; radiance has a value at every pixel.")
    return radiance.astype(np.float32, copy=False)
