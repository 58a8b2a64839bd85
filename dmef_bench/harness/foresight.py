"""Whether a method will find the memory it needs, said before it is tried."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import psutil

from dmef_bench.harness.forecast import Footprint, footprint_of
from dmef_bench.method import Method, StagedMethod, traits
from dmef_bench.scene import size_text
from dmef_bench.units import bytes_text

Size = tuple[int, int]

MARGIN = 1.1
"""A forecast must pass what is free by so much before it is believed: over real peaks of our
networks it is 0.89 to 1.07 (`Footprint`), so what would fit is never refused."""

AMPLE = 16 * 2**10
"""Bytes a pixel with which every network is content; the hungriest we know, FSHDR, takes 4,700."""


@runtime_checkable
class SelfStreaming(Method, Protocol):
    """Optional: a method whose ``fuse`` may go band by band, and says when."""

    def streams(self, size: Size) -> bool:
        """Whether a stack of this (height, width) is fused band by band."""
        ...


@dataclass(frozen=True)
class Shortage:
    """A method that will not fit.

    Parameters
    ----------
    method : str
        Its name.
    size : (height, width)
        At which it would compute.
    forecast, free : int
        Bytes that it would hold at its peak, and bytes that it may take.
    fitting : (height, width) or None
        The largest size of the same aspect that fits; None where none does.
    """

    method: str
    size: Size
    forecast: int
    free: int
    fitting: Size | None

    def text(self, *, auto: bool) -> str:
        """What to tell the user, ``--mr auto`` included where it exists."""
        sizes = ["auto"] * auto + ([size_text(self.fitting)] if self.fitting else [])
        way = f"--fit tile or downsample with --mr {' or '.join(sizes)} would run"
        return (
            f"{self.method} at {size_text(self.size)}: forecast {bytes_text(self.forecast)}, "
            f"{bytes_text(self.free)} free; {way if self.fitting else 'it fits at no size'}. "
            "--no-forecast tries all the same."
        )


@dataclass(eq=False)
class Foresight:
    """Looks at a method's network once, and only where it may be too much.

    Parameters
    ----------
    method : Method
        Any. There is something to foresee where it is a network whose stages run it as a whole:
        nothing is said of classical methods, nor of what goes band by band.
    limit : int, optional
        Bytes that the process, or on a GPU its tensors, may take; all that are free unless given.
    """

    method: Method
    limit: int | None = None

    def shortage(self, size: Size) -> Shortage | None:
        """What is missing at a size (height, width); None where it may fit.

        First by shapes alone, which takes a second or two and never says too little for the
        networks we know. What seems too large then is watched on the method's own device, at
        sizes where it takes some seconds.
        """
        if traits(self.method).network is None or not isinstance(self.method, StagedMethod):
            return None
        free = free_bytes(self.method.device, self.limit)
        if AMPLE * math.prod(size) <= free or streams(self.method, size):
            return None
        by_shapes = self._by_shapes
        if by_shapes is not None and by_shapes.bytes_at(size) <= MARGIN * free:
            return None
        watched = self._watched
        if watched is None or watched.bytes_at(size) <= MARGIN * free:
            return None
        return Shortage(
            self.method.name, size, watched.bytes_at(size), free, watched.largest(size, free)
        )

    @cached_property
    def _by_shapes(self) -> Footprint | None:
        return footprint_of(self.method, "meta")

    @cached_property
    def _watched(self) -> Footprint | None:
        return footprint_of(self.method)


def streams(method: Method, size: Size) -> bool:
    """Whether ``fuse`` goes band by band at this (height, width); False for most methods."""
    return isinstance(method, SelfStreaming) and method.streams(size)


def free_bytes(device: str, limit: int | None = None) -> int:
    """Memory that can still be had on a device, swap space included.

    Parameters
    ----------
    device : str
        ``"cpu"``, ``"cuda:0"``.
    limit : int, optional
        Bytes in all, of which some are taken already: by this process, or by its tensors.
    """
    if not device.startswith("cuda"):
        free = int(psutil.virtual_memory().available + psutil.swap_memory().free)
        taken = int(psutil.Process().memory_info().rss)
    else:
        import torch

        taken = int(torch.cuda.memory_allocated(device))
        # What the allocator keeps in reserve is free to us.
        kept = int(torch.cuda.memory_reserved(device)) - taken
        free = int(torch.cuda.mem_get_info(device)[0]) + kept
    return free if limit is None else max(min(free, limit - taken), 0)
