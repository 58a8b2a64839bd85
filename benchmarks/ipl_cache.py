"""The attention cache against computing: CPU ratios of warm caches on pictures they have not seen.

Full and tiny network, weights of a seed, one 1080p frame, float32, the banded form on both sides.
``position`` reads a frame's attention from 256 levels; ``product`` is the same collapsed to one
pass, where that pays; ``pinned_maps`` takes the global maps of another picture, with no room for
tiles, and ``pinned_tiles`` every tile of the frame, seen before. ``content`` recognises the frame,
hashing every brick of every block. One thread by default.

    python benchmarks/ipl_cache.py [--config tiny] [--size WxH] [--kinds position product]
    python benchmarks/ipl_cache.py --columns    resampling by matrix width, to choose STRIP
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import side_by_side
import torch
from torch.nn import functional

from ipl import resampling
from ipl.attention_cache import AttentionCache
from ipl.network import IPLConfig, IPLNetwork

KINDS = {
    "position": {"policy": "position"},
    "product": {"policy": "position", "what": "product"},
    "pinned_maps": {"policy": "pinned"},
    "pinned_tiles": {"policy": "pinned"},
    "content": {"policy": "content"},
}


def exposures(size: tuple[int, int], seed: int) -> torch.Tensor:
    """Seeded exposures, (3, 1, 3, H, W)."""
    return torch.rand(3, 1, 3, *size, generator=torch.Generator().manual_seed(seed))


def warm(network: IPLNetwork, kind: str, size: tuple[int, int]) -> Callable[[], object]:
    """A frame through a cache that was filled by another."""
    options = dict(KINDS[kind])
    if kind == "pinned_maps":
        # Room for the maps alone.
        options["max_bytes"] = network.config.blocks * (network.config.width**3 + 8)
    cache = AttentionCache(**options)
    network.cache = cache
    if cache.wants_filling:
        with cache.filling():
            network(*exposures(size, seed=1))
    given = exposures(size, seed=2)

    def run() -> None:
        network.cache = cache
        network(*given)

    return run


def ratios(config: IPLConfig, kinds: list[str], size: tuple[int, int], rounds: int) -> dict:
    """CPU seconds of each kind over those without a cache."""
    torch.manual_seed(0)
    network = IPLNetwork(config).eval()
    given = exposures(size, seed=2)

    def off() -> None:
        network.cache = None
        network(*given)

    figures = {}
    for kind in kinds:
        run = warm(network, kind, size)
        figures[kind] = side_by_side.compare(run, off, rounds)
        run()
        assert network.cache is not None
        figures[kind]["cache_mb"] = network.cache.stats.bytes / 1e6
    return figures


def column_seconds(size: tuple[int, int]) -> dict:
    """CPU milliseconds to widen a few channels of the full network's map, the best of seven."""
    given = torch.randn(16, 192, 192, generator=torch.Generator().manual_seed(3))
    milliseconds = {}
    for strip in (4, 8, 16, 32, 64, 192):
        resampling.STRIP = strip
        taps = resampling.aligned.__wrapped__(192, size[1] // 4)
        taps.columns(given)
        best = min(side_by_side.cpu_seconds(lambda t=taps: t.columns(given)) for _ in range(7))
        milliseconds[str(strip)] = 1e3 * best

    def interpolated() -> torch.Tensor:
        wide = (192, size[1] // 4)
        return functional.interpolate(given[None], wide, mode="bilinear", align_corners=True)

    milliseconds["interpolate"] = 1e3 * min(
        side_by_side.cpu_seconds(interpolated) for _ in range(7)
    )
    return milliseconds


@torch.inference_mode()
def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--config", choices=("tiny", "base"), help="one of the two alone")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--columns", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    width, height = map(int, options.size.split("x"))
    if options.columns:
        report = {"cpu_ms_by_strip": column_seconds((height, width))}
        side_by_side.report("ipl_cache_columns", threads=options.threads, **report)
        return
    configs = {"tiny": IPLConfig.tiny(), "base": IPLConfig()}
    figures = {
        name: ratios(config, options.kinds, (height, width), options.rounds)
        for name, config in configs.items()
        if options.config in {None, name}
    }
    side_by_side.report("ipl_cache", threads=options.threads, size=options.size, **figures)


if __name__ == "__main__":
    main()
