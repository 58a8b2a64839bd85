"""The network's fast forms against the paper's own words: CPU ratios, and the memory of 4K.

One feature integration block of the full width at the feature size of 1080p (192x272x480), by
halves and whole, and a whole tiny network. ``loop`` splits, transposes, convolves and joins;
``batched`` multiplies all chunks at once; ``banded`` does so in place, slab by slab. All give the
same numbers. One thread by default: threads that wait for a busy machine count as work.

    python benchmarks/ipl_batched.py [--threads N]
    python benchmarks/ipl_batched.py --slab       DAEM by slab size, to choose SLAB_FEATURES
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

import side_by_side
import torch

from ipl import daem
from ipl.drtm import DRTM
from ipl.network import FeatureIntegrationBlock, IPLConfig, IPLNetwork

FEATURE_SIZE = (272, 480)
"""Rows and columns of the features of 1920x1080, padded."""


def features(height: int = FEATURE_SIZE[0], width: int = FEATURE_SIZE[1]) -> torch.Tensor:
    """Seeded features as spread out as those of a photograph."""
    return 0.3 * torch.randn(1, 192, height, width, generator=torch.Generator().manual_seed(7))


def in_form(module: torch.nn.Module, given: torch.Tensor, form: str) -> Callable[[], object]:
    """One call of a module; ``banded`` overwrites a copy, and making it counts as its work."""
    if form != "banded":
        return lambda: module(given, form)
    copy = torch.empty_like(given)
    return lambda: module(copy.copy_(given), form)


def whole(network: IPLNetwork, exposures: torch.Tensor, form: str) -> Callable[[], object]:
    """One forward pass of a network in a form."""

    def run() -> object:
        network.form = form
        return network(*exposures)

    return run


def ratio(ours: Callable[[], object], peer: Callable[[], object], rounds: int = 5) -> dict:
    """CPU seconds of both, the median ratio and its spread."""
    figures = side_by_side.compare(ours, peer, rounds)
    return {key: figures[key] for key in ("ratio", "ratio_spread", "ours_cpu_s", "peer_cpu_s")}


def block_ratios() -> dict:
    """One block and its halves."""
    torch.manual_seed(0)
    block = FeatureIntegrationBlock(IPLConfig()).eval()
    rolling, given = block.drtm, features()
    assert isinstance(rolling, DRTM)
    loop = in_form(block.daem, given, "loop")
    global_map, copy = rolling.map(given), torch.empty_like(given)
    return {
        "daem_batched_to_loop": ratio(in_form(block.daem, given, "batched"), loop),
        "daem_banded_to_loop": ratio(in_form(block.daem, given, "banded"), loop),
        "drtm_map_axis_to_permute": ratio(
            lambda: rolling.map(given), lambda: rolling.map(given, "loop")
        ),
        "drtm_apply_banded_to_whole": ratio(
            lambda: rolling.apply_map(copy.copy_(given), global_map, "banded"),
            lambda: rolling.apply_map(given, global_map),
        ),
        "block_banded_to_loop": ratio(
            in_form(block, given, "banded"), in_form(block, given, "loop")
        ),
    }


def tiny_ratios() -> dict:
    """A whole tiny network on a picture of 1024x576."""
    torch.manual_seed(0)
    network = IPLNetwork(IPLConfig.tiny()).eval()
    exposures = torch.rand(3, 1, 3, 576, 1024, generator=torch.Generator().manual_seed(7))
    loop = whole(network, exposures, "loop")
    return {
        f"tiny_{form}_to_loop": ratio(whole(network, exposures, form), loop)
        for form in ("batched", "banded")
    }


def frame_bytes(size: str, form: str) -> int:
    """Peak memory of one frame through the full network, beyond weights and exposures."""
    width, height = map(int, size.split("x"))
    network = IPLNetwork().eval()
    whole(network, torch.rand(3, 1, 3, 64, 64), form)()
    exposures = torch.rand(3, 1, 3, height, width)
    return side_by_side.extra_bytes(whole(network, exposures, form))


def slab_seconds() -> dict:
    """CPU seconds of the banded DAEM by slab size, the best of five."""
    block, given = FeatureIntegrationBlock(IPLConfig()).eval(), features()
    seconds = {}
    for thousands in (16, 32, 64, 96, 160, 240, 480, 960):
        daem.SLAB_FEATURES = thousands * 1024
        run = in_form(block.daem, given, "banded")
        seconds[thousands] = min(side_by_side.cpu_seconds(run) for _ in range(5))
    return seconds


@torch.inference_mode()
def main() -> None:
    """Print one JSON line; as a child (``--memory SIZE FORM``), the peak bytes of one frame."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory", nargs=2, metavar=("SIZE", "FORM"))
    parser.add_argument("--slab", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.memory:
        print(frame_bytes(*options.memory))
        return
    if options.slab:
        side_by_side.report("ipl_slab", threads=options.threads, cpu_s_by_kibi=slab_seconds())
        return
    peaks = {
        f"peak_extra_mb_{form}_{size}": side_by_side.peak_extra_bytes(
            __file__, "--memory", size, form
        )
        / 1e6
        for size, form in (("3840x2160", "banded"), ("1920x1080", "banded"), ("1920x1080", "loop"))
    }
    side_by_side.report(
        "ipl_batched",
        threads=options.threads,
        cores=os.cpu_count(),
        **block_ratios(),
        **tiny_ratios(),
        **peaks,
    )


if __name__ == "__main__":
    main()
