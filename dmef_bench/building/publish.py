"""From the roster of a build to the data set: sides, manifest, lists, checksums."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from dmef_bench import strict_json
from dmef_bench.building.derived import write_derived
from dmef_bench.building.layout import SCRATCH, manifest_digest, split_lists
from dmef_bench.building.recipe import Recipe
from dmef_bench.building.records import read_records
from dmef_bench.building.roster import Roster
from dmef_bench.errors import ManifestError
from dmef_bench.exposure.audit import Audit, ExposureAudit, gate
from dmef_bench.imagefile import write_atomic
from dmef_bench.manifest import DATASET_SCHEMA, SCENE_SCHEMA, SPLITS, SceneEntry

STATEMENTS = ("name", "licence", "contact", "description", "citation")
"""What people say of a data set in ``dataset.json``; a later build keeps it."""


def publish(
    root: Path,
    recipe: Recipe,
    roster: Roster,
    statements: Mapping[str, str | None],
    stated: Mapping[str, Any] | None = None,
    selection: str = "",
) -> tuple[tuple[SceneEntry, ...], dict[str, Any]]:
    """Move scenes to their side, and write all that is derived from the roster.

    Killed at any moment, a second call ends in the same files.

    Parameters
    ----------
    root : Path
        Of the data set.
    recipe : Recipe
        Its recipe.
    roster : Roster
        All its scenes.
    statements : mapping
        Any of `STATEMENTS`, for ``dataset.json``; what is left out, or None, stays as it is.
    stated : mapping, optional
        A ``dataset.json`` that this one repeats: moment, and number of videos refused.
    selection : str
        The ``selection.jsonl`` that this one repeats: nothing was measured anew.

    Returns
    -------
    tuple
        All scenes, sorted by id, and the audit gate's verdict; both empty where there is no scene.
    """
    records = read_records(root)
    entries = [*map(_old_line, roster.old), *roster.fresh]
    placed = (_place(root, scene, roster) for scene in entries)
    scenes = tuple(sorted(placed, key=lambda entry: entry.scene))
    # Also where nothing was built: it says why.
    _write_selection(root, records, selection)
    if not scenes:
        return (), {}
    verdict = gate([_audit(scene) for scene in scenes])
    manifest = "".join(f"{scene.to_line()}\n" for scene in scenes)
    write_atomic(root / "manifest.jsonl", manifest.encode())
    (root / "splits").mkdir(exist_ok=True)
    for path, text in split_lists(scenes).items():
        write_atomic(root / path, text.encode())
    refused = sum(record["refused"] is not None for record in records.values())
    facts = {**statements, "refused_videos": refused, **_repeated(stated)}
    _write_dataset(root, recipe, scenes, verdict, facts)
    write_derived(root)
    return scenes, verdict


def _old_line(scene: SceneEntry) -> dict[str, Any]:
    """A published scene as a record has it: its files named within its own folder."""
    line: dict[str, Any] = strict_json.loads(scene.to_line())
    for file in line["files"]:
        file["path"] = PurePosixPath(file["path"]).name
    return line


def _place(root: Path, scene: dict[str, Any], roster: Roster) -> SceneEntry:
    """Move a scene to its side of the split; a second call finds it there."""
    name, dealt = scene["scene"], roster.dealt[scene["scene"]]
    _move(root, name, dealt.split)
    files = [file | {"path": f"{dealt.split}/{name}/{file['path']}"} for file in scene["files"]]
    rights = roster.rights.get(scene["source"]["sha256"], {})
    line = strict_json.dumps(
        scene
        | {
            "schema": SCENE_SCHEMA,
            "split": dealt.split,
            "split_reason": dealt.split_reason,
            "group": dealt.group,
            "group_reason": dealt.group_reason,
            "source": scene["source"] | rights,
            "files": files,
        }
    )
    return SceneEntry.from_line(line, where=f"scene {name}")


def _move(root: Path, name: str, split: str) -> None:
    """Bring a scene's folder from the scratch, or from the other side, to where it belongs."""
    place = root / split / name
    staged = root / SCRATCH / "scenes" / name
    others = [root / side / name for side in SPLITS if side != split and not place.is_dir()]
    for origin in (staged, *others):
        if origin.is_dir():
            place.parent.mkdir(exist_ok=True)
            shutil.rmtree(place, ignore_errors=True)
            origin.rename(place)
            return


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


def _write_selection(root: Path, records: dict[str, dict[str, Any]], repeated: str) -> None:
    """What was measured and refused, one line a video; lines of forgotten records are kept."""
    path = root / "selection.jsonl"
    earlier = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = selection_lines(earlier) | selection_lines(repeated)
    for sha, record in records.items():
        if record["scenes"] and record["selection"] is None and sha in lines:
            continue  # made again, not chosen again: what was said of it stands
        told = {key: record[key] for key in ("source", "video", "refused", "selection")}
        dropped = {"dropped": record["dropped"]} if record["dropped"] else {}
        lines[sha] = strict_json.dumps(told | dropped)
    write_atomic(path, "".join(f"{lines[sha]}\n" for sha in sorted(lines)).encode())


def selection_lines(text: str) -> dict[str, str]:
    """Source SHA-256 to its line of ``selection.jsonl``.

    Raises
    ------
    ManifestError
        A line that is none.
    """
    lines = {}
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            lines[str(strict_json.loads(line)["source"])] = line
        except (ValueError, KeyError, TypeError) as error:
            raise ManifestError(
                f"selection.jsonl line {number}: damaged ({error!r}). Restore the file, or move it "
                "away: it only tells why frames were chosen."
            ) from error
    return lines


def _repeated(stated: Mapping[str, Any] | None) -> dict[str, Any]:
    kept = (*STATEMENTS, "version", "refused_videos", "created")
    return {key: stated[key] for key in kept if key in stated} if stated else {}


def _write_dataset(
    root: Path,
    recipe: Recipe,
    scenes: tuple[SceneEntry, ...],
    verdict: dict[str, Any],
    facts: Mapping[str, Any],
) -> None:
    path = root / "dataset.json"
    before = strict_json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    told = {name: facts.get(name) or before.get(name) for name in STATEMENTS}
    counts = {side: sum(scene.split == side for scene in scenes) for side in ("train", "test")}
    dataset = {
        "schema": DATASET_SCHEMA,
        "name": told["name"] or root.resolve().name,
        "version": facts.get("version") or before.get("version") or "1.0.0",
        "created": facts.get("created") or before.get("created") or _created(),
        "licence": told["licence"] or None,
        "description": told["description"] or "",
        "contact": told["contact"] or "",
        "citation": told["citation"] or "",
        "recipe": recipe.to_record(),
        "recipe_sha256": recipe.digest,
        "scenes": counts,
        "groups": len({scene.group for scene in scenes}),
        "refused_videos": facts["refused_videos"],
        "size": {
            "files": sum(len(scene.files) for scene in scenes),
            "bytes": sum(entry.bytes for scene in scenes for entry in scene.files),
        },
        "manifest_sha256": manifest_digest(root),
        "audit": verdict,
        "leakage": {
            "medium_identity": recipe.is_identity,
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
