"""Networks' forward passes against the same equations called plainly, in CPU time and memory.

``python benchmarks/network_forward.py ahdrnet fshdr`` prints one JSON line for each variant of
ours: as it stands, channels last, and channels last in bfloat16. The peer stays as it stands.
Every file ``reference_*.py`` beside this one offers its peers in a table ``NETWORKS``.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import side_by_side
import torch
from torch import Tensor, nn

NETWORKS = {
    name: builders
    for path in sorted(Path(__file__).parent.glob("reference_*.py"))
    for name, builders in importlib.import_module(path.stem).NETWORKS.items()
}
VARIANTS = {
    "float32": {},
    "channels last": {"memory_format": torch.channels_last},
    # Channels first, a CPU without instructions for bfloat16 takes twenty times as long.
    "bfloat16, channels last": {"dtype": torch.bfloat16, "memory_format": torch.channels_last},
}
PEER = "peer"


def forward(name: str, variant: str, size: tuple[int, int]) -> Callable[[], Tensor]:
    """One inference of a network, its six-channel exposures and weights drawn from a seed."""
    torch.manual_seed(2019)
    ours, peer = NETWORKS[name]
    network: nn.Module = ours().eval()
    exposures = torch.rand(3, 1, 6, *size)
    if variant == PEER:
        state = network.state_dict()
        network = peer().eval()
        network.load_state_dict(state)
    kind = VARIANTS.get(variant, {})
    return partial(network.to(**kind), *(exposure.to(**kind) for exposure in exposures))


def compare(name: str, variant: str, size: tuple[int, int], rounds: int) -> dict:
    """Ratios of one variant of ours to the peer, and how far their pictures lie apart."""
    ours, peer = (forward(name, which, size) for which in (variant, PEER))
    times = side_by_side.compare(ours, peer, rounds)
    difference = (ours().float() - peer()).abs().max().item()
    child = (__file__, name, "--size", "x".join(map(str, size[::-1])), "--peak")
    peaks = {
        f"{whose}_extra_mib": side_by_side.peak_extra_bytes(*child, which) / 2**20
        for whose, which in (("ours", variant), ("peer", PEER))
    }
    return {**times, **peaks, "largest_difference": difference}


def main() -> None:
    """Print one JSON line per variant; as a child (``--peak VARIANT``), the bytes of one pass."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=sorted(NETWORKS))
    parser.add_argument("--size", default="256x256", help="WxH of the exposures")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--variant", action="append", choices=VARIANTS)
    parser.add_argument("--peak", choices=[*VARIANTS, PEER])
    asked = parser.parse_args()
    width, height = map(int, asked.size.split("x"))
    # Threads that wait, spinning, for others on a shared machine would count as CPU seconds.
    torch.set_num_threads(1)
    with torch.inference_mode():
        for name in asked.names:
            if asked.peak:
                print(side_by_side.extra_bytes(forward(name, asked.peak, (height, width))))
                continue
            for variant in asked.variant or VARIANTS:
                figures = compare(name, variant, (height, width), asked.rounds)
                side_by_side.report(
                    "network_forward", network=name, variant=variant, size=asked.size, **figures
                )


if __name__ == "__main__":
    main()
