"""Bilinear resampling with aligned corners, of any rows and columns by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

# Columns that one narrow matrix makes, from about 8 of a map at 1080p: less than half the time of
# the whole matrix, and of interpolation (benchmarks/ipl_cache.py --columns).
STRIP = 16


@dataclass(frozen=True)
class Taps:
    """Along one axis, the two neighbours that each target lies between, and where.

    Parameters
    ----------
    lower, upper : tuple of int
        Neighbours of each target among the sources, both rising.
    weight : tuple of float
        Of the upper one, in [0, 1].
    """

    lower: tuple[int, ...]
    upper: tuple[int, ...]
    weight: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.weight)

    def __getitem__(self, targets: slice) -> Taps:
        return Taps(self.lower[targets], self.upper[targets], self.weight[targets])

    @property
    def sources(self) -> list[int]:
        """The sources that any target needs, rising."""
        return sorted({*self.lower, *self.upper})

    def at(self, targets: Sequence[int]) -> Taps:
        """The taps of some targets alone."""
        return Taps(
            tuple(self.lower[target] for target in targets),
            tuple(self.upper[target] for target in targets),
            tuple(self.weight[target] for target in targets),
        )

    def among(self, kept: Sequence[int]) -> Taps:
        """The same taps where only these sources were kept; they hold `sources`."""
        place = {source: index for index, source in enumerate(kept)}
        lower, upper = (tuple(place[tap] for tap in taps) for taps in (self.lower, self.upper))
        return Taps(lower, upper, self.weight)

    def rows(self, tensor: Tensor) -> Tensor:
        """Resample the last axis but one, (..., n, w) to (..., targets, w)."""
        if tensor.device.type != "cpu":
            first, second, weights = self._tensors(tensor)
            return torch.lerp(tensor[..., first, :], tensor[..., second, :], weights[:, None])
        out = tensor.new_empty(*tensor.shape[:-2], len(self), tensor.shape[-1])
        for target, (lower, upper, weight) in enumerate(self.each()):
            neighbours = tensor[..., lower, :], tensor[..., upper, :]
            torch.lerp(*neighbours, weight, out=out[..., target, :])
        return out

    def columns(self, tensor: Tensor) -> Tensor:
        """Resample the last axis, (..., n) to (..., targets)."""
        if tensor.device.type != "cpu":
            first, second, weights = self._tensors(tensor)
            return torch.lerp(tensor[..., first], tensor[..., second], weights)
        # Gathering from the fastest axis takes ten times as long as these narrow products.
        flat = tensor.reshape(-1, tensor.shape[-1])
        out = flat.new_empty(len(flat), len(self))
        for targets, sources, matrix in self._strips:
            torch.mm(flat[:, sources], matrix.to(flat.dtype), out=out[:, targets])
        return out.view(*tensor.shape[:-1], len(self))

    def each(self) -> zip[tuple[int, int, float]]:
        """Lower and upper neighbour and weight, target by target."""
        return zip(self.lower, self.upper, self.weight, strict=True)

    @cached_property
    def _strips(self) -> list[tuple[slice, slice, Tensor]]:
        """Targets, the sources they need, and the matrix between them."""
        strips = []
        for start in range(0, len(self), STRIP):
            part = self[start : start + STRIP]
            first, last = part.lower[0], part.upper[-1] + 1
            matrix = torch.zeros(last - first, len(part))
            for column, (lower, upper, weight) in enumerate(part.each()):
                matrix[lower - first, column] += 1 - weight
                matrix[upper - first, column] += weight
            strips.append((slice(start, start + len(part)), slice(first, last), matrix))
        return strips

    def _tensors(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        lower, upper = (torch.tensor(taps, device=like.device) for taps in (self.lower, self.upper))
        return lower, upper, like.new_tensor(self.weight)


@lru_cache(maxsize=16)
def aligned(sources: int, targets: int) -> Taps:
    """Taps of ``functional.interpolate(..., mode="bilinear", align_corners=True)`` on one axis."""
    # In float32, as torch computes them: near 192, double precision would move weights by 1e-5.
    scale = torch.tensor(sources - 1.0) / max(targets - 1, 1)
    places = (torch.arange(targets) * scale).clamp(max=sources - 1)
    lower = places.floor()
    upper = (lower + 1).clamp(max=sources - 1)
    return Taps(
        tuple(map(int, lower.tolist())),
        tuple(map(int, upper.tolist())),
        tuple((places - lower).tolist()),
    )
