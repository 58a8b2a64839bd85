"""One video to its scenes: the unit of work of a build, in whatever process it runs."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dmef_bench import strict_json
from dmef_bench.building.clip import Clip
from dmef_bench.building.exposing import Exposing
from dmef_bench.building.layout import SCRATCH, scene_id, source_id
from dmef_bench.building.motion import one_thread
from dmef_bench.building.opening import open_clip, read_samples
from dmef_bench.building.picking import listed_triples, uniform_triple
from dmef_bench.building.primaries import CHROMATICITIES
from dmef_bench.building.recipe import Recipe
from dmef_bench.building.records import Record, blank_record, public_name, write_record
from dmef_bench.building.repeating import repeat_scenes
from dmef_bench.building.room import keeping_room
from dmef_bench.building.scenes import EVERY, TRIPLE, build_scene, drop_scene
from dmef_bench.building.selection import select_triples
from dmef_bench.building.sources import Source
from dmef_bench.building.tone import ToneMapped
from dmef_bench.building.triples import NoTripleError, Selection, Triple
from dmef_bench.errors import UnavailableError, VideoError

logger = logging.getLogger(__name__)


def build_video(source: Source, recipe: Recipe, root: Path) -> Record:
    """Build all scenes of one video under ``root/.dmef/scenes`` and leave a record.

    Parameters
    ----------
    source : Source
        The video.
    recipe : Recipe
        How.
    root : Path
        Of the data set; absolute.

    Returns
    -------
    Record
        Also of a video that fails.

    Raises
    ------
    UnavailableError
        No video could be built here: the disk is full, or this machine does not see the files.
    """
    check_visible(source, recipe, root)
    record = blank_record(source, recipe)
    try:
        with (
            keeping_room(root),
            one_thread(),
            open_clip(source.path, recipe, fps=source.fps, sha256=source.sha256) as clip,
        ):
            if source.repeats:
                record["scenes"] = repeat_scenes(clip, source, recipe, root)
            else:
                _build_scenes(clip, source, recipe, root, record)
        source.check_unchanged()
    except NoTripleError as error:
        record["refused"] = str(error)
        record["selection"] = error.selection.to_record() if error.selection else None
    except VideoError as error:
        record["refused"] = str(error)
    except UnavailableError:
        raise
    except OSError as error:
        record["refused"] = f"{source.path.name}: {error.strerror or error}."
    except Exception as error:
        # A decoder may fail in ways nobody foresaw; the other videos are not to suffer for it.
        logger.exception("%s", source.path.name)
        record["refused"] = f"{source.path.name}: {type(error).__name__}: {error}"
    if record["refused"]:
        for scene in record["scenes"]:
            drop_scene(root, scene["scene"])
        record["scenes"] = []
        # What stands in a data set names no folder of the machine that built it.
        bare = record["refused"].replace(f"{source.path.parent}/", "")
        record["refused"] = bare.replace(source.path.name, public_name(source, recipe))
    with keeping_room(root, every=True):
        write_record(root, record)
    return record


def check_visible(source: Source, recipe: Recipe, root: Path) -> None:
    """Raise `UnavailableError` where this machine sees other files than the one that asks."""
    path = root / SCRATCH / "recipe.json"
    try:
        digest = strict_json.loads(path.read_text(encoding="utf-8")).get("digest")
    except (OSError, ValueError, AttributeError):
        digest = None
    host = socket.gethostname()
    if digest != recipe.digest:
        raise UnavailableError(
            f"Worker on host {host} does not see {root} as host {source.host} does. Data set and "
            "videos have to lie under the same path on every machine."
        )
    if host != source.host and not source.path.exists():
        raise UnavailableError(
            f"Worker on host {host} does not see {source.path}. Data set and videos have to lie "
            "under the same path on every machine."
        )


def _build_scenes(clip: Clip, source: Source, recipe: Recipe, root: Path, record: Record) -> None:
    selection = _select(clip, source, recipe)
    record["selection"] = selection.to_record()
    for triple in selection.triples:
        built = _build_scene(clip, triple, source, recipe, root)
        if recipe.strict_audit and built["audit"]["flags"]:
            drop_scene(root, built["scene"])
            record["dropped"].append({key: built[key] for key in ("scene", "audit")})
        else:
            record["scenes"].append(built)
    if not record["scenes"]:
        raise VideoError(_all_dropped(source, record))


def _build_scene(
    clip: Clip, triple: Triple, source: Source, recipe: Recipe, root: Path
) -> dict[str, Any]:
    video = source_id("" if recipe.anonymous_names else source.path.stem, source.sha256)
    scene = scene_id(video, float(clip.time(triple.indices[1])))
    frames = read_samples(clip, triple.indices, recipe)
    exposing = Exposing.of(recipe, scene, frames[1])
    stored = TRIPLE if recipe.store == "triple" else EVERY
    built = build_scene(root, exposing, frames, stored, recipe.format)
    if isinstance(clip, ToneMapped):
        built["exposure"]["tone_curve"] = clip.curve_record()
    return {
        **built,
        "samples": _samples(clip, triple.indices),
        "selection": {"pick": recipe.pick, **triple.measurements},
        "recipe_sha256": recipe.digest,
        "source": _describe(clip, source, recipe),
        "group": video,
    }


def _select(clip: Clip, source: Source, recipe: Recipe) -> Selection:
    if recipe.pick == "list":
        return listed_triples(clip, source.picks)
    if recipe.pick == "uniform":
        return uniform_triple(clip)
    return select_triples(clip, recipe.selection, recipe.scenes_per_video)


def _samples(clip: Clip, indices: Sequence[int]) -> list[dict[str, Any]]:
    return [
        {
            "sample": number,
            "index": index,
            "pts": clip.pts[index],
            "seconds": round(float(clip.time(index)), 6),
        }
        for number, index in enumerate(indices, start=1)
    ]


def _describe(clip: Clip, source: Source, recipe: Recipe) -> dict[str, Any]:
    """What the manifest says of the video: its name and technical facts, never place or maker."""
    described = clip.info.to_record() | {
        "name": public_name(source, recipe),
        "sha256": source.sha256,
        "licence": None,
        "consent": "not-recorded",
        "url": None,
    }
    colour = described["colour"]
    converts = recipe.to_srgb and colour["primaries"] in CHROMATICITIES
    if converts and colour["primaries"] != "bt709" and colour["converted"] == "matrix-only":
        colour["converted"] = "primaries"
    return described


def _all_dropped(source: Source, record: Record) -> str:
    told = "; ".join(
        f"{scene['scene']}: {', '.join(scene['audit']['flags'])}" for scene in record["dropped"]
    )
    return (
        f"{source.path.name}: every scene fails the audit ({told}). Without --strict-audit they "
        "are kept and flagged."
    )
