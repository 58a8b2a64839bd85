"""What a build leaves behind of every video: its scenes, or the reason why there are none."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from dmef_bench import strict_json
from dmef_bench.building.layout import SCRATCH
from dmef_bench.building.recipe import Recipe
from dmef_bench.building.sources import Source
from dmef_bench.imagefile import write_atomic

SCHEMA = 1
"""Raised whenever the same video and recipe would give other files."""

Record = dict[str, Any]
"""``key``, ``recipe``, ``schema``, ``video``, ``source``, ``place``, ``scenes`` (manifest lines
without side and paths), ``dropped``, ``selection``; and ``refused``, the reason or None."""


def blank_record(source: Source, recipe: Recipe) -> Record:
    """The record of a video before anything is known of it."""
    return {
        "key": content_key(source, recipe),
        "recipe": recipe.digest,
        "schema": SCHEMA,
        "video": public_name(source, recipe),
        "source": source.sha256,
        "place": place_key(source.path),
        "scenes": [],
        "dropped": [],
        "selection": None,
        "refused": None,
    }


def belongs(record: Record, recipe: Recipe) -> bool:
    """Whether a record is of this recipe and this code."""
    return record.get("recipe") == recipe.digest and record.get("schema") == SCHEMA


def public_name(source: Source, recipe: Recipe) -> str:
    """A video's name as it stands in the data set: its own, or one that says nothing."""
    if recipe.anonymous_names:
        return f"{source.sha256[:16]}{source.path.suffix.lower()}"
    return source.path.name


def place_key(path: Path) -> str:
    """A path as a record keeps it: to be known again, not to be read."""
    return hashlib.sha256(str(path).encode()).hexdigest()[:16]


def content_key(source: Source, recipe: Recipe) -> str:
    """What a record depends on: the source, its picks, the recipe, and this code's schema."""
    parts: dict[str, Any] = {
        "source": source.sha256,
        "recipe": recipe.digest,
        "schema": SCHEMA,
    }
    if source.fps is not None:
        parts["fps"] = source.fps
    if source.picks:
        parts["picks"] = [[pick.unit, *pick.times] for pick in source.picks]
    if source.repeats:
        parts["repeats"] = list(source.repeats)
    return strict_json.digest(parts)


def record_path(root: Path, sha256: str) -> Path:
    """Where the record of a source lies."""
    return root / SCRATCH / "records" / f"{sha256[:16]}.json"


def write_record(root: Path, record: Record) -> None:
    """Keep a record; from then on its video counts as done."""
    path = record_path(root, record["source"])
    write_atomic(path, strict_json.dumps(record).encode())


def read_records(root: Path) -> dict[str, Record]:
    """Source SHA-256 to record, for every video that was worked on."""
    found = {}
    for path in sorted((root / SCRATCH / "records").glob("*.json")):
        record = strict_json.loads(path.read_text(encoding="utf-8"))
        found[record["source"]] = record
    return found
