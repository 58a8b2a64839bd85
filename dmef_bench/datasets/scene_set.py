"""What every data set offers to those who fuse its scenes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, overload

from dmef_bench import strict_json
from dmef_bench.scene import Scene

SPLIT_NAMES = ("train", "test", "all")


@dataclass(frozen=True)
class SceneFacts:
    """What is known of a scene before its pictures are decoded.

    Parameters
    ----------
    scene_id : str
        Its name.
    digest : str
        SHA-256 over its content: results are reused only while it stays the same.
    size : (height, width)
        Of its pictures.
    group : str or None
        The clip or place that it was cut from, with others like it; None where nobody names it.
    """

    scene_id: str
    digest: str
    size: tuple[int, int]
    group: str | None = None


class SceneSet(Sequence[Scene], ABC):
    """The scenes of one split, each read from disk when it is asked for.

    A data set gives `root`, `facts`, `select` and `read`; the rest follows.
    """

    dataset: str
    """Its name: ``"4k-dmef"``, ``"kalantari"``, ..."""
    split: str
    """``"train"``, ``"test"`` or ``"all"``."""
    linear: bool = False
    """Whether the ground truth is linear radiance (float32); else it is display-encoded."""
    has_truth: bool = True
    """Whether any scene has a ground truth."""

    @property
    @abstractmethod
    def root(self) -> Path:
        """Folder of the data set."""

    @property
    @abstractmethod
    def facts(self) -> tuple[SceneFacts, ...]:
        """Of each scene, sorted by id."""

    @abstractmethod
    def select(self, ids: Sequence[str]) -> Self:
        """The same data set cut down to the scenes named."""

    @abstractmethod
    def read(self, scene_id: str) -> Scene:
        """Decode one scene."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Scene ids, sorted."""
        return tuple(facts.scene_id for facts in self.facts)

    @property
    def digest(self) -> str:
        """SHA-256 over the scenes' digests, the name under which a protocol knows them."""
        return strict_json.digest([facts.digest for facts in self.facts])

    def __len__(self) -> int:
        return len(self.facts)

    @overload
    def __getitem__(self, index: int) -> Scene: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Scene]: ...
    def __getitem__(self, index: int | slice) -> Scene | Sequence[Scene]:
        if isinstance(index, slice):
            return self.select(self.ids[index])
        return self.read(self.ids[index])
