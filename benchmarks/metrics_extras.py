"""The named extra measures at 4K, each beside the plain way to the same number.

``python benchmarks/metrics_extras.py [NAME ...]``; without a name all of them, in minutes.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable

import numpy as np
from scipy.ndimage import uniform_filter
from side_by_side import compare, extra_bytes, peak_extra_bytes, picture_pair, report
from skimage.metrics import structural_similarity

from dmef_bench.exposure.camera_response import Sigmoid
from dmef_bench.exposure.synthesis import expose
from dmef_bench.metrics import mef_ssim, mef_ssimd
from dmef_bench.metrics.grey import grey_codes
from dmef_bench.metrics.linear import psnr_l, psnr_mu, ssim_mu
from dmef_bench.metrics.luma import psnr_y, ssim_y
from dmef_bench.metrics.masked import lost_mask, psnr_clipped, psnr_moving
from dmef_bench.metrics.optical_flow import dense_flow
from dmef_bench.metrics.tonemap import to_radiance
from dmef_bench.scene import ExposureStack, to_float

SSIM = functools.partial(
    structural_similarity,
    gaussian_weights=True,
    sigma=1.5,
    use_sample_covariance=False,
    data_range=255,
)
Pair = tuple[Callable[[], object], Callable[[], object], str]


def exposure_stack(truth: np.ndarray) -> ExposureStack:
    """Expose three moments of a 4K picture in which a square of 500 pixels walks."""
    frames = [truth.copy() for _ in range(3)]
    for frame, left in zip(frames, (400, 900, 1400), strict=True):
        frame[800:1300, left : left + 500] = truth[1500:2000, 2500:3000]
    evs = (-1.0, 1.0, 3.0)
    exposures = (expose(frame, ev, Sigmoid()) for frame, ev in zip(frames, evs, strict=True))
    return ExposureStack(tuple(exposures), evs)


def measure(name: str) -> Pair:
    """Ours, the plain way to the same number, and what that is; inputs are made beforehand."""
    fused, truth = picture_pair()
    if name.endswith("-y"):
        return measures_of_luma(fused, truth)[name]
    if name.endswith(("-l", "-mu")):
        return measures_of_light(*(to_radiance(to_float(p)) for p in (fused, truth)))[name]
    return measures_of_stacks(fused, truth, exposure_stack(truth))[name]


def measures_of_luma(fused: np.ndarray, truth: np.ndarray) -> dict[str, Pair]:
    """Beside float64 luma."""
    return {
        "psnr-y": (
            lambda: psnr_y(fused, truth),
            lambda: plain_psnr(luma(fused), luma(truth), 255),
            "NumPy, float64",
        ),
        "ssim-y": (
            lambda: ssim_y(fused, truth, threads=1),
            lambda: SSIM(luma(fused), luma(truth)),
            "scikit-image, float64",
        ),
    }


def measures_of_light(x: np.ndarray, y: np.ndarray) -> dict[str, Pair]:
    """Beside float64 radiance."""
    return {
        "psnr-l": (
            lambda: psnr_l(x, y),
            lambda: plain_psnr(clip(x), clip(y), 1),
            "NumPy, float64",
        ),
        "psnr-mu": (
            lambda: psnr_mu(x, y),
            lambda: plain_psnr(mu(x), mu(y), 1),
            "NumPy, float64",
        ),
        "ssim-mu": (
            lambda: ssim_mu(x, y, threads=1),
            lambda: SSIM(255 * mu(x), 255 * mu(y), channel_axis=2),
            "scikit-image, float64",
        ),
    }


def measures_of_stacks(
    fused: np.ndarray, truth: np.ndarray, stack: ExposureStack
) -> dict[str, Pair]:
    """Beside plain NumPy, or beside the floor they stand on."""
    small = [np.ascontiguousarray(grey_codes(e)[1::4, 1::4]) for e in stack.encoded]
    return {
        "psnr-clipped": (
            lambda: psnr_clipped(fused, truth, stack).value,
            lambda: plain_masked_psnr(fused, truth, lost_mask(stack)),
            "NumPy int64, the same mask",
        ),
        "psnr-moving": (
            lambda: psnr_moving(fused, truth, stack).value,
            lambda: [dense_flow(small[1], small[k]) for k in (0, 2)],
            "two dense flows of 960x540 alone, the floor",
        ),
        "mef-ssim": (
            lambda: mef_ssim(fused, stack),
            lambda: plain_mef_ssim(fused, stack),
            "SciPy and NumPy, whole float64 maps",
        ),
        "mef-ssimd": (lambda: mef_ssimd(fused, stack), lambda: mef_ssim(fused, stack), "mef-ssim"),
    }


NAMES = (
    "psnr-y",
    "ssim-y",
    "psnr-l",
    "psnr-mu",
    "ssim-mu",
    "psnr-clipped",
    "psnr-moving",
    "mef-ssim",
    "mef-ssimd",
)
SAME_NUMBER = frozenset(NAMES) - {"psnr-moving", "mef-ssimd"}


def luma(codes: np.ndarray) -> np.ndarray:
    """Y of BT.601 in studio swing."""
    return 16 + (codes / 255) @ np.array([65.481, 128.553, 24.966])


def clip(radiance: np.ndarray) -> np.ndarray:
    """The radiance that is compared, float64."""
    return np.clip(radiance.astype(np.float64), 0, 1)


def mu(radiance: np.ndarray) -> np.ndarray:
    """The mu-law in float64."""
    return np.log1p(5000 * clip(radiance)) / math.log(5001)


def plain_psnr(x: np.ndarray, y: np.ndarray, peak: float) -> float:
    """PSNR over whole float64 arrays."""
    return 10 * math.log10(peak**2 / np.mean((x - y) ** 2))


def plain_masked_psnr(x: np.ndarray, y: np.ndarray, mask: np.ndarray) -> float:
    """PSNR over the pixels of a mask, picked out."""
    return plain_psnr(x[mask].astype(np.int64), y[mask].astype(np.int64), 255)


def plain_mef_ssim(fused: np.ndarray, stack: ExposureStack) -> float:
    """MEF-SSIM from whole maps of means of 8 x 8 pixels."""
    weights, c = np.array([0.0448, 0.2856, 0.3001]), (0.03 * 255) ** 2
    planes = [grey_codes(picture).astype(np.float64) for picture in (fused, *stack.encoded)]
    score = 1.0
    for weight in weights / weights.sum():
        means = [box(plane) for plane in planes]
        gram = np.array(
            [
                [box(x * y) - p * q for y, q in zip(planes, means, strict=True)]
                for x, p in zip(planes, means, strict=True)
            ]
        )
        inner = gram[1:, 1:]
        contrasts = np.sqrt(np.maximum(np.einsum("kkij->kij", inner), 0))
        greatest = contrasts.max(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            agreement = np.sqrt(np.maximum(inner.sum(axis=(0, 1)), 0)) / contrasts.sum(axis=0)
            power = np.tan(np.pi / 2 * np.clip(np.nan_to_num(agreement, nan=1), 0, 1))
            factors = np.nan_to_num((contrasts / greatest) ** power / contrasts)
            length = np.sqrt(np.einsum("jhw,jkhw,khw->hw", factors, inner, factors))
            shared = (factors * gram[0, 1:]).sum(axis=0) / length * greatest
        found = (2 * np.nan_to_num(shared) + c) / (greatest**2 + gram[0, 0] + c)
        score *= found.mean() ** weight
        planes = [plane.reshape(len(plane) // 2, 2, -1, 2).mean(axis=(1, 3)) for plane in planes]
    return float(score)


def box(plane: np.ndarray) -> np.ndarray:
    """Means of all windows of 8 x 8 that lie inside."""
    return uniform_filter(plane, 8, origin=-4)[:-7, :-7]


def measure_memory(side: str, name: str) -> None:
    """Print the extra bytes of one call, for the parent process."""
    ours, plain, _ = measure(name)
    task = ours if side == "ours" else plain
    print(extra_bytes(task))


def main(names: list[str]) -> None:
    """Print one line a measure."""
    for name in names or NAMES:
        ours, plain, peer = measure(name)
        figures = compare(ours, plain, rounds=3)
        if name in SAME_NUMBER:
            figures["difference"] = ours() - plain()
        figures["extra_mb"] = peak_extra_bytes(__file__, "--memory", "ours", name) / 1e6
        figures["peer_extra_mb"] = peak_extra_bytes(__file__, "--memory", "plain", name) / 1e6
        report("metrics_extras", measure=name, peer=peer, **figures)


if __name__ == "__main__":
    measure_memory(*sys.argv[2:]) if "--memory" in sys.argv[1:2] else main(sys.argv[1:])
