"""From the records of a build to the data set: split, manifest, lists, checksums."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dmef_bench import strict_json
from dmef_bench.building.layout import CHECKSUMS, SCRATCH, manifest_digest, split_lists
from dmef_bench.building.recipe import Recipe
from dmef_bench.building.scenes import read_records
from dmef_bench.building.split import assign_splits
from dmef_bench.errors import ManifestError
from dmef_bench.exposure.audit import Audit, ExposureAudit, gate
from dmef_bench.imagefile import bytes_sha256, write_atomic
from dmef_bench.manifest import DATASET_SCHEMA, SCENE_SCHEMA, Manifest, SceneEntry


def published_scenes(root: Path) -> tuple[SceneEntry, ...]:
    """Scenes of the manifest that lies in ``root``, if one does."""
    if not (root / "manifest.jsonl").exists():
        return ()
    return Manifest.load(root).scenes


def publish(
    root: Path, recipe: Recipe, name: str | None, licence: str | None
) -> tuple[tuple[SceneEntry, ...], dict[str, Any]]:
    """Split, move scenes to their side, and write all that is derived from the records.

    Killed at any moment, a second call ends in the same files.

    Returns
    -------
    tuple
        All scenes, sorted by id, and the audit gate's verdict; both empty where there is no scene.
    """
    records = read_records(root)
    scenes = _entries(root, recipe, records, published_scenes(root))
    # Also where nothing was built: it says why.
    _write_selection(root, records)
    if not scenes:
        return (), {}
    verdict = gate([_audit(scene) for scene in scenes])
    manifest = "".join(f"{scene.to_line()}\n" for scene in scenes)
    write_atomic(root / "manifest.jsonl", manifest.encode())
    (root / "splits").mkdir(exist_ok=True)
    for path, text in split_lists(scenes).items():
        write_atomic(root / path, text.encode())
    refused = sum(record["refused"] is not None for record in records.values())
    _write_dataset(root, recipe, scenes, verdict, refused, name, licence)
    _write_checksums(root, scenes)
    return scenes, verdict


def _entries(
    root: Path,
    recipe: Recipe,
    records: dict[str, dict[str, Any]],
    old: tuple[SceneEntry, ...],
) -> tuple[SceneEntry, ...]:
    known = {scene.scene for scene in old}
    fresh = [
        scene
        for record in records.values()
        for scene in record["scenes"]
        if scene["scene"] not in known
    ]
    groups: dict[str, int] = {}
    for group in [*(scene.group for scene in old), *(scene["group"] for scene in fresh)]:
        groups[group] = groups.get(group, 0) + 1
    sides = assign_splits(groups, recipe.split, {scene.group: scene.split for scene in old})
    entries = [*old, *(_publish(root, scene, *sides[scene["group"]]) for scene in fresh)]
    return tuple(sorted(entries, key=lambda entry: entry.scene))


def _publish(root: Path, scene: dict[str, Any], split: str, reason: str) -> SceneEntry:
    """Move a finished scene to its side of the split; a second call finds it there."""
    name = scene["scene"]
    place, staged = root / split / name, root / SCRATCH / "scenes" / name
    if staged.is_dir():
        place.parent.mkdir(exist_ok=True)
        shutil.rmtree(place, ignore_errors=True)
        staged.rename(place)
    files = [entry | {"path": f"{split}/{name}/{entry['path']}"} for entry in scene["files"]]
    line = strict_json.dumps(
        scene
        | {
            "schema": SCENE_SCHEMA,
            "split": split,
            "split_reason": reason,
            "group_reason": ["source"],
            "files": files,
        }
    )
    return SceneEntry.from_line(line, where=f"scene {name}")


def _audit(scene: SceneEntry) -> Audit:
    """The audit of a scene, read back from the manifest."""
    try:
        exposures = {
            level: ExposureAudit(
                **{key: strict_json.number(value) for key, value in scene.audit[level].items()}
            )
            for level in ("low", "medium", "high")
        }
        return Audit(**exposures, flags=tuple(scene.audit["flags"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ManifestError(f"{scene.scene}: its audit is damaged ({error!r}).") from error


def _write_selection(root: Path, records: dict[str, dict[str, Any]]) -> None:
    """What was measured and refused, one line a video; lines of forgotten records are kept."""
    path = root / "selection.jsonl"
    lines: dict[str, str] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            lines[strict_json.loads(line)["source"]] = line
    for sha, record in records.items():
        lines[sha] = strict_json.dumps(
            {key: record[key] for key in ("source", "video", "refused", "selection")}
        )
    write_atomic(path, "".join(f"{lines[sha]}\n" for sha in sorted(lines)).encode())


def _write_dataset(
    root: Path,
    recipe: Recipe,
    scenes: tuple[SceneEntry, ...],
    verdict: dict[str, Any],
    refused: int,
    name: str | None,
    licence: str | None,
) -> None:
    path = root / "dataset.json"
    before = strict_json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    counts = {side: sum(scene.split == side for scene in scenes) for side in ("train", "test")}
    dataset = {
        "schema": DATASET_SCHEMA,
        "name": name or before.get("name") or root.resolve().name,
        "version": "1.0.0",
        "created": before.get("created") or _created(),
        "licence": licence or before.get("licence"),
        "description": "",
        "contact": "",
        "citation": "",
        "recipe": recipe.to_record(),
        "recipe_sha256": recipe.digest,
        "scenes": counts,
        "groups": len({scene.group for scene in scenes}),
        "refused_videos": refused,
        "size": {
            "files": sum(len(scene.files) for scene in scenes),
            "bytes": sum(entry.bytes for scene in scenes for entry in scene.files),
        },
        "manifest_sha256": manifest_digest(root),
        "audit": verdict,
        "leakage": {
            "medium_identity": recipe.ev[1] == 0,
            "aux_on_disk": any(scene.aux for scene in scenes),
        },
        "complete": True,
    }
    write_atomic(path, (strict_json.dumps(dataset, indent=2) + "\n").encode())


def _created() -> str:
    """Now, or the moment that ``SOURCE_DATE_EPOCH`` asks for."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _write_checksums(root: Path, scenes: tuple[SceneEntry, ...]) -> None:
    listed = {entry.path: entry.sha256 for scene in scenes for entry in scene.files}
    for name in ("dataset.json", "manifest.jsonl", "selection.jsonl", *split_lists(scenes)):
        listed[name] = bytes_sha256(root / name)
    text = "".join(f"{listed[path]}  {path}\n" for path in sorted(listed))
    write_atomic(root / CHECKSUMS, text.encode())
