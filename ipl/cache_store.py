"""A budget of bytes: what was not read for longest leaves first, and what is pinned never."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Protocol

import psutil
import torch

Key = tuple[Hashable, ...]

FREE_SHARE = 4
"""A budget that nobody states is one part in so many of the memory that is free."""


class Entry(Protocol):
    """What a store holds: anything that knows its size."""

    @property
    def nbytes(self) -> int:
        """Bytes of its tensors."""
        ...


@dataclass(slots=True)
class CacheStats:
    """What a cache did since it was made or reset; ``dataclasses.asdict`` of it goes into a row.

    Parameters
    ----------
    hits, misses : int
        All look-ups: of a block at a time under ``position`` and ``pinned``, of a brick or chunk
        under ``content`` and ``tolerance``; those of ``pinned`` tiles one a tile.
    writes, refused, evictions : int
        Entries stored, not stored for want of room or because they were not finite, and thrown out.
    bytes : int
        Held now.
    digest_seconds : float
        Spent on recognising contents.
    """

    hits: int = 0
    misses: int = 0
    writes: int = 0
    refused: int = 0
    evictions: int = 0
    bytes: int = 0
    digest_seconds: float = 0.0


class Store:
    """Entries by key within ``max_bytes``, counted in ``stats``.

    Parameters
    ----------
    max_bytes : int or None
        Budget; None is settled by `settle`.
    """

    def __init__(self, max_bytes: int | None) -> None:
        self.max_bytes = max_bytes
        self.stats = CacheStats()
        self._pinned: dict[Key, Any] = {}
        self._passing: OrderedDict[Key, Any] = OrderedDict()

    @property
    def pinned(self) -> dict[Key, Any]:
        """Entries that stay, by key."""
        return dict(self._pinned)

    def settle(self, device: torch.device) -> None:
        """Where no budget was stated, take a share of what is free on the device now."""
        if self.max_bytes is not None:
            return
        if device.type == "cuda":
            free = torch.cuda.mem_get_info(device)[0]
        else:
            free = psutil.virtual_memory().available
        self.max_bytes = free // FREE_SHARE

    def get(self, key: Key, fits: Callable[[Any], bool] | None = None) -> Any:
        """The entry of a key, None where there is none or it does not fit; counts the look-up."""
        entry = self._pinned.get(key)
        if entry is None and (entry := self._passing.get(key)) is not None:
            self._passing.move_to_end(key)
        if entry is None or (fits is not None and not fits(entry)):
            self.stats.misses += 1
            return None
        self.stats.hits += 1
        return entry

    def put(self, key: Key, entry: Entry, *, pin: bool = False) -> bool:
        """Keep an entry, throwing out what was not read for longest; False where it cannot fit."""
        self._remove(key)
        limit = self.max_bytes or 0
        if sum(pinned.nbytes for pinned in self._pinned.values()) + entry.nbytes > limit:
            self.stats.refused += 1
            return False
        while self.stats.bytes + entry.nbytes > limit:
            _, oldest = self._passing.popitem(last=False)
            self.stats.bytes -= oldest.nbytes
            self.stats.evictions += 1
        (self._pinned if pin else self._passing)[key] = entry
        self.stats.bytes += entry.nbytes
        self.stats.writes += 1
        return True

    def clear(self, *, keep_pinned: bool = False) -> None:
        """Drop the entries; the counters go on."""
        self._passing.clear()
        if not keep_pinned:
            self._pinned.clear()
        self.stats.bytes = sum(entry.nbytes for entry in self._pinned.values())

    def reset(self, *, keep_pinned: bool = False) -> None:
        """Drop the entries and start counting anew."""
        self.stats = CacheStats()
        self.clear(keep_pinned=keep_pinned)

    def _remove(self, key: Key) -> None:
        for entries in (self._pinned, self._passing):
            if (old := entries.pop(key, None)) is not None:
                self.stats.bytes -= old.nbytes
