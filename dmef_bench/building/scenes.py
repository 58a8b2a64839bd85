"""One video to its scenes: choose, expose, store, audit. The unit of work of a build."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dmef_bench import __version__, strict_json
from dmef_bench.building.layout import SCRATCH, scene_id, source_id
from dmef_bench.building.recipe import Recipe
from dmef_bench.building.selection import (
    NoTripleError,
    Selection,
    Triple,
    select_triples,
    uniform_triple,
)
from dmef_bench.building.video import VideoReader
from dmef_bench.errors import UnavailableError, VideoError
from dmef_bench.exposure.audit import audit_scene
from dmef_bench.exposure.noise import SeededNoise, noise_key
from dmef_bench.exposure.synthesis import expose
from dmef_bench.imagefile import encode_png, pixels_sha256, write_atomic
from dmef_bench.scene import Encoded, ExposureStack

logger = logging.getLogger(__name__)

SCHEMA = 1
"""Raised whenever the same video and recipe would give other files."""

LEVELS = ("low", "medium", "high")
_CANONICAL = {
    "low": "sample1_low",
    "medium": "sample2_medium",
    "high": "sample3_high",
    "gt": "gt",
    "reference": "medium",
}
_UHD_PIXELS = 3840 * 2160


def build_video(video: Path, sha256: str, recipe: Recipe, root: Path) -> dict[str, Any]:
    """Build all scenes of one video under ``root/.dmef/scenes`` and leave a record.

    Parameters
    ----------
    video : Path
        The source.
    sha256 : str
        Of its bytes.
    recipe : Recipe
        How.
    root : Path
        Of the data set.

    Returns
    -------
    dict
        The record: ``scenes`` (manifest fields without split and paths), ``selection``, and
        ``refused`` with the reason, or None. A video that fails gives a record too.

    Raises
    ------
    UnavailableError
        The disk is full or cannot be written: no video could be built.
    """
    record = blank_record(video, sha256, recipe)
    try:
        _build_scenes(video, sha256, recipe, root, record)
    except NoTripleError as error:
        record["refused"] = str(error)
        record["selection"] = error.selection.to_record() if error.selection else None
    except VideoError as error:
        record["refused"] = str(error)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EROFS, errno.EDQUOT):
            raise UnavailableError(_no_room(root, error)) from error
        record["refused"] = f"{video.name}: {error.strerror or error}."
    except Exception as error:
        # A decoder may fail in ways nobody foresaw; the other videos are not to suffer for it.
        logger.exception("%s", video.name)
        record["refused"] = f"{video.name}: {type(error).__name__}: {error}"
    write_atomic(record_path(root, sha256), strict_json.dumps(record).encode())
    return record


def blank_record(video: Path, sha256: str, recipe: Recipe) -> dict[str, Any]:
    """The record of a video before anything is known of it."""
    return {
        "key": content_key(sha256, recipe),
        "video": video.name,
        "source": sha256,
        "scenes": [],
        "selection": None,
        "refused": None,
    }


def content_key(sha256: str, recipe: Recipe) -> str:
    """What a record depends on: the source's bytes, the recipe, and this code's schema."""
    return strict_json.digest({"source": sha256, "recipe": recipe.digest, "schema": SCHEMA})


def record_path(root: Path, sha256: str) -> Path:
    """Where the record of a source lies."""
    return root / SCRATCH / "records" / f"{sha256[:16]}.json"


def read_records(root: Path) -> dict[str, dict[str, Any]]:
    """Source SHA-256 to record, for every video that was worked on."""
    found = {}
    for path in sorted((root / SCRATCH / "records").glob("*.json")):
        record = strict_json.loads(path.read_text(encoding="utf-8"))
        found[record["source"]] = record
    return found


def _no_room(root: Path, error: OSError) -> str:
    free = shutil.disk_usage(root).free
    return (
        f"{root}: {error.strerror}, {free / 1e9:.1f} GB free. Finished scenes are kept; "
        "make room (or use --store triple in another folder) and run the same command again."
    )


def _build_scenes(
    video: Path, sha256: str, recipe: Recipe, root: Path, record: dict[str, Any]
) -> None:
    with VideoReader(video, sha256=sha256) as reader:
        selection = _select(reader, recipe)
        record["selection"] = selection.to_record()
        source = source_id(video, sha256)
        for triple in selection.triples:
            frames = list(reader.frames(triple.indices))
            scene = scene_id(source, float(reader.time(triple.indices[1])))
            record["scenes"].append(
                _build_scene(scene, frames, triple, reader, recipe, root)
                | {"source": _describe_source(reader, sha256), "group": source}
            )


def _select(reader: VideoReader, recipe: Recipe) -> Selection:
    if recipe.pick == "uniform":
        return uniform_triple(reader)
    return select_triples(reader, recipe.selection, recipe.scenes_per_video)


def _build_scene(
    scene: str,
    frames: Sequence[Encoded],
    triple: Triple,
    reader: VideoReader,
    recipe: Recipe,
    root: Path,
) -> dict[str, Any]:
    staging = root / SCRATCH / "staging" / f"{scene}.{os.getpid()}"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        files = [_store(staging, "gt", frames[1], "truth", sample=2, level=None)]
        kept: dict[str, Encoded] = {}
        for sample, level in _wanted(recipe):
            picture = _expose(scene, frames[sample - 1], sample, level, recipe)
            role = f"sample{sample}_{level}"
            canonical = role in _CANONICAL.values()
            if canonical:
                kept[level] = picture
            use = "input" if canonical else "aux"
            files.append(_store(staging, role, picture, use, sample=sample, level=level))
        stack = ExposureStack(tuple(kept[level] for level in LEVELS), recipe.ev)
        audit = audit_scene(stack, frames[1], noisy=recipe.noise is not None)
        _publish(staging, root / SCRATCH / "scenes" / scene)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    height, width = frames[1].shape[:2]
    return {
        "scene": scene,
        "uhd": height * width >= _UHD_PIXELS,
        "height": height,
        "width": width,
        "samples": [
            {
                "sample": number,
                "index": index,
                "pts": reader.pts[index],
                "seconds": round(float(reader.time(index)), 6),
            }
            for number, index in enumerate(triple.indices, start=1)
        ],
        "selection": {"pick": recipe.pick, **triple.measurements},
        "exposure": _describe_exposure(recipe),
        "canonical": dict(_CANONICAL),
        "audit": asdict(audit),
        "files": files,
        "recipe_sha256": recipe.digest,
        "built_with": {
            "dmef": __version__,
            "numpy": version("numpy"),
            "opencv": version("opencv-python-headless"),
            "av": version("av"),
        },
    }


def _wanted(recipe: Recipe) -> Iterable[tuple[int, str]]:
    """(sample, level) of every exposure to store, the canonical three or all nine."""
    if recipe.store == "triple":
        return ((1, "low"), (2, "medium"), (3, "high"))
    return ((sample, level) for sample in (1, 2, 3) for level in LEVELS)


def _expose(scene: str, frame: Encoded, sample: int, level: str, recipe: Recipe) -> Encoded:
    model = recipe.sensor_noise
    noise = None
    if model is not None:
        noise = SeededNoise(model, noise_key(recipe.seed, scene, sample, level))
    return expose(frame, recipe.ev[LEVELS.index(level)], recipe.camera, noise)


def _store(
    folder: Path, role: str, picture: Encoded, use: str, *, sample: int, level: str | None
) -> dict[str, Any]:
    data = encode_png(picture)
    with (folder / f"{role}.png").open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return {
        "role": role,
        "path": f"{role}.png",
        "use": use,
        "sample": sample,
        "level": level,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "pixels": pixels_sha256(picture),
        "dtype": picture.dtype.name,
    }


def _publish(staging: Path, place: Path) -> None:
    """Give a finished scene its name; whatever a killed run left there goes first."""
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(place, ignore_errors=True)
    staging.rename(place)


def _describe_exposure(recipe: Recipe) -> dict[str, Any]:
    stated = recipe.to_record()
    return {
        "preset": recipe.preset,
        "model": recipe.model,
        "parameters": stated["parameters"],
        "ev": dict(zip(LEVELS, recipe.ev, strict=True)),
        "k": {level: 2.0**ev for level, ev in zip(LEVELS, recipe.ev, strict=True)},
        "bits": 8,
        "rounding": "half-up",
        "noise": recipe.noise,
        "crf_jitter": None,
        "allow_identity": recipe.allow_identity,
    }


def _describe_source(reader: VideoReader, sha256: str) -> dict[str, Any]:
    """What the manifest says of the video: its name and technical facts, never place or maker."""
    return {
        **reader.info.to_record(),
        "sha256": sha256,
        "licence": None,
        "consent": "not-recorded",
        "url": None,
    }
