"""What a data set holds: its manifest, one line a scene, read with suspicion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

from dmef_bench import strict_json
from dmef_bench.errors import ManifestError

SCENE_SCHEMA = "dmef-scene/1"
DATASET_SCHEMA = "dmef-dataset/1"
SPLITS = ("train", "test")
CANONICAL = ("low", "medium", "high", "gt")
_HEX = frozenset("0123456789abcdef")


DATASET_FILE = "dataset.json"
"""What makes a folder a data set of ours."""


@dataclass(frozen=True)
class FileEntry:
    """One picture file of a scene.

    Parameters
    ----------
    role : str
        ``gt`` or ``sample{1,2,3}_{low,medium,high}``.
    path : str
        Relative POSIX path inside the data set.
    use : str
        ``truth``, ``input`` (the canonical triple) or ``aux``.
    sample, level
        Which frame, which exposure; ``level`` is None for the truth.
    bytes : int
        Size of the file.
    sha256, pixels : str
        SHA-256 of the file's bytes and of its decoded pixels.
    dtype : str
        ``uint8`` or ``uint16``.
    """

    role: str
    path: str
    use: str
    sample: int
    level: str | None
    bytes: int
    sha256: str
    pixels: str
    dtype: str


@dataclass(frozen=True)
class SceneEntry:
    """One line of ``manifest.jsonl``: where a scene came from, how it was made, what it holds."""

    scene: str
    split: str
    split_reason: str
    group: str
    group_reason: tuple[str, ...]
    uhd: bool
    height: int
    width: int
    source: dict[str, Any]
    samples: tuple[dict[str, Any], ...]
    selection: dict[str, Any]
    exposure: dict[str, Any]
    canonical: dict[str, str]
    audit: dict[str, Any]
    files: tuple[FileEntry, ...]
    recipe_sha256: str
    built_with: dict[str, str]

    @property
    def evs(self) -> tuple[float, float, float]:
        """Stops of low, medium and high, relative to the ground truth."""
        ev = self.exposure["ev"]
        return float(ev["low"]), float(ev["medium"]), float(ev["high"])

    @property
    def frame_times(self) -> tuple[Fraction, ...]:
        """Presentation times of the samples in the source video, in seconds."""
        tick = Fraction(self.source["time_base"])
        return tuple(sample["pts"] * tick for sample in self.samples)

    @property
    def aux(self) -> tuple[str, ...]:
        """Roles that no `Scene` carries: aligned exposures would give the answer away."""
        return tuple(entry.role for entry in self.files if entry.use == "aux")

    def canonical_file(self, name: str) -> FileEntry:
        """The file of ``"low"``, ``"medium"``, ``"high"`` or ``"gt"``."""
        role = self.canonical[name]
        return next(entry for entry in self.files if entry.role == role)

    @property
    def digest(self) -> str:
        """SHA-256 over the pixel hashes of the canonical triple and the truth, and the EVs."""
        pixels = [self.canonical_file(name).pixels for name in CANONICAL]
        return strict_json.digest({"pixels": pixels, "evs": self.evs})

    def to_line(self) -> str:
        """The scene as one line of strict JSON, without the line end."""
        record = {part.name: getattr(self, part.name) for part in fields(self)}
        record["files"] = [vars(entry) for entry in self.files]
        return strict_json.dumps({"schema": SCENE_SCHEMA, **record})

    @classmethod
    def from_line(cls, line: str, *, where: str) -> SceneEntry:
        """Read and check one line.

        Parameters
        ----------
        line : str
            JSON text; untrusted.
        where : str
            Names the line in messages, e.g. ``"manifest.jsonl line 7"``.

        Raises
        ------
        ManifestError
            Not JSON, another schema, a field missing or of the wrong kind, or a path that leaves
            the data set.
        """
        try:
            record = strict_json.loads(line)
        except ValueError as error:
            raise ManifestError(f"{where}: not JSON ({error}). The manifest is damaged.") from error
        _check_kind(record, dict, where, "the line")
        _check_schema(record, SCENE_SCHEMA, where)
        values = _take(record, _SCENE_KINDS, where)
        values["files"] = tuple(
            FileEntry(**_take(_checked(entry, dict, where, "files"), _FILE_KINDS, where))
            for entry in values["files"]
        )
        values["samples"] = tuple(values["samples"])
        values["group_reason"] = tuple(values["group_reason"])
        scene = cls(**values)
        scene._check(where)
        return scene

    def _check(self, where: str) -> None:
        if self.split not in SPLITS:
            raise ManifestError(f"{where}: split {self.split!r}; it is one of {', '.join(SPLITS)}.")
        roles = {entry.role for entry in self.files}
        for name in CANONICAL:
            if self.canonical.get(name) not in roles:
                raise ManifestError(f"{where}: scene {self.scene} names no file for {name!r}.")
        for entry in self.files:
            check_relative(entry.path, where)
            for digest in (entry.sha256, entry.pixels):
                if len(digest) != 64 or not _HEX.issuperset(digest):
                    raise ManifestError(f"{where}: {entry.path}: {digest!r} is no SHA-256.")
        for sample in self.samples:
            _check_kind(sample, dict, where, "samples")
            _take(sample, {"pts": int, "index": int, "sample": int}, where)
        try:
            evs, ticks = self.evs, self.frame_times
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise ManifestError(
                f"{where}: exposure.ev or source.time_base is damaged ({error!r})."
            ) from error
        if not evs[0] < evs[1] < evs[2] or len(ticks) != 3:
            raise ManifestError(f"{where}: three samples and three rising EVs are expected.")


_SCENE_KINDS: dict[str, type] = {
    "scene": str,
    "split": str,
    "split_reason": str,
    "group": str,
    "group_reason": list,
    "uhd": bool,
    "height": int,
    "width": int,
    "source": dict,
    "samples": list,
    "selection": dict,
    "exposure": dict,
    "canonical": dict,
    "audit": dict,
    "files": list,
    "recipe_sha256": str,
    "built_with": dict,
}
_FILE_KINDS: dict[str, type | tuple[type, ...]] = {
    "role": str,
    "path": str,
    "use": str,
    "sample": int,
    "level": (str, type(None)),
    "bytes": int,
    "sha256": str,
    "pixels": str,
    "dtype": str,
}


@dataclass(frozen=True)
class Manifest:
    """A whole data set as its manifest states it.

    Parameters
    ----------
    root : Path
        Folder of the data set.
    dataset : dict
        The content of ``dataset.json``.
    scenes : tuple of SceneEntry
        Sorted by scene id.
    """

    root: Path
    dataset: dict[str, Any]
    scenes: tuple[SceneEntry, ...]

    @classmethod
    def load(cls, root: Path) -> Manifest:
        """Read ``dataset.json`` and ``manifest.jsonl`` under ``root``; no picture is opened.

        Raises
        ------
        ManifestError
            Files missing, damaged, or with a path that leaves ``root``; the message names the line.
        """
        dataset = cls._load_dataset(root / DATASET_FILE)
        lines = _read_text(root / "manifest.jsonl").splitlines()
        scenes = tuple(
            SceneEntry.from_line(line, where=f"manifest.jsonl line {number}")
            for number, line in enumerate(lines, start=1)
        )
        _check_unique(scenes)
        return cls(root=root, dataset=dataset, scenes=scenes)

    @staticmethod
    def _load_dataset(path: Path) -> dict[str, Any]:
        try:
            dataset = strict_json.loads(_read_text(path))
        except ValueError as error:
            raise ManifestError(f"{path}: not JSON ({error}). Restore or rebuild it.") from error
        _check_kind(dataset, dict, path.name, "the file")
        _check_schema(dataset, DATASET_SCHEMA, path.name)
        return dataset

    def of_split(self, split: str) -> tuple[SceneEntry, ...]:
        """Scenes of ``"train"``, ``"test"`` or ``"all"``, sorted by id."""
        return tuple(scene for scene in self.scenes if split in {"all", scene.split})

    def file(self, entry: FileEntry) -> Path:
        """Where a file lies.

        Raises
        ------
        ManifestError
            A link on the way leads out of the data set.
        """
        path = self.root / entry.path
        if not path.resolve().is_relative_to(self.root.resolve()):
            raise ManifestError(
                f'manifest.jsonl: path "{entry.path}" leaves the dataset through a link. '
                "The data set is damaged or hostile; the file was not read."
            )
        return path


def check_relative(path: str, where: str) -> None:
    """Refuse a path that is not a plain relative POSIX path below the data set's root."""
    pure = PurePosixPath(path)
    plain = path and not pure.is_absolute() and ".." not in pure.parts and str(pure) == path
    if not plain or "\\" in path or ":" in path or "\0" in path:
        raise ManifestError(
            f'{where}: path "{path}" leaves the dataset. '
            "The manifest is damaged or hostile; nothing was read."
        )


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ManifestError(
            f"{path.parent} holds no {path.name}: not a data set, or its build did not finish. "
            "Give the folder that `dmef build -o` wrote, or run the build again."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: cannot be read ({error}).") from error


def _check_unique(scenes: tuple[SceneEntry, ...]) -> None:
    seen: set[str] = set()
    for scene in scenes:
        for name in (scene.scene, *(entry.path for entry in scene.files)):
            if name in seen:
                raise ManifestError(f"manifest.jsonl: {name} stands twice; the file is damaged.")
            seen.add(name)


def _check_schema(record: Mapping[str, Any], schema: str, where: str) -> None:
    if record.get("schema") != schema:
        raise ManifestError(
            f"{where}: schema {record.get('schema')!r}; this version of dmef reads {schema}. "
            "Use the version that wrote it, or rebuild the data set."
        )


def _take(
    record: Mapping[str, Any], kinds: Mapping[str, type | tuple[type, ...]], where: str
) -> dict[str, Any]:
    """The named fields of a record, each of its kind; further fields are left alone."""
    for name, kind in kinds.items():
        if name not in record:
            raise ManifestError(f"{where}: the field {name!r} is missing.")
        _check_kind(record[name], kind, where, name)
    return {name: record[name] for name in kinds}


def _checked(value: Any, kind: type, where: str, name: str) -> Any:
    _check_kind(value, kind, where, name)
    return value


def _check_kind(value: Any, kind: type | tuple[type, ...], where: str, name: str) -> None:
    # bool is an int to Python, but true is not a number of pixels.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        raise ManifestError(f"{where}: {name} is {value!r}, which is not of the expected kind.")
