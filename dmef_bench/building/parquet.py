"""The manifest as one Parquet table, a row a scene: for pandas, DuckDB and dataset viewers."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from dmef_bench import strict_json
from dmef_bench.manifest import CANONICAL, Manifest, SceneEntry

if TYPE_CHECKING:
    import pyarrow as pa

_LEVELS = ("low", "medium", "high")
_AUDITED = ("copy_db", "curve_db", "clip", "black", "mean")


def parquet_table(manifest: Manifest) -> pa.Table:
    """One row a scene: what people sort and filter by, and the whole line as text (``record``)."""
    import pyarrow as pa

    rows = [_row(scene) for scene in manifest.scenes]
    return pa.Table.from_pylist(rows, schema=_schema())


def parquet_bytes(manifest: Manifest) -> bytes:
    """`parquet_table` as a file; one version of pyarrow always gives the same bytes."""
    from pyarrow import parquet

    buffer = BytesIO()
    parquet.write_table(parquet_table(manifest), buffer, compression="snappy")
    return buffer.getvalue()


def _schema() -> pa.Schema:
    import pyarrow as pa

    text, real, whole = pa.string(), pa.float64(), pa.int64()
    columns = {
        "scene": text, "split": text, "group": text, "height": whole, "width": whole,
        "uhd": pa.bool_(), "source": text, "source_sha256": text, "licence": text,
        "consent": text, "url": text, "seconds": pa.list_(real), "preset": text, "model": text,
        "noise": text, "flags": pa.list_(text),
    }  # fmt: skip
    columns |= {f"{level}_ev": real for level in _LEVELS}
    columns |= {f"{level}_{figure}": real for level in _LEVELS for figure in _AUDITED}
    for role in CANONICAL:
        columns |= {role: text, f"{role}_sha256": text, f"{role}_pixels": text}
    return pa.schema([*columns.items(), ("record", text)])


def _row(scene: SceneEntry) -> dict[str, Any]:
    row = {
        name: getattr(scene, name) for name in ("scene", "split", "group", "height", "width", "uhd")
    }
    source = scene.source
    row |= {"source": source.get("name"), "source_sha256": source.get("sha256")}
    row |= {name: source.get(name) for name in ("licence", "consent", "url")}
    row |= {name: scene.exposure.get(name) for name in ("preset", "model", "noise")}
    row["seconds"] = [float(time) for time in scene.frame_times]
    row["flags"] = list(scene.audit.get("flags", ()))
    for level, ev in zip(_LEVELS, scene.evs, strict=True):
        row[f"{level}_ev"] = ev
        audit = scene.audit.get(level, {})
        for figure in _AUDITED:
            row[f"{level}_{figure}"] = strict_json.number(audit[figure]) if audit else None
    for role in CANONICAL:
        entry = scene.canonical_file(role)
        row |= {role: entry.path, f"{role}_sha256": entry.sha256, f"{role}_pixels": entry.pixels}
    return row | {"record": scene.to_line()}


def column_types() -> dict[str, str]:
    """Column to Arrow type, as text."""
    return {field.name: str(field.type) for field in _schema()}
