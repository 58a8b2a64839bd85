"""The network's fast forms against the paper's own words: CPU ratios, and the memory of 4K.

One feature integration block of the full width at the feature size of 1080p (192x272x480), by
halves and whole, and a whole tiny network. ``loop`` splits, transposes, convolves and joins;
``batched`` multiplies all chunks at once; ``banded`` does so in place, slab by slab. All give the
same numbers. One thread by default: threads that wait for a busy machine count as work.

    python benchmarks/ipl_batched.py [--threads N]
    python benchmarks/ipl_batched.py --slab           DAEM by slab size, to choose SLAB_FEATURES
    python benchmarks/ipl_batched.py --whole WxH      the full network, banded against loop
    python benchmarks/ipl_batched.py --steps          from loop to banded, part by part, at 1080p
"""

from __future__ import annotations

import argparse
import copy
import os
from collections.abc import Callable

import side_by_side
import torch
from torch.utils.flop_counter import FlopCounterMode

from ipl import daem
from ipl.drtm import DRTM
from ipl.network import FeatureIntegrationBlock, IPLConfig, IPLNetwork

FULL_HD = "1920x1080"
FEATURE_SIZE = (272, 480)
"""Rows and columns of the features of 1920x1080, padded."""


def features(height: int = FEATURE_SIZE[0], width: int = FEATURE_SIZE[1]) -> torch.Tensor:
    """Seeded features as spread out as those of a photograph."""
    return 0.3 * torch.randn(1, 192, height, width, generator=torch.Generator().manual_seed(7))


def in_form(module: torch.nn.Module, given: torch.Tensor, form: str) -> Callable[[], object]:
    """One call of a module; ``banded`` overwrites a copy, and making it counts as its work."""
    if form != "banded":
        return lambda: module(given, form)
    changed = torch.empty_like(given)
    return lambda: module(changed.copy_(given), form)


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
    global_map, changed = rolling.map(given), torch.empty_like(given)
    return {
        "daem_batched_to_loop": ratio(in_form(block.daem, given, "batched"), loop),
        "daem_banded_to_loop": ratio(in_form(block.daem, given, "banded"), loop),
        "drtm_map_axis_to_permute": ratio(
            lambda: rolling.map(given), lambda: rolling.map(given, "loop")
        ),
        "drtm_apply_banded_to_whole": ratio(
            lambda: rolling.apply_map(changed.copy_(given), global_map, "banded"),
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


BF16 = "all in bf16"

STEPS = {
    "loop": ("loop", "loop", "loop", "loop"),
    "batched DAEM": ("loop", "batched", "loop", "loop"),
    "banded DAEM": ("loop", "banded", "loop", "loop"),
    "DRTM by axes": ("loop", "banded", "banded", "loop"),
    "map applied in place": ("loop", "banded", "banded", "banded"),
    "banded head and tail": ("banded", "banded", "banded", "banded"),
    BF16: ("banded", "banded", "banded", "banded"),
}
"""Forms of head and tail, of DAEM, of the map, and of its application."""


def one_step(network: IPLNetwork, exposures: torch.Tensor, step: str) -> Callable[[], object]:
    """A forward pass of the full network, its parts in the forms of a step."""
    ends, daem_form, map_form, apply_form = STEPS[step]
    if step == BF16:
        network, exposures = copy.deepcopy(network).bfloat16(), exposures.bfloat16()

    def run() -> torch.Tensor:
        features = network.down(network.padded(*exposures, form=ends), ends)
        total = features.clone() if daem_form == "banded" else features
        for block in network.blocks:
            enhanced = block.daem(features, daem_form)
            maps = block.drtm.map(enhanced, map_form)
            features = block.drtm.apply_map(enhanced, maps, apply_form)
        total = total.add_(features) if daem_form == "banded" else total + features
        gain = network.up.gain(network.up.pixels(total, ends))
        return gain[..., : exposures.shape[3], : exposures.shape[4]] * exposures[1]

    return run


def base(size: str) -> tuple[IPLNetwork, torch.Tensor]:
    """The full network and seeded exposures."""
    width, height = map(int, size.split("x"))
    torch.manual_seed(0)
    network = IPLNetwork(IPLConfig(init="torch")).eval()
    generator = torch.Generator().manual_seed(7)
    return network, torch.rand(3, 1, 3, height, width, generator=generator)


def step_figures(rounds: int) -> dict:
    """CPU seconds (the best of some rounds), ratio to the loop and peak memory of every step."""
    network, exposures = base(FULL_HD)
    runs = {step: one_step(network, exposures, step) for step in STEPS}
    seconds = {
        step: min(side_by_side.cpu_seconds(run) for _ in range(rounds))
        for step, run in runs.items()
    }
    return {
        step: {
            "cpu_s": seconds[step],
            "to_loop": seconds[step] / seconds["loop"],
            "peak_extra_mb": side_by_side.peak_extra_bytes(__file__, "--step", step) / 1e6,
        }
        for step in STEPS
    }


def floors() -> dict:
    """What no form can beat: products, sigmoids and bytes, each at the rate measured here."""
    with torch.inference_mode(False), FlopCounterMode(display=False) as counter:
        with torch.device("meta"):
            network, exposure = IPLNetwork(), torch.empty(1, 3, 1080, 1920)
        network(exposure, exposure, exposure)
    square, given = torch.rand(1536, 1536), features()
    slab, target = torch.rand(2**18), torch.empty_like(given)
    flop_rate = 2 * 1536**3 / best(lambda: square @ square)
    sigmoid_rate = slab.numel() / best(lambda: slab.sigmoid())
    byte_rate = 2 * given.nbytes / best(lambda: target.copy_(given))
    gates = 3 * 8 * given.numel()
    # A block reads and writes its features twice, DAEM before and the map after all of it is
    # known; at 1080p every row is sampled for the map. F0 is written, kept and added.
    moved = (8 * 5 + 4) * given.nbytes
    return {
        "gflop": counter.get_total_flops() / 1e9,
        "flop_s": counter.get_total_flops() / flop_rate,
        "sigmoids": gates,
        "sigmoid_s": gates / sigmoid_rate,
        "gb": moved / 1e9,
        "byte_s": moved / byte_rate,
    }


def best(task: Callable[[], object]) -> float:
    """The fewest CPU seconds of five runs."""
    return min(side_by_side.cpu_seconds(task) for _ in range(5))


def slab_seconds() -> dict:
    """CPU seconds of the banded DAEM by slab size, the best of five."""
    block, given = FeatureIntegrationBlock(IPLConfig()).eval(), features()
    seconds = {}
    for thousands in (30, 60, 120, 240, 480, 960):
        daem.SLAB_FEATURES = thousands * 1024
        run = in_form(block.daem, given, "banded")
        seconds[thousands] = min(side_by_side.cpu_seconds(run) for _ in range(5))
    return seconds


@torch.inference_mode()
def main() -> None:
    """Print one JSON line; as a child (``--memory``, ``--step``), the peak bytes of one frame."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory", nargs=2, metavar=("SIZE", "FORM"))
    parser.add_argument("--slab", action="store_true")
    parser.add_argument("--whole", metavar="WxH")
    parser.add_argument("--steps", action="store_true")
    parser.add_argument("--step", choices=STEPS)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.memory:
        print(frame_bytes(*options.memory))
        return
    if options.step:
        network, exposures = base(FULL_HD)
        print(side_by_side.extra_bytes(one_step(network, exposures, options.step)))
        return
    if options.steps:
        side_by_side.report(
            "ipl_steps", threads=options.threads, steps=step_figures(options.rounds), **floors()
        )
        return
    if options.whole:
        network, exposures = base(options.whole)
        forms = (whole(network, exposures, form) for form in ("banded", "loop"))
        figures = side_by_side.compare(*forms, options.rounds)
        side_by_side.report("ipl_whole", threads=options.threads, size=options.whole, **figures)
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
