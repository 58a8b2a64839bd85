"""PSNR of one 4K pair: ours against scikit-image. Target 0.05."""

from __future__ import annotations

import sys

import numpy as np
from side_by_side import compare, extra_bytes, peak_extra_bytes, picture_pair, report
from skimage.metrics import peak_signal_noise_ratio

from dmef_bench.metrics import psnr
from dmef_bench.metrics.psnr import squared_error


def measure_memory() -> None:
    """Print the extra bytes of one call, for the parent process."""
    fused, truth = picture_pair()
    psnr(fused[:64], truth[:64])
    print(extra_bytes(lambda: psnr(fused, truth)))


def main() -> None:
    """Print the one line."""
    fused, truth = picture_pair()
    exact = int(((fused.astype(np.int64) - truth) ** 2).sum())
    report(
        "psnr_4k",
        peer="skimage.metrics.peak_signal_noise_ratio, float64",
        **compare(
            lambda: psnr(fused, truth),
            lambda: peak_signal_noise_ratio(truth, fused, data_range=255),
            rounds=11,
        ),
        sse_error=squared_error(fused, truth)[0] - exact,
        extra_mb=peak_extra_bytes(__file__, "memory") / 1e6,
    )


if __name__ == "__main__":
    measure_memory() if len(sys.argv) > 1 else main()
