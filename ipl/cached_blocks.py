"""Blocks of the network that take their attention, or their global map, from other pictures."""

from __future__ import annotations

import math
from functools import reduce
from itertools import product
from typing import TYPE_CHECKING, Literal, cast

import torch
from torch import Tensor

from ipl import daem
from ipl.cache_store import Store
from ipl.daem import DAEM, Form
from ipl.drtm import DRTM
from ipl.packing import Limits, Packing, plain
from ipl.quantization import GATE_RANGE

if TYPE_CHECKING:
    from ipl.network import FeatureIntegrationBlock

What = Literal["weights", "weights_per_dim", "lfe", "product"]
"""What is kept of a block: its summed weights, those of each dimension, or what these made."""

Parts = dict[str, Tensor]
"""What `What` names, by dimension; the sum over all is called "sum"."""

Window = tuple[slice, ...]
"""A part of (N, C, h, w), every slice with its start and stop."""


class CachedBlock:
    """One block of the network and what the cache knows of it; called in the block's place.

    Parameters
    ----------
    block : FeatureIntegrationBlock
        What it stands for.
    layer : int
        Its place, from 0.
    what : What
        What is kept.
    packing : Packing
        How.
    store : Store
        Where.
    """

    def __init__(
        self,
        block: FeatureIntegrationBlock,
        layer: int,
        what: What,
        packing: Packing,
        store: Store,
    ) -> None:
        self.block = block
        self.layer = layer
        self.what = what
        self.packing = packing
        self.store = store

    @property
    def daem(self) -> DAEM:
        """The block's attention."""
        return self.block.daem

    @property
    def dtype(self) -> torch.dtype:
        """Of the block's weights."""
        return next(self.block.parameters()).dtype

    @property
    def limits(self) -> Limits:
        """The range of what is kept."""
        return attention_limits(self.what, len(self.daem.extractors))

    def rolled(self, enhanced: Tensor, form: Form) -> Tensor:
        """The rest of the block."""
        return enhanced if self.block.drtm is None else self.block.drtm(enhanced, form)

    def means(self, features: Tensor) -> Parts:
        """Means of the chunks, where the output needs more than what is kept."""
        return self.daem.means(features) if self.what in {"weights_per_dim", "lfe"} else {}

    def parts(self, features: Tensor, gates: Parts, means: Parts) -> Parts:
        """What is kept of these gates."""
        if self.what == "weights_per_dim":
            return gates
        if self.what == "lfe":
            return {
                dim: self.daem.weigh(features, {dim: gate}, means) for dim, gate in gates.items()
            }
        return {"sum": reduce(torch.add, gates.values())}

    def enhanced(self, features: Tensor, parts: Parts, means: Parts) -> Tensor:
        """What the attention makes of features, by what `parts` returned, now or earlier."""
        if self.what == "weights_per_dim":
            return self.daem.weigh(features, parts, means)
        if self.what == "lfe":
            return reduce(torch.add, parts.values())
        return features * parts["sum"]


class PositionBlock(CachedBlock):
    """Takes attention by place, whatever the features are; computes it where there is none."""

    def __call__(self, features: Tensor, form: Form) -> Tensor:
        """(N, width, h, w) to the same; ``banded`` overwrites its input."""
        kept = self.store.get(("attention", self.layer, *features.shape[2:]))
        if kept is None:
            return self.block(features, form)
        opened = {dim: self.packing.opened(part, self.layer) for dim, part in kept.items()}
        means = self.means(features)
        result = features if form == "banded" else torch.empty_like(features)
        for window in windows(features, self.daem.chunks, form):
            # One picture's attention serves all of a batch.
            place = (slice(None), *window[1:])
            parts = {dim: plain(part[place], features.dtype) for dim, part in opened.items()}
            here = features[window]
            result[window] = self.enhanced(here, parts, cut(means, window))
        return self.rolled(result, form)


class PinnedBlock(CachedBlock):
    """Takes the global map of other pictures; computes it where there is none."""

    def __call__(self, features: Tensor, form: Form) -> Tensor:
        """(N, width, h, w) to the same; ``banded`` overwrites its input."""
        kept = self.store.get(("map", self.layer))
        if kept is None:
            return self.block(features, form)
        maps = plain(self.packing.opened(kept["map"], self.layer), features.dtype).expand(
            len(features), -1, -1, -1
        )
        return self.rolling.apply_map(self.daem(features, form), maps, form)

    @property
    def rolling(self) -> DRTM:
        """The block's rolling transformation."""
        return cast(DRTM, self.block.drtm)


def attention_limits(what: str, dims: int) -> Limits:
    """The range of what is kept of a block with so many dimensions; None where it has none."""
    if what == "lfe":
        return None
    return GATE_RANGE if what == "weights_per_dim" else (0.0, float(dims))


def exact(tensor: Tensor) -> torch.dtype:
    """The type for sums over a tensor: float32 at least."""
    return torch.promote_types(tensor.dtype, torch.float32)


def windows(features: Tensor, brick: tuple[int, int, int], form: Form) -> list[Window]:
    """Parts of (N, C, h, w) to work on in turn: whole bricks that fit into the caches, or all.

    ``banded`` gives one picture and one chunk of channels at a time, the slabs of `DAEM` itself:
    the same matrix products, and therefore the same bits.
    """
    if form != "banded":
        return [tuple(slice(0, size) for size in features.shape)]
    channels, columns, rows = brick
    room = max(daem.SLAB_FEATURES * torch.get_num_threads() // math.prod(brick), 1)
    across = min(room, features.shape[3] // columns)
    steps = (1, channels, max(room // across, 1) * rows, across * columns)
    ranges = [
        [slice(start, min(start + step, size)) for start in range(0, size, step)]
        for size, step in zip(features.shape, steps, strict=True)
    ]
    return list(product(*ranges))


def cut(means: Parts, window: Window) -> Parts:
    """The part of each mean that a window sees; axes already averaged stay."""
    return {
        dim: mean[
            tuple(
                slice(None) if size == 1 else part
                for part, size in zip(window, mean.shape, strict=True)
            )
        ]
        for dim, mean in means.items()
    }
