"""Forecast peaks of the networks' memory against real ones, each measured in a fresh process.

``python benchmarks/memory_forecast.py sctnet ipl --size 1920x1080`` prints one JSON line each.
The peak is resident memory of one forward pass, the exposures included, on one thread.
"""

from __future__ import annotations

import argparse
import sys
from types import SimpleNamespace

import side_by_side
import torch

from baselines.ahdrnet import AHDRNetwork
from baselines.fshdr import BridgeNet
from baselines.hdr_transformer import HDRTransformerNetwork
from baselines.sctnet import SCTNetwork
from dmef_bench.harness.forecast import forecast_bytes
from dmef_bench.protocol import parse_size
from dmef_bench.scene import size_text
from ipl.network import IPLNetwork

NETWORKS = {
    "ahdrnet": (AHDRNetwork, 6),
    "fshdr": (BridgeNet, 6),
    "hdr-transformer": (HDRTransformerNetwork, 6),
    "sctnet": (SCTNetwork, 6),
    "ipl": (IPLNetwork, 3),
}
"""Name to what builds the network, and the channels of one exposure."""


def real_bytes(name: str, size: tuple[int, int]) -> int:
    """What the resident size of this process rises by during one forward pass."""
    build, channels = NETWORKS[name]
    network = build().eval()

    def fuse(height: int, width: int) -> None:
        with torch.inference_mode():
            network(*(torch.rand(1, channels, height, width) for _ in range(3)))

    fuse(64, 64)  # what is loaded once is no part of it
    return side_by_side.extra_bytes(lambda: fuse(*size))


def main() -> None:
    """Print one JSON line per network; as a child (``--peak``), the bytes of one pass."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=sorted(NETWORKS))
    parser.add_argument("--size", default="960x540", help="WxH of the exposures")
    parser.add_argument("--peak", action="store_true")
    asked = parser.parse_args()
    size = parse_size(asked.size)
    torch.set_num_threads(1)
    for name in asked.names:
        if asked.peak:
            print(real_bytes(name, size))
            continue
        build, channels = NETWORKS[name]
        method = SimpleNamespace(name=name, network=build, in_channels=channels)
        forecast = forecast_bytes(method, size)
        if forecast is None:
            sys.exit(f"{name} has no forecast")
        real = side_by_side.peak_extra_bytes(__file__, name, "--size", asked.size, "--peak")
        side_by_side.report(
            "memory_forecast",
            network=name,
            size=size_text(size),
            forecast_mib=forecast / 2**20,
            real_mib=real / 2**20,
            ratio=forecast / real,
        )


if __name__ == "__main__":
    main()
