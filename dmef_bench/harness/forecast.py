"""How much memory a network will take at a size, known without running it there."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dmef_bench.method import Method, traits

if TYPE_CHECKING:
    from dmef_bench.harness.dry_run import Place

logger = logging.getLogger(__name__)

Size = tuple[int, int]

# Multiples of 64, as some networks pad to that; and what is done in portions of 8192 pixels, as
# our transformers do it on a CPU, is already done in several.
_SMALL: tuple[Size, Size] = ((128, 128), (192, 192))

_BYTES_OF_FLOAT32 = 4


@dataclass(frozen=True)
class Footprint:
    """What a network holds, for any size of picture.

    Parameters
    ----------
    fixed : int
        Bytes of its parameters.
    lines : tuple of (float, float)
        For each operator of each module, bytes per pixel, and bytes at no pixel at all.

    Notes
    -----
    Each operator's memory is taken as a straight line through two small sizes, and the highest
    line counts: a global part that is the same at every size hides what grows only where it is
    larger. Over real peaks of one forward pass on a CPU (``benchmarks/memory_forecast.py``):
    AHDRNet and FSHDR 1.00, HDR-Transformer 0.97 to 1.00, SCTNet 0.99 to 1.07, IPL 0.89 to 1.07.
    """

    fixed: int
    lines: tuple[tuple[float, float], ...]

    def bytes_at(self, size: Size) -> int:
        """Bytes at the peak of one forward pass, parameters included."""
        area = math.prod(size)
        return self.fixed + round(max(slope * area + rest for slope, rest in self.lines))

    def largest(self, size: Size, free: int) -> Size | None:
        """The largest size of the same aspect whose sides are multiples of 16, which all take."""
        height, width = size
        for columns in range(width // 16, 0, -1):
            rows = round(columns * height / width)
            if rows and self.bytes_at((16 * rows, 16 * columns)) <= free:
                return 16 * rows, 16 * columns
        return None


def forecast_bytes(method: Method, size: Size) -> int | None:
    """Bytes that a network will hold at its peak, without running it at that size.

    It is run at 128x128 and at 192x192, which takes some seconds on a CPU. Not included: the
    process itself, and the stack in host memory. On a GPU: nor what cuDNN needs inside.

    Parameters
    ----------
    method : Method
        Any; a classical one has no forecast.
    size : (height, width)
        At which it would compute.

    Returns
    -------
    int or None
        None where there is no network, or it does not run on pictures alone.
    """
    footprint = footprint_of(method)
    return None if footprint is None else footprint.bytes_at(size)


def footprint_of(method: Method, device: str | None = None) -> Footprint | None:
    """Watch a method's network at two small sizes.

    Parameters
    ----------
    method : Method
        Any.
    device : str, optional
        The method's own, unless given. On ``"meta"`` nothing is computed; the operators are then
        those of a network that knows no better way for its device.

    Returns
    -------
    Footprint or None
        None as for `forecast_bytes`.
    """
    stated = traits(method)
    if stated.network is None:
        return None
    import torch

    from dmef_bench.harness.dry_run import held_bytes

    device = device or str(getattr(method, "device", "cpu"))
    try:
        with torch.random.fork_rng():
            network = stated.network().to(device, torch.float32).eval()
        small, large = (
            held_bytes(network, size, inputs=3, channels=stated.in_channels, device=device)
            for size in _SMALL
        )
    except (RuntimeError, TypeError, ValueError) as error:
        logger.info("%s has no forecast of its memory: %s", method.name, error)
        return None
    # Watched in float32: on a CPU without bfloat16 that would take twenty times as long.
    share = _bytes_of(str(getattr(method, "dtype", "float32"))) / _BYTES_OF_FLOAT32
    fixed = sum(p.numel() for p in network.parameters()) * _BYTES_OF_FLOAT32
    lines = tuple((share * slope, share * rest) for slope, rest in _lines(small, large))
    return Footprint(round(share * fixed), lines)


def _lines(small: Mapping[Place, int], large: Mapping[Place, int]) -> list[tuple[float, float]]:
    """Bytes per pixel and at none, of each place; one met at one size alone grows by area."""
    few, many = map(math.prod, _SMALL)
    lines = []
    for place in small.keys() | large.keys():
        if place in small and place in large:
            slope = (large[place] - small[place]) / (many - few)
        else:
            slope = large[place] / many if place in large else small[place] / few
        lines.append((slope, large.get(place, slope * many) - slope * many))
    return lines


def _bytes_of(dtype: str) -> int:
    import torch

    return int(getattr(torch, dtype).itemsize)
