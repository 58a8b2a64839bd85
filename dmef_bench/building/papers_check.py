"""Whether the papers of a data set still tell what its manifest says."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dmef_bench import strict_json
from dmef_bench.building.derived import (
    CROISSANT,
    TABLE,
    derived_names,
    metadata_lines,
    metadata_path,
)
from dmef_bench.building.parquet import parquet_table
from dmef_bench.imagefile import bytes_sha256
from dmef_bench.manifest import SPLITS, Manifest

_MEND = "`dmef describe ROOT` writes it again."


def check_papers(manifest: Manifest, *, quick: bool) -> list[str]:
    """Cards and tables that are missing, or that tell of another manifest.

    Parameters
    ----------
    manifest : Manifest
        Of the data set.
    quick : bool
        Existence only.
    """
    missing = [name for name in derived_names(manifest) if not (manifest.root / name).is_file()]
    problems = [f"{name}: missing. {_MEND}" for name in missing]
    if quick or missing:
        return problems
    for name, agrees in _tables(manifest):
        if not agrees:
            problems.append(f"{name}: does not hold what the manifest says. {_MEND}")
    return problems + _check_croissant(manifest.root)


def _tables(manifest: Manifest) -> Iterator[tuple[str, bool]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        # The bytes may come from another version of pyarrow; the content is what counts.
        yield TABLE, parquet.read_table(manifest.root / TABLE).equals(parquet_table(manifest))
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError, AttributeError):
        yield TABLE, False
    for split in SPLITS:
        if scenes := manifest.of_split(split):
            path = metadata_path(split)
            yield path, (manifest.root / path).read_bytes() == metadata_lines(scenes).encode()


def _check_croissant(root: Path) -> list[str]:
    try:
        described = strict_json.loads((root / CROISSANT).read_text(encoding="utf-8"))
        table = next(each for each in described["distribution"] if each["@id"] == TABLE)
        agrees = table["sha256"] == bytes_sha256(root / TABLE)
    except (ValueError, KeyError, TypeError, StopIteration):
        return [f"{CROISSANT}: damaged. {_MEND}"]
    if not agrees:
        return [f"{CROISSANT}: names another {TABLE}. {_MEND}"]
    return [f"{CROISSANT}: {fault} {_MEND}" for fault in _croissant_faults(described)]


def _croissant_faults(described: dict[str, Any]) -> list[str]:
    """What ``mlcroissant`` finds wrong; nothing where it is not installed."""
    if importlib.util.find_spec("mlcroissant") is None:
        return []
    with _quiet():
        import mlcroissant

        try:
            mlcroissant.Dataset(jsonld=described)
        except mlcroissant.ValidationError as error:
            return [f"mlcroissant refuses it: {' '.join(str(error).split())}."]
    return []


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what mlcroissant logs on the way; what it refuses is returned."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
