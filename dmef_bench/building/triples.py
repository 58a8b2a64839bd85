"""Three frames of a clip, and what became of all the candidates for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from dmef_bench.building.clip import Clip
from dmef_bench.errors import VideoError

Indices = tuple[int, int, int]
"""Frame numbers of samples 1, 2 and 3."""


@dataclass(frozen=True)
class Triple:
    """Three frames of a clip, in order of time, and what was measured of them.

    Parameters
    ----------
    indices, pts : tuple of int
        Samples 1, 2, 3: frame numbers, and presentation times in ticks.
    measurements : dict
        By the manifest's names; fewer where a candidate fell early.
    reason : str
        Why it was not taken; empty where nothing speaks against it.
    """

    indices: Indices
    pts: tuple[int, int, int]
    measurements: dict[str, Any] = field(default_factory=dict)
    reason: str = ""

    def to_record(self) -> dict[str, Any]:
        """As ``selection.jsonl`` keeps it."""
        record = asdict(self)
        return record if self.reason else {k: v for k, v in record.items() if k != "reason"}


@dataclass(frozen=True)
class Selection:
    """What became of a clip's candidates.

    Parameters
    ----------
    triples : tuple of Triple
        The chosen, best first.
    rejected : tuple of Triple
        Those that a criterion ruled out, in order of time.
    candidates : int
        How many were looked at; some are neither chosen nor rejected.
    """

    triples: tuple[Triple, ...]
    rejected: tuple[Triple, ...] = ()
    candidates: int = 0

    def to_record(self) -> dict[str, Any]:
        """As ``selection.jsonl`` keeps it."""
        return {
            "candidates": self.candidates,
            "chosen": [triple.to_record() for triple in self.triples],
            "rejected": [triple.to_record() for triple in self.rejected],
        }


class NoTripleError(VideoError):
    """No candidate passed; ``selection`` keeps what was measured of each."""

    def __init__(self, message: str, selection: Selection | None = None) -> None:
        super().__init__(message)
        self.selection = selection


def triple_of(
    clip: Clip,
    indices: Sequence[int],
    measurements: dict[str, Any] | None = None,
    reason: str = "",
) -> Triple:
    """The triple at these frame numbers."""
    first, second, third = indices
    pts = (clip.pts[first], clip.pts[second], clip.pts[third])
    return Triple((first, second, third), pts, measurements or {}, reason)
