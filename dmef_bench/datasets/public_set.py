"""A data set that others publish: what is known of it, and its scenes where they lie on disk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from dmef_bench import strict_json
from dmef_bench.datasets.scene_set import SceneFacts, SceneSet
from dmef_bench.errors import ManifestError
from dmef_bench.imagefile import bytes_sha256
from dmef_bench.scene import Encoded, ExposureStack, Image, Scene


@dataclass(frozen=True)
class PublicSet:
    """What is known of a data set, and how its folders are recognised.

    Parameters
    ----------
    name : str
        For ``--dataset``.
    title, paper : str
        What people call it, and where it was published.
    where : str
        How to get it; nothing is downloaded by dmef.
    disk : str
        What it takes.
    licence : str
        As its owners state it.
    layout : str
        What the folder must look like, one line a level.
    counts : mapping
        Published number of scenes by split; empty where none is stated.
    size : (height, width) or None
        Published size of its pictures.
    find : callable
        Root to the scenes found, by split; empty where nothing is recognised.
    linear : bool
        Whether the truth is linear radiance.
    remark : str
        What a reader of its numbers must know.
    """

    name: str
    title: str
    paper: str
    where: str
    disk: str
    licence: str
    layout: str
    find: Callable[[Path], Mapping[str, Sequence[SceneSource]]]
    counts: Mapping[str, int]
    size: tuple[int, int] | None = None
    linear: bool = True
    remark: str = ""

    def lines(self) -> tuple[str, ...]:
        """What `dmef datasets` prints of it."""
        counts = " / ".join(f"{count} {split}" for split, count in self.counts.items())
        size = f", {self.size[1]}x{self.size[0]}" if self.size else ""
        facts = {
            "what": self.title,
            "paper": self.paper,
            "scenes": f"{counts or 'any number'}{size}",
            "truth": "linear radiance" if self.linear else "display-encoded, or none",
            "where": self.where,
            "disk": self.disk,
            "licence": self.licence,
            "note": self.remark,
        }
        stated = (f"  {name:8} {text}" for name, text in facts.items() if text)
        layout = (f"           {line}" for line in self.layout.splitlines())
        return (self.name, *stated, "  folder", *layout)


class SceneSource(ABC):
    """One scene on disk: its files, and how they become exposures and truth."""

    scene_id: str

    @property
    def has_truth(self) -> bool:
        """Whether there is something to hold a fused picture against."""
        return True

    @property
    def linear(self) -> bool:
        """Whether the truth is radiance, told by its file."""
        return False

    @property
    @abstractmethod
    def files(self) -> tuple[Path, ...]:
        """Every file that the scene is made of."""

    @abstractmethod
    def size(self) -> tuple[int, int]:
        """(height, width), from a header, without decoding."""

    @abstractmethod
    def read(self) -> tuple[ExposureStack, Encoded | Image | None]:
        """Decode exposures and truth."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the bytes of its files, whatever they are called."""
        return strict_json.digest([bytes_sha256(path) for path in self.files])


class PublicScenes(SceneSet):
    """The scenes of one split of a public set.

    Parameters
    ----------
    kind : PublicSet
        Which.
    root : Path
        Its folder.
    split : {"train", "test", "all"}
        Which half.
    sources : sequence of SceneSource
        The scenes found.
    """

    def __init__(
        self, kind: PublicSet, root: Path, split: str, sources: Sequence[SceneSource]
    ) -> None:
        self.dataset, self.split = kind.name, split
        self.linear = kind.linear or any(source.linear for source in sources)
        self.has_truth = any(source.has_truth for source in sources)
        self._kind, self._root = kind, root
        self._sources = {source.scene_id: source for source in sources}
        if len(self._sources) != len(sources):
            raise ManifestError(f"{root}: two scenes of {kind.name} bear one name; rename one.")

    @property
    def root(self) -> Path:
        """Folder of the data set."""
        return self._root

    @cached_property
    def facts(self) -> tuple[SceneFacts, ...]:
        """Of each scene, sorted by id."""
        return tuple(
            SceneFacts(source.scene_id, source.digest, source.size())
            for _, source in sorted(self._sources.items())
        )

    @property
    def ids(self) -> tuple[str, ...]:
        """Scene ids, sorted."""
        return tuple(sorted(self._sources))

    def __len__(self) -> int:
        return len(self._sources)

    def select(self, ids: Sequence[str]) -> Self:
        """The same data set cut down to the scenes named."""
        kept = [source for name, source in self._sources.items() if name in set(ids)]
        return type(self)(self._kind, self._root, self.split, kept)

    def read(self, scene_id: str) -> Scene:
        """Decode one scene."""
        source = self._sources[scene_id]
        stack, truth = source.read()
        return Scene(scene_id, stack, truth, digest=source.digest)
