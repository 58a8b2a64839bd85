"""Filling the cache from calibration pictures: means of attention, or of global maps."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from dmef_bench.errors import UsageError
from ipl.cache_store import Key
from ipl.cached_blocks import CachedBlock, Parts, PinnedBlock, cut, exact, windows
from ipl.collapsed import Grid, collapse, collapses
from ipl.daem import Form
from ipl.packing import Kept

Size = tuple[int, int]
"""Rows and columns of features."""


class FillingBlock(CachedBlock):
    """Computes attention and adds it up, by the size of the features."""

    def __init__(self, *args) -> None:
        super().__init__(*args)
        self.sums: dict[Size, Parts] = {}
        self.counts: dict[Size, int] = {}

    def __call__(self, features: Tensor, form: Form) -> Tensor:
        """(N, width, h, w) to the same; ``banded`` overwrites its input."""
        size = (features.shape[2], features.shape[3])
        self.counts[size] = self.counts.get(size, 0) + len(features)
        means = self.daem.means(features)
        result = features if form == "banded" else torch.empty_like(features)
        for window in windows(features, self.daem.chunks, form):
            here, near = features[window], cut(means, window)
            gates = self.daem.gates(here)
            for dim, part in self.parts(here, gates, near).items():
                self._add(features, window, dim, part)
            result[window] = self.daem.weigh(here, gates, near)
        return self.rolled(result, form)

    # The sums may be added to under inference mode once, and under no_grad later.
    @torch.inference_mode()
    def _add(self, features: Tensor, window: tuple[slice, ...], dim: str, part: Tensor) -> None:
        sums = self.sums.setdefault((features.shape[2], features.shape[3]), {})
        if dim not in sums:
            sums[dim] = features.new_zeros((1, *features.shape[1:]), dtype=exact(features))
        sums[dim][(slice(1), *window[1:])] += part.sum(0, True, dtype=sums[dim].dtype)

    def collapses(self, size: Size) -> bool:
        """Whether all blocks together are kept as one product."""
        rolling = self.block.drtm
        return rolling is None or collapses(size, rolling.width, drtm=True)

    def entry(self, size: Size) -> Kept:
        """The packed mean over all pictures of a size; its sums are given up."""
        count = self.counts.pop(size)
        return Kept(
            {
                dim: self.packing.pack((total / count).to(self.dtype), self.limits, self.layer)
                for dim, total in self.sums.pop(size).items()
            }
        )


class PinningBlock(PinnedBlock):
    """Computes the global map and adds it up."""

    total: Tensor | None = None
    count = 0

    def __call__(self, features: Tensor, form: Form) -> Tensor:
        """(N, width, h, w) to the same; ``banded`` overwrites its input."""
        enhanced = self.daem(features, form)
        maps = self.rolling.map(enhanced, form)
        total = maps.sum(0, True, dtype=exact(maps))
        self.total = total if self.total is None else self.total + total
        self.count += len(maps)
        return self.rolling.apply_map(enhanced, maps, form)

    def entry(self) -> Kept:
        """The packed mean over all pictures."""
        assert self.total is not None  # there is no such block before its first picture
        mean = (self.total / self.count).to(self.dtype)
        return Kept({"map": self.packing.pack(mean, None, self.layer)})


class Filling:
    """What gathers while the cache is being filled.

    Attributes
    ----------
    blocks : list of FillingBlock or PinningBlock
        What stands in for the network's blocks; empty before the first picture.
    sources : list of str
        SHA-256 of the exposures, as the network got them.
    """

    def __init__(self) -> None:
        self.blocks: Sequence[FillingBlock | PinningBlock] = []
        self.sources: list[str] = []

    def note(self, exposures: Tensor) -> None:
        """Remember which pictures came, (N, 9, H, W)."""
        for picture in exposures:
            codes = picture.contiguous().cpu().view(torch.uint8).numpy()
            self.sources.append(hashlib.sha256(codes.data).hexdigest())

    def forget(self) -> None:
        """Begin anew: the network has changed."""
        self.blocks, self.sources = [], []

    @torch.inference_mode()
    def entries(self) -> dict[Key, Kept]:
        """What is to be kept, by key; the sums are given up.

        Raises
        ------
        UsageError
            No picture came, or attention is not finite.
        """
        if not self.blocks:
            raise UsageError(
                "No picture filled the cache: run the network inside filling(), after eval() and "
                "under torch.inference_mode()."
            )
        entries: dict[Key, Kept] = {}
        for block in self.blocks:
            if isinstance(block, PinningBlock):
                entries["map", block.layer] = block.entry()
        blocks = [block for block in self.blocks if isinstance(block, FillingBlock)]
        for size in list(blocks[0].counts) if blocks else ():
            if blocks[0].what == "product" and blocks[0].collapses(size):
                entries["product", *size] = _collapsed(blocks, size)
            else:
                for block in blocks:
                    entries["attention", block.layer, *size] = block.entry(size)
        return entries


def _collapsed(blocks: Sequence[FillingBlock], size: Size) -> Kept:
    rolling = blocks[0].block.drtm
    grid = None if rolling is None else Grid(size, rolling.width)
    attention = (block.entry(size)["sum"] for block in blocks)
    return collapse(attention, blocks[0].packing, grid)
