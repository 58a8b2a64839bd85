"""What a run leaves behind: one line a scene, one object a method, and how they are read again."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from dmef_bench import strict_json
from dmef_bench.errors import RecordError
from dmef_bench.imagefile import write_atomic
from dmef_bench.protocol import Protocol, parse_size
from dmef_bench.scene import size_text

SCENE_SCHEMA = "dmef.scene/1.2"
RUN_SCHEMA = "dmef.run/1.2"
SCENES_FILE = "scenes.jsonl"
RUN_FILE = "run.json"


class Status(StrEnum):
    """How fusing one scene, or one method on all scenes, ended."""

    OK = "ok"
    OOM = "oom"
    TIMEOUT = "timeout"
    ERROR = "error"
    UNAVAILABLE = "unavailable"
    INTERRUPTED = "interrupted"


FINAL = frozenset({Status.OK, Status.OOM, Status.TIMEOUT, Status.ERROR})
"""Results that stand until asked to be retried; the others are run again by themselves."""

MEASURED = ("max_resolution", "timing", "memory", "cost")
"""Parts of ``run.json`` that say what a row costs; absent from records of schema 1.0."""

_SIZES = ("fused_size", "native_size", "tile")

UNTRAINED = "untrained"
"""Flag of scenes fused with random weights: time and cost, and no figure of quality."""

STREAMED = "streamed"
"""Flag of a picture fused band by band, in bounded memory, because its method chose to."""

GLOBAL_TILED = "global_tiled"
"""Flag of tiles fused by a method that would answer otherwise if it saw the whole picture."""

EQUALS_TRUTH = "equals_truth"
"""Flag of a method that returned the ground truth itself: a leak, until explained."""

FORESEEN = "forecast"
"""``oom_kind`` of a picture that was not tried: its method would not have found the memory."""

COPIES_INPUT = "copies_input"
"""Flag of a method that returned one of the exposures."""


@dataclass(frozen=True)
class SceneScore:
    """One line of ``scenes.jsonl``: one method on one scene.

    Parameters
    ----------
    scene_id : str
        Which scene.
    group : str or None
        The clip or place that it was cut from; None where the data set names none, and in records
        of schema 1.1.
    status : Status
        How it ended; ``scores`` is empty unless ``ok``.
    scores : mapping of str to float or None
        Metric convention id to value; None where ``unavailable`` says why.
    fused_size, native_size : (height, width)
        Where the method computed, and the size of the truth.
    seconds : mapping
        ``e2e``: the fused picture from the decoded stack, resizing included, one call;
        ``io_read``, ``metrics``.
    unavailable : mapping
        Convention id to the reason why its score is None.
    flags : tuple of str
        Further marks of the row.
    sse, samples : int
        Sum of squared 8-bit differences, and how many samples it runs over.
    masked : mapping
        Convention id of a metric over part of the picture to its own ``sse`` and ``samples``.
    mr_source : str or None
        Where ``fused_size`` comes from: ``native``, ``given``, ``search`` or ``paper``.
    tile : (height, width) or None
        Size of the tiles, where tiles were fused.
    seam_score : float or None
        Of tiled runs: how visible the seams are; 1 where they are not.
    cache : mapping or None
        What the method's cache counted during this scene.
    error : mapping or None
        ``kind``, ``type``, ``message``, ``where`` of a failure; of ``oom`` also ``oom_kind``,
        where it was no exception: ``budget``, ``system`` or `FORESEEN`.
    """

    scene_id: str
    status: Status
    scores: Mapping[str, float | None] = field(default_factory=dict)
    fused_size: tuple[int, int] | None = None
    native_size: tuple[int, int] | None = None
    seconds: Mapping[str, float | None] = field(default_factory=dict)
    unavailable: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    sse: int | None = None
    samples: int | None = None
    masked: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    mr_source: str | None = None
    tile: tuple[int, int] | None = None
    seam_score: float | None = None
    cache: Mapping[str, float] | None = None
    error: Mapping[str, str] | None = None
    fused_sha256: str | None = None
    group: str | None = None
    scene_digest: str = ""
    method_digest: str = ""
    fingerprint: str = ""
    attempt: int = 1
    started: str = ""

    def to_line(self) -> str:
        """The score as one line of strict JSON, without the line end."""
        record = {part.name: getattr(self, part.name) for part in fields(self)}
        record["metrics"] = record.pop("scores")
        for name in _SIZES:
            record[name] = record[name] and size_text(record[name])
        return strict_json.dumps({"schema": SCENE_SCHEMA, **record})

    @classmethod
    def from_line(cls, line: str, *, where: str) -> SceneScore:
        """Read one line back.

        Raises
        ------
        RecordError
            Damaged, or of another schema.
        """
        try:
            record = strict_json.loads(line)
            _check_schema(record, SCENE_SCHEMA, where)
            record["scores"] = {
                name: None if value is None else strict_json.number(value)
                for name, value in record.pop("metrics").items()
            }
            known = {part.name: record[part.name] for part in fields(cls) if part.name in record}
            known["status"] = Status(known["status"])
            known["flags"] = tuple(known["flags"])
            for name in _SIZES:
                known[name] = parse_size(known[name]) if known.get(name) else None
            return cls(**known)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, RecordError):
                raise
            raise RecordError(f"{where}: damaged record ({error!r}).") from error


@dataclass(frozen=True)
class MethodResult:
    """One method under one protocol: its scores, and where they were measured.

    Parameters
    ----------
    row : str
        The row's name on the board: the method's, its options, or its label.
    method : mapping
        ``name``, ``target``, ``paper``, ``kind`` (``method`` or ``bound``), ``options``,
        ``digest`` and further traits.
    protocol : Protocol
        The rules.
    scenes : tuple of SceneScore
        In the data set's order.
    environment : mapping
        Device, versions, flags.
    status : Status
        ``ok`` if every scene is; else the first that is not.
    max_resolution : mapping or None
        ``size``, ``source``, ``probes`` of the search for the size that fits into memory.
    timing, memory, cost : mapping or None
        Clocks with all their samples, peaks in bytes, parameters and MACs; None where not measured.
    """

    row: str
    method: Mapping[str, Any]
    protocol: Protocol
    scenes: tuple[SceneScore, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    status: Status = Status.OK
    max_resolution: Mapping[str, Any] | None = None
    timing: Mapping[str, Any] | None = None
    memory: Mapping[str, Any] | None = None
    cost: Mapping[str, Any] | None = None
    reason: str = ""
    expected: int = 0
    command: tuple[str, ...] = ()
    seed: int = 0
    started: str = ""
    finished: str = ""

    @property
    def is_bound(self) -> bool:
        """Whether the row is a bound, which is shown and never ranked."""
        return self.method.get("kind") == "bound"

    @property
    def ok(self) -> tuple[SceneScore, ...]:
        """The scenes that have scores."""
        return tuple(scene for scene in self.scenes if scene.status is Status.OK)

    def mean(self, metric: str) -> float:
        """Mean of a metric over the scenes where it is finite.

        All infinite gives infinity, no score at all gives NaN.
        """
        values = [score for scene in self.ok if (score := scene.scores.get(metric)) is not None]
        finite = [value for value in values if math.isfinite(value)]
        if not values:
            return math.nan
        return math.fsum(finite) / len(finite) if finite else math.inf

    def means(self) -> dict[str, float | None]:
        """`mean` of every metric of the protocol; None where there is no score."""
        found = {metric: self.mean(metric) for metric in self.protocol.metrics}
        return {name: None if math.isnan(mean) else mean for name, mean in found.items()}

    def save(self, folder: Path) -> None:
        """Write ``run.json`` and, where there is none yet, ``scenes.jsonl`` into ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(
            folder / RUN_FILE, (strict_json.dumps(self.to_record(), indent=2) + "\n").encode()
        )
        scenes = folder / SCENES_FILE
        if not scenes.exists():
            write_atomic(scenes, "".join(f"{scene.to_line()}\n" for scene in self.scenes).encode())

    def to_record(self) -> dict[str, Any]:
        """The content of ``run.json``."""
        counts = {
            "scenes": self.expected,
            "ok": len(self.ok),
            "failed": len(self.scenes) - len(self.ok),
        }
        return {
            "schema": RUN_SCHEMA,
            "row": self.row,
            "method": dict(self.method),
            "protocol": self.protocol.in_force,
            "fingerprint": self.protocol.fingerprint,
            "environment": dict(self.environment),
            **{part: getattr(self, part) for part in MEASURED},
            "status": self.status,
            "reason": self.reason,
            "counts": counts,
            "command": self.command,
            "seed": self.seed,
            "started": self.started,
            "finished": self.finished,
        }

    @classmethod
    def load(cls, folder: Path) -> MethodResult:
        """Read a row's folder back.

        Raises
        ------
        RecordError
            No run there, damaged, or of another schema.
        """
        path = folder / RUN_FILE
        try:
            record = strict_json.loads(path.read_text(encoding="utf-8"))
            _check_schema(record, RUN_SCHEMA, str(path))
            protocol = Protocol.from_record(record["protocol"])
            digest = record["method"].get("digest", "")
            scenes = read_scores(folder / SCENES_FILE)
            return cls(
                row=record["row"],
                method=record["method"],
                protocol=protocol,
                # Lines of an older state of the method may stand above: they are not this row's.
                scenes=tuple(scene for scene in scenes if scene.method_digest == digest),
                environment=record["environment"],
                status=Status(record["status"]),
                **{part: record.get(part) for part in MEASURED},
                reason=record["reason"],
                expected=record["counts"]["scenes"],
                command=tuple(record["command"]),
                seed=record["seed"],
                started=record["started"],
                finished=record["finished"],
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, RecordError):
                raise
            raise RecordError(f"{path}: no readable result ({error!r}).") from error


def append_score(path: Path, score: SceneScore) -> None:
    """Append one line to ``scenes.jsonl``: one write, then fsync; a kill loses at most this line.

    An unfinished last line, left by a kill, is ended first so that it cannot swallow this one.
    """
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(f"{score.to_line()}\n".encode())
        file.flush()
        os.fsync(file.fileno())


def read_scores(path: Path) -> tuple[SceneScore, ...]:
    """The lines of ``scenes.jsonl``; the last line about a scene counts, half-written ones do not.

    Raises
    ------
    RecordError
        A complete line of another schema.
    """
    if not path.exists():
        return ()
    latest: dict[str, SceneScore] = {}
    for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), 1):
        if not _is_whole(line):
            continue
        score = SceneScore.from_line(line, where=f"{path} line {number}")
        latest[score.scene_id] = score
    return tuple(latest.values())


def _is_whole(line: str) -> bool:
    """Whether a line is JSON at all; a kill in mid-write leaves one that is not."""
    try:
        strict_json.loads(line)
    except ValueError:
        return False
    return True


def summarise(scenes: Iterable[SceneScore], expected: int) -> Status:
    """One status for a whole row: ``ok`` only if every scene is."""
    scenes = tuple(scenes)
    failed = [scene.status for scene in scenes if scene.status is not Status.OK]
    if failed:
        return failed[0]
    return Status.OK if len(scenes) == expected else Status.INTERRUPTED


def ordered(scenes: Iterable[SceneScore], ids: Iterable[str]) -> tuple[SceneScore, ...]:
    """The scores of the scenes named, in that order; scenes without a score are left out."""
    by_id = {scene.scene_id: scene for scene in scenes}
    return tuple(by_id[scene_id] for scene_id in ids if scene_id in by_id)


def without_paths(text: str) -> str:
    """A message fit for a record: the working folder and the home folder are not named."""
    for folder, stand_in in ((Path.cwd(), "."), (Path.home(), "~")):
        # The root folder is no secret, and replacing "/" would spoil the text.
        if folder != Path(folder.anchor):
            text = text.replace(str(folder), stand_in)
    return text


def _check_schema(record: Any, schema: str, where: str) -> None:
    """Same major version; a higher minor version is read."""
    stated = record.get("schema") if isinstance(record, Mapping) else None
    if not isinstance(stated, str):
        raise RecordError(f"{where}: no dmef record; it states no schema.")
    if stated.rpartition(".")[0] != schema.rpartition(".")[0]:
        raise RecordError(
            f"{where}: schema {stated}, this version of dmef reads {schema}. "
            "Measure again, or use the version that wrote it."
        )
