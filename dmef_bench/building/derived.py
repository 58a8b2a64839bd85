"""Everything in a data set that its manifest alone determines, written and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dmef_bench import strict_json
from dmef_bench.building.card import dataset_card, datasheet
from dmef_bench.building.croissant import croissant
from dmef_bench.building.inventory import write_checksums
from dmef_bench.building.layout import split_lists
from dmef_bench.building.parquet import parquet_bytes
from dmef_bench.errors import ManifestError
from dmef_bench.imagefile import write_atomic
from dmef_bench.manifest import CANONICAL, DATASET_FILE, SPLITS, Manifest, SceneEntry

DATASHEET = "DATASHEET.md"
CARD = "README.md"
CROISSANT = "croissant.json"
TABLE = "manifest.parquet"
_KEPT = (DATASET_FILE, "manifest.jsonl", "selection.jsonl")


def metadata_path(split: str) -> str:
    """Where image-folder readers look for the names of a side's pictures."""
    return f"{split}/metadata.jsonl"


def derived_names(manifest: Manifest) -> tuple[str, ...]:
    """Relative paths of all files that `write_derived` writes."""
    sides = [split for split in SPLITS if manifest.of_split(split)]
    return (CARD, DATASHEET, CROISSANT, TABLE, *map(metadata_path, sides))


def write_derived(root: Path) -> None:
    """Write cards, tables and checksums; the same manifest always gives the same bytes.

    What people wrote into ``DATASHEET.md`` is kept.

    Raises
    ------
    ManifestError
        There is no manifest, or it is damaged.
    """
    manifest = Manifest.load(root)
    table = parquet_bytes(manifest)
    files = {
        TABLE: table,
        CROISSANT: croissant(manifest, table).encode(),
        CARD: dataset_card(manifest).encode(),
        DATASHEET: datasheet(manifest, _earlier(root / DATASHEET)).encode(),
    }
    for split in SPLITS:
        path = metadata_path(split)
        if scenes := manifest.of_split(split):
            files[path] = metadata_lines(scenes).encode()
        else:
            (root / path).unlink(missing_ok=True)
    for name, data in files.items():
        write_atomic(root / name, data)
    kept = [name for name in _KEPT if (root / name).is_file()]
    write_checksums(root, manifest.scenes, [*kept, *files, *split_lists(manifest.scenes)])


def metadata_lines(scenes: tuple[SceneEntry, ...]) -> str:
    """One line a scene for image-folder readers, Hugging Face's among them.

    ``<role>_file_name`` is relative to the side's folder; the further columns are figures.
    """
    return "".join(f"{strict_json.dumps(_metadata(scene))}\n" for scene in scenes)


def _metadata(scene: SceneEntry) -> dict[str, Any]:
    names = {
        f"{role}_file_name": scene.canonical_file(role).path.removeprefix(f"{scene.split}/")
        for role in CANONICAL
    }
    evs = dict(zip(("low_ev", "medium_ev", "high_ev"), scene.evs, strict=True))
    return {"scene": scene.scene, "group": scene.group, **names, **evs}


def _earlier(path: Path) -> str:
    if not path.exists():
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(
            f"{path}: cannot be read ({error}); it may hold what people wrote. Mend it, or move "
            "it away."
        ) from error
