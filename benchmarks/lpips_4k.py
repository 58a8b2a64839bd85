"""LPIPS of one 4K pair: exact tiles against the full frame of the same network. Target 1.1.

With the true trunk where `Backbone.find` finds one, else a seeded random one: time and memory do
not depend on the weights.
"""

from __future__ import annotations

import os
import sys

import numpy as np
import torch
from side_by_side import compare, extra_bytes, peak_extra_bytes, picture_pair, report

from dmef_bench.errors import UnavailableError
from dmef_bench.metrics.lpips import bare_model, load_model, tiled_distance

CORES = (512, 1024)


def network() -> tuple[torch.nn.Module, str]:
    """Build the model and say which trunk it stands on."""
    os.environ["DMEF_OFFLINE"] = "1"
    try:
        return load_model("alex", None, "cpu"), "verified"
    except UnavailableError:
        torch.manual_seed(2018)
        return bare_model("alex"), "random"


@torch.inference_mode()
def full_frame(model: torch.nn.Module, fused: np.ndarray, truth: np.ndarray) -> float:
    """LPIPS as its package computes it, over the whole frame at once."""
    frames = [
        torch.from_numpy(p).permute(2, 0, 1)[None].float() / 127.5 - 1 for p in (fused, truth)
    ]
    return float(model(*frames))


def measure_memory(core: int) -> None:
    """Print the extra bytes of one call, for the parent process; core 0 is the full frame."""
    model, _ = network()
    fused, truth = picture_pair()
    full_frame(model, fused[:64, :64], truth[:64, :64])
    if core:
        print(extra_bytes(lambda: tiled_distance(model, fused, truth, core=core)))
    else:
        print(extra_bytes(lambda: full_frame(model, fused, truth)))


def main() -> None:
    """Print one line per core."""
    torch.set_num_threads(1)
    model, trunk = network()
    fused, truth = picture_pair()
    whole = full_frame(model, fused, truth)
    full_mb = peak_extra_bytes(__file__, "0") / 1e6
    for core in CORES:
        report(
            "lpips_4k",
            peer="lpips package, full frame",
            trunk=trunk,
            core=core,
            **compare(
                lambda core=core: tiled_distance(model, fused, truth, core=core),
                lambda: full_frame(model, fused, truth),
                rounds=3,
            ),
            relative_difference=tiled_distance(model, fused, truth, core=core) / whole - 1,
            extra_mb=peak_extra_bytes(__file__, str(core)) / 1e6,
            peer_extra_mb=full_mb,
        )


if __name__ == "__main__":
    measure_memory(int(sys.argv[1])) if len(sys.argv) > 1 else main()
