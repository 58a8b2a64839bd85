"""Our PSNR, SSIM and LPIPS beside scikit-image, torchmetrics and lpips on the 4K golden pairs.

``python benchmarks/metric_peers.py psnr|ssim|lpips``, minutes each. torchmetrics is no
dependency of dmef: ``pip install torchmetrics`` first. LPIPS wants the verified trunk
(``DMEF_WEIGHTS=FOLDER``) and takes a seeded random one where there is none: the comparison holds
for any. One line a peer: both values of every pair, CPU seconds and memory of one of them.
"""

from __future__ import annotations

import importlib.util
import math
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from side_by_side import compare, extra_bytes, peak_extra_bytes, report
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from dmef_bench.errors import UnavailableError
from dmef_bench.metrics import psnr, ssim
from dmef_bench.metrics.lpips import bare_model, load_model, tiled_distance

TESTS = Path(__file__).resolve().parents[1] / "tests/metrics/test_golden_pairs.py"
TIMED_PAIR = "mild"
LEFT_OUT = {"lpips": ("same", "near", "mr256")}
"""Pairs that would only make a benchmark of minutes longer."""
Measure = Callable[[np.ndarray, np.ndarray], float]


def golden_pairs() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name to (fused, truth), 3840x2160, made from the seed that the tests use."""
    spec = importlib.util.spec_from_file_location("golden_pairs", TESTS)
    golden = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(golden)
    truth = golden.golden_truth((golden.HEIGHT, golden.WIDTH))
    return {name: (golden.partner(truth, name), truth) for name in golden.PARTNERS}


def as_tensor(picture: np.ndarray) -> torch.Tensor:
    """Codes as torch's libraries want them, (1, 3, H, W), float32."""
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float()


def of_scikit_image(metric: str) -> Measure:
    """The float64 definition."""
    if metric == "psnr":
        return np.errstate(divide="ignore")(partial(peak_signal_noise_ratio, data_range=255))
    return partial(
        structural_similarity,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=2,
        data_range=255,
    )


def of_torchmetrics(metric: str) -> Measure:
    """Float32 on the CPU, codes as they are."""
    from torchmetrics.functional.image import (
        peak_signal_noise_ratio,
        structural_similarity_index_measure,
    )

    score = peak_signal_noise_ratio if metric == "psnr" else structural_similarity_index_measure

    @torch.inference_mode()
    def measured(fused: np.ndarray, truth: np.ndarray) -> float:
        return float(score(as_tensor(fused), as_tensor(truth), data_range=255.0))

    return measured


def of_lpips(model: torch.nn.Module) -> Measure:
    """The package's own forward pass, over the whole frame at once."""

    @torch.inference_mode()
    def measured(fused: np.ndarray, truth: np.ndarray) -> float:
        return float(model(*(as_tensor(picture) / 127.5 - 1 for picture in (fused, truth))))

    return measured


def lpips_model() -> torch.nn.Module:
    """With the verified trunk, or a seeded random one."""
    os.environ["DMEF_OFFLINE"] = "1"
    try:
        return load_model("alex", None, "cpu")
    except UnavailableError:
        torch.manual_seed(2018)
        return bare_model("alex")


def measures(metric: str) -> dict[str, Measure]:
    """Ours first, then its peers by name."""
    if metric == "lpips":
        model = lpips_model()
        ours: Measure = partial(tiled_distance, model)
        return {"dmef": ours, "lpips, full frame": of_lpips(model)}
    ours = psnr if metric == "psnr" else partial(ssim, threads=1)
    return {
        "dmef": ours,
        "scikit-image": of_scikit_image(metric),
        "torchmetrics": of_torchmetrics(metric),
    }


def measure_memory(metric: str, name: str) -> None:
    """Print the extra bytes of one call, for the parent process."""
    torch.set_num_threads(1)
    fused, truth = golden_pairs()[TIMED_PAIR]
    measure = measures(metric)[name]
    measure(fused[:64, :64], truth[:64, :64])
    print(extra_bytes(lambda: measure(fused, truth)))


def main(metric: str) -> None:
    """Print one line a peer."""
    torch.set_num_threads(1)
    pairs = golden_pairs()
    for name in LEFT_OUT.get(metric, ()):
        del pairs[name]
    by_name = measures(metric)
    ours = by_name.pop("dmef")
    values = {name: ours(*pair) for name, pair in pairs.items()}
    ours_mb = peak_extra_bytes(__file__, "--memory", metric, "dmef") / 1e6
    for peer, measure in by_name.items():
        theirs = {name: measure(*pair) for name, pair in pairs.items()}
        report(
            "metric_peers",
            metric=metric,
            peer=peer,
            **compare(
                lambda: ours(*pairs[TIMED_PAIR]),
                lambda measure=measure: measure(*pairs[TIMED_PAIR]),
                rounds=1 if metric == "lpips" else 2,
            ),
            ours={name: value if math.isfinite(value) else "inf" for name, value in values.items()},
            difference={
                name: values[name] - theirs[name] if values[name] != theirs[name] else 0
                for name in pairs
            },
            extra_mb=ours_mb,
            peer_extra_mb=peak_extra_bytes(__file__, "--memory", metric, peer) / 1e6,
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--memory"]:
        measure_memory(*sys.argv[2:])
    elif sys.argv[1:] and sys.argv[1] in ("psnr", "ssim", "lpips"):
        main(sys.argv[1])
    else:
        sys.exit(__doc__)
