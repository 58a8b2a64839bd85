"""The trunks LPIPS can stand on: where their maps lie on the picture, and their weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dmef_bench.errors import UsageError
from dmef_bench.metrics.backbone import BACKBONES, Backbone


@dataclass(frozen=True)
class Trunk:
    """What tiling must know of a trunk, and its weights.

    Parameters
    ----------
    strides : tuple of int
        Pixels from one cell of a layer's map to the next.
    map_sides : callable
        Cells along a side of each layer's map, from the pixels along that side.
    smallest : int
        Pixels a side must have for the last map to hold a cell.
    backbone : Backbone
        Where its weights are found, and by what they are recognised.
    """

    strides: tuple[int, ...]
    map_sides: Callable[[int], tuple[int, ...]]
    smallest: int
    backbone: Backbone


def _alexnet_map_sides(pixels: int) -> tuple[int, ...]:
    first = (pixels + 2 * 2 - 11) // 4 + 1
    second = (first - 3) // 2 + 1
    third = (second - 3) // 2 + 1
    return first, second, third, third, third


TRUNKS = {
    "alex": Trunk((4, 8, 16, 16, 16), _alexnet_map_sides, 31, BACKBONES["alexnet"]),
}
"""By the ``lpips`` package's names."""


def find_trunk(network: str) -> Trunk:
    """Look a trunk up by its name."""
    if network not in TRUNKS:
        raise UsageError(f"No LPIPS trunk is called {network!r}; there are: {', '.join(TRUNKS)}.")
    return TRUNKS[network]
