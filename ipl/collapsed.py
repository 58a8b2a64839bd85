"""All cached blocks as one product: maps from a few sampled positions, one pass over the frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from ipl.cached_blocks import exact
from ipl.daem import Form
from ipl.drtm import apply_window
from ipl.packing import Kept, Packed, Packing, plain
from ipl.quantization import Quantized
from ipl.resampling import Taps, aligned

if TYPE_CHECKING:
    from ipl.network import FeatureIntegrationBlock

HALVES = (6.1e-5, 65504.0)
"""Where float16 has all of its digits: from its smallest normal number to its largest."""

# Of 1080p the full network samples four fifths, and its blocks had better run in turn on all of it;
# at 28 %, of 4K, both take the same time, and the tiny network gains with less
# (benchmarks/ipl_cache.py).
MOST_SAMPLED = 0.5

# So few channels at a time that what lies between needs no fresh pages from the system.
GROUP_CHANNELS = 16


@dataclass(frozen=True, eq=False)
class Grid:
    """The rows and columns of features that a global map is made from, and those of the map.

    Parameters
    ----------
    size : (int, int)
        Rows and columns of the features.
    width : int
        Of the map, on either axis.
    """

    size: tuple[int, int]
    width: int

    @property
    def down(self) -> tuple[Taps, Taps]:
        """From the features to the map's rows and columns."""
        height, width = self.size
        return aligned(height, self.width), aligned(width, self.width)

    @property
    def up(self) -> tuple[Taps, Taps]:
        """From the map to the rows and columns of the features."""
        height, width = self.size
        return aligned(self.width, height), aligned(self.width, width)

    @property
    def positions(self) -> tuple[list[int], list[int]]:
        """Rows and columns that are read at all: of a 4K frame, 28 % of the positions."""
        rows, columns = self.down
        return rows.sources, columns.sources

    @property
    def share(self) -> float:
        """Of all positions, those that are read."""
        rows, columns = self.positions
        return len(rows) * len(columns) / (self.size[0] * self.size[1])

    def sampled(self, features: Tensor) -> Tensor:
        """Features at those positions, (N, C, h, w) to (N, C, rows, columns)."""
        rows, columns = (torch.tensor(axis, device=features.device) for axis in self.positions)
        return features.index_select(2, rows).index_select(3, columns)


def collapses(size: tuple[int, int], width: int, *, drtm: bool) -> bool:
    """Whether a product saves anything on features of a size."""
    return not drtm or Grid(size, width).share <= MOST_SAMPLED


def collapse(attention: Iterable[Packed], packing: Packing, grid: Grid | None) -> Kept:
    """Make of each block's kept attention what `CollapsedBlocks` needs.

    Parameters
    ----------
    attention : iterable of Packed
        Of each block, (1, C, h, w); made one after the other, they need not lie in memory at once.
    packing : Packing
        That kept them.
    grid : Grid or None
        Where to sample them; None where the blocks have no global map.

    Returns
    -------
    Kept
        ``product`` (1, C, h, w) of all blocks' attention, float16 where that keeps its digits and
        ``packing`` rounds at all; by layer, "0" and so on, each attention at the grid's positions.
    """
    kept, product = Kept(), torch.ones(())
    for layer, packed in enumerate(attention):
        whole = packing.opened(packed, layer)
        # From what was kept, not from what was computed: both ways of reading then agree.
        values = plain(whole, exact(whole) if isinstance(whole, Tensor) else torch.float32)
        product = values * product
        if grid is not None:
            kept[str(layer)] = _sampled(whole, grid)
    faint, strong = (product > 0) & (product < HALVES[0]), product > HALVES[1]
    exactly = packing.quant == "none" or bool((faint | strong).any())
    kept["product"] = product if exactly else product.half()
    return kept


class CollapsedBlocks:
    """All blocks of a network at once, called in their place: F0 to F8.

    ``F8 = F0 * P * prod_i(1 + up(M_i))``, where P is the product of all attention. The maps M_i
    ask for features at the sampled positions only, so the blocks run on those first.

    Parameters
    ----------
    blocks : sequence of FeatureIntegrationBlock
        Of the network.
    kept : Kept
        What `collapse` made of their attention.
    """

    def __init__(self, blocks: Sequence[FeatureIntegrationBlock], kept: Kept) -> None:
        self.rollings = [block.drtm for block in blocks if block.drtm is not None]
        layers = range(len(self.rollings))
        self.attention = [cast(Tensor | Quantized, kept[str(layer)]) for layer in layers]
        self.product = cast(Tensor, kept["product"])

    def __call__(self, features: Tensor, form: Form) -> Tensor:
        """(N, width, h, w) to the same; ``banded`` overwrites its input."""
        grid = Grid((features.shape[2], features.shape[3]), features.shape[1])
        maps = self._maps(features, grid, form) if self.rollings else []
        result = features if form == "banded" else features.clone()
        for group in _groups(result):
            part = result[:, group]
            part.mul_(self.product[:, group].to(part.dtype))
            for one in maps:
                apply_window(part, one[:, group], *grid.up)
        return result

    def _maps(self, features: Tensor, grid: Grid, form: Form) -> list[Tensor]:
        """Each block's map, from F0 at the sampled positions."""
        rows, columns = grid.positions
        features = torch.cat([_picked(features[:, group], grid) for group in _groups(features)], 1)
        down = grid.down[0].among(rows), grid.down[1].among(columns)
        up = grid.up[0].at(rows), grid.up[1].at(columns)
        maps: list[Tensor] = []
        for rolling, attention in zip(self.rollings, self.attention, strict=True):
            cube = features.new_empty(len(features), *[grid.width] * 3)
            for group in _groups(features):
                part = features[:, group]
                if maps:
                    apply_window(part, maps[-1][:, group], *up)
                part.mul_(plain(attention[:, group], part.dtype))
                cube[:, group] = down[1].columns(down[0].rows(part.to(exact(part))))
            maps.append(rolling.transform(cube, form))
        return maps


def _picked(features: Tensor, grid: Grid) -> Tensor:
    """`Grid.sampled` of numbers: as a product with zeros and ones a quarter of the gathering."""
    if features.device.type != "cpu":
        return grid.sampled(features)
    rows, columns = grid.positions
    ones = Taps(tuple(columns), tuple(columns), (0.0,) * len(columns))
    return ones.columns(features.index_select(2, torch.tensor(rows)))


def _groups(features: Tensor) -> list[slice]:
    width = features.shape[1]
    return [slice(start, start + GROUP_CHANNELS) for start in range(0, width, GROUP_CHANNELS)]


def _sampled(whole: Tensor | Quantized, grid: Grid) -> Packed:
    if isinstance(whole, Quantized):
        return Quantized(grid.sampled(whole.q), whole.scale, whole.zero_point)
    return grid.sampled(whole)
