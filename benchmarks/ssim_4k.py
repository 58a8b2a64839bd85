"""SSIM of one 4K pair: ours against scikit-image, which is also the float64 truth. Target 0.15."""

from __future__ import annotations

import sys
from functools import partial

from side_by_side import compare, extra_bytes, peak_extra_bytes, picture_pair, report
from skimage.metrics import structural_similarity

from dmef_bench.metrics import ssim

PEER = partial(
    structural_similarity,
    gaussian_weights=True,
    sigma=1.5,
    use_sample_covariance=False,
    channel_axis=2,
    data_range=255,
)


def measure_memory(threads: int | None) -> None:
    """Print the extra bytes of one call, for the parent process."""
    fused, truth = picture_pair()
    ssim(fused[:64], truth[:64], threads=threads)
    print(extra_bytes(lambda: ssim(fused, truth, threads=threads)))


def main() -> None:
    """Print the one line."""
    fused, truth = picture_pair()
    report(
        "ssim_4k",
        peer="skimage.metrics.structural_similarity, float64",
        **compare(lambda: ssim(fused, truth, threads=1), lambda: PEER(fused, truth)),
        error=ssim(fused, truth) - PEER(fused, truth),
        extra_mb={n: peak_extra_bytes(__file__, str(n)) / 1e6 for n in (1, 2, 4)},
    )


if __name__ == "__main__":
    measure_memory(int(sys.argv[1])) if len(sys.argv) > 1 else main()
