"""Attention recognised by content: bricks and chunks whose features came before, or nearly so."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from math import prod

import torch
from torch import Tensor

from ipl.cache_store import Key
from ipl.cached_blocks import CachedBlock, Parts, Window, windows
from ipl.daem import Form
from ipl.packing import plain
from ipl.quantization import Quantized, dequantize, quantize

Signature = tuple[float, ...]
"""Mean, deviation, smallest and largest value."""

Brick = tuple[int, int, int]
"""Size of a unit in channels, rows and columns."""


@dataclass(frozen=True, eq=False)
class Unit:
    """The attention of one brick or chunk, (1, elements), and what its features were like."""

    values: Tensor | Quantized
    signature: Signature

    @property
    def nbytes(self) -> int:
        """Bytes of values and signature."""
        return self.values.nbytes + 4 * len(self.signature)


@dataclass(frozen=True, eq=False)
class Recall:
    """One unit of a picture: its key, what its features are like, and what was kept of it."""

    key: Key
    signature: Signature
    unit: Unit | None


class UnitBlock(CachedBlock):
    """Takes the attention of each brick or chunk whose features are the same, or nearly so.

    What is computed goes through the same rounding as what is stored, so a picture comes out the
    same whatever the cache holds (with ``tau=0``).

    Parameters
    ----------
    *args
        Of `CachedBlock`.
    tau : float
        How far each number of the signature may have moved; 0 compares the bytes instead.
    """

    def __init__(self, *args, tau: float = 0.0) -> None:
        super().__init__(*args)
        self.tau = tau

    def __call__(self, features: Tensor, form: Form) -> Tensor:
        """(N, width, h, w) to the same; ``banded`` overwrites its input."""
        result = features if form == "banded" else torch.empty_like(features)
        for window in self._windows(features, form):
            here = features[window]
            means = self.means(here)
            result[window] = self.enhanced(here, self._recalled(features, window, means), means)
        return self.rolled(result, form)

    def _windows(self, features: Tensor, form: Form) -> list[Window]:
        if self.what == "weights":
            return windows(features, self.daem.chunks, form)
        # A chunk reaches over the whole of its other axes, and so does its mean.
        frame = tuple(slice(0, size) for size in features.shape[1:])
        return [(slice(image, image + 1), *frame) for image in range(len(features))]

    def _recalled(self, features: Tensor, window: Window, means: Parts) -> Parts:
        """The attention of a window, from the store as far as that goes."""
        here = features[window]
        dims = ["sum"] if self.what == "weights" else list(self.daem.extractors)
        bricks = {dim: self._brick(features, dim) for dim in dims}
        recalls = {dim: self._recall(features, window, dim, bricks[dim]) for dim in dims}
        fresh: Parts = {}
        if any(recall.unit is None for dim in dims for recall in recalls[dim]):
            # All of the window at once, found or not: only what is computed in the same company
            # has bit by bit the values of a network without a cache.
            fresh = self.parts(here, self.daem.gates(here), means)
        return {
            dim: join(
                self._values(recalls[dim], split(fresh[dim], bricks[dim]) if fresh else None),
                here.shape,
                bricks[dim],
            ).to(here.dtype)
            for dim in dims
        }

    def _recall(self, features: Tensor, window: Window, dim: str, brick: Brick) -> list[Recall]:
        """Look up every unit of a window, image by image."""
        start = time.perf_counter()
        units = split(features[window], brick)
        signatures = _signatures(units) if self.tau else [()] * len(units)
        digests = [b""] * len(units) if self.tau else _digests(units)
        self.store.stats.digest_seconds += time.perf_counter() - start
        places = product(
            range(len(features[window])),
            *(
                range(part.start // size, part.stop // size)
                for part, size in zip(window[1:], brick, strict=True)
            ),
        )
        recalls = []
        for (_, *place), signature, digest in zip(places, signatures, digests, strict=True):
            key = (self.layer, dim, *place, *features.shape[2:], digest)
            recalls.append(Recall(key, signature, self.store.get(key, self._near(signature))))
        return recalls

    def _near(self, signature: Signature) -> Callable[[Unit], bool]:
        return lambda unit: all(
            abs(now - then) <= self.tau for now, then in zip(signature, unit.signature, strict=True)
        )

    def _values(self, recalls: list[Recall], fresh: Tensor | None) -> Tensor:
        """Values of all units, (units, elements); those computed are stored."""
        if fresh is None:
            return _stacked([recall.unit.values for recall in recalls if recall.unit])
        finite = fresh.isfinite().all(1)
        packed = self._packed(fresh.where(finite[:, None], 0))
        values = plain(packed, fresh.dtype).where(finite[:, None], fresh)
        for index, recall in enumerate(recalls):
            if recall.unit is not None:
                values[index] = plain(recall.unit.values, fresh.dtype)[0]
            elif finite[index]:
                self.store.put(recall.key, Unit(_one(packed, index), recall.signature))
            else:
                self.store.stats.refused += 1
        return values

    def _packed(self, values: Tensor) -> Tensor | Quantized:
        if self.packing.quant == "none":
            return values
        fixed = self.limits if self.packing.scales == "tensor" else None
        low, high = fixed or (None, None)
        return quantize(values, low, high, dims=(1,))

    def _brick(self, features: Tensor, dim: str) -> Brick:
        channels, height, width = features.shape[1:]
        own_channels, columns, rows = self.daem.chunks
        return {
            "sum": (own_channels, rows, columns),
            "C": (own_channels, height, width),
            "W": (channels, height, columns),
            "H": (channels, rows, width),
        }[dim]


def split(tensor: Tensor, brick: Brick) -> Tensor:
    """(N, C, h, w) to its bricks, (units, elements): image by image, last axis fastest."""
    count, channels, height, width = tensor.shape
    deep, high, wide = brick
    shape = (count, channels // deep, deep, height // high, high, width // wide, wide)
    return tensor.reshape(shape).permute(0, 1, 3, 5, 2, 4, 6).reshape(-1, prod(brick))


def join(units: Tensor, shape: tuple[int, ...], brick: Brick) -> Tensor:
    """What `split` took apart, in its shape."""
    count, *sizes = shape
    grid = [size // step for size, step in zip(sizes, brick, strict=True)]
    return units.reshape(count, *grid, *brick).permute(0, 1, 4, 2, 5, 3, 6).reshape(shape)


def _digests(units: Tensor) -> list[bytes]:
    rows = units.contiguous().view(torch.uint8).cpu().numpy()
    return [hashlib.blake2b(row.data, digest_size=16).digest() for row in rows]


def _signatures(units: Tensor) -> list[Signature]:
    values = units.float()
    numbers = (values.mean(1), values.std(1, correction=0), values.amin(1), values.amax(1))
    return [tuple(row) for row in torch.stack(numbers, 1).tolist()]


def _one(packed: Tensor | Quantized, index: int) -> Tensor | Quantized:
    """One unit, copied, so that it does not keep the others alive."""
    if isinstance(packed, Tensor):
        return packed[index : index + 1].clone()
    parts = (packed.q, packed.scale, packed.zero_point)
    return Quantized(*(part[index : index + 1].clone() for part in parts))


def _stacked(units: list[Tensor | Quantized]) -> Tensor:
    """Values of many units, (units, elements)."""
    quantized = [unit for unit in units if isinstance(unit, Quantized)]
    if not quantized:
        return torch.cat([unit for unit in units if isinstance(unit, Tensor)])
    return dequantize(
        Quantized(
            torch.cat([unit.q for unit in quantized]),
            torch.cat([unit.scale for unit in quantized]),
            torch.cat([unit.zero_point for unit in quantized]),
        )
    )
