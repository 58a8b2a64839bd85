"""One scene onto the disk: three frames exposed, stored, audited, and put in place at once."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import socket
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dmef_bench import __version__
from dmef_bench.building.exposing import LEVELS, Exposing
from dmef_bench.building.layout import SCRATCH, features_path
from dmef_bench.building.likeness import Features
from dmef_bench.building.opening import is_uhd
from dmef_bench.exposure.audit import audit_scene
from dmef_bench.imagefile import encode_png, pixels_sha256
from dmef_bench.scene import Encoded, ExposureStack

CANONICAL = {
    "low": "sample1_low",
    "medium": "sample2_medium",
    "high": "sample3_high",
    "gt": "gt",
    "reference": "medium",
}
"""Which stored picture is what to a method."""

TRIPLE = ((1, "low"), (2, "medium"), (3, "high"))
EVERY = tuple((sample, level) for sample in (1, 2, 3) for level in LEVELS)
"""(sample, level) of the exposures that are stored: the canonical ones, or all nine."""

_TRIES = 3


def build_scene(
    root: Path,
    exposing: Exposing,
    frames: Sequence[Encoded],
    stored: Iterable[tuple[int, str]],
) -> dict[str, Any]:
    """Make the pictures of a scene under ``root/.dmef/scenes``.

    Parameters
    ----------
    root : Path
        Of the data set.
    exposing : Exposing
        How; it names the scene.
    frames : sequence of ndarray, shape (H, W, 3), uint8
        Samples 1, 2 and 3.
    stored : iterable of (sample, level)
        `TRIPLE` or `EVERY`.

    Returns
    -------
    dict
        What the manifest says of the pictures; paths are relative to the scene's folder.
    """
    scene = exposing.scene
    # Two workers may be at the same scene: a cluster runs a task again where it lost sight of it.
    name = f"{scene}.{socket.gethostname()}.{os.getpid()}"
    staging = root / SCRATCH / "staging" / name
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        files = [_store(staging, "gt", frames[1], "truth", sample=2, level=None)]
        kept: dict[str, Encoded] = {}
        for sample, level in stored:
            picture = exposing.expose(frames[sample - 1], sample, level)
            role = f"sample{sample}_{level}"
            canonical = role in CANONICAL.values()
            if canonical:
                kept[level] = picture
            use = "input" if canonical else "aux"
            files.append(_store(staging, role, picture, use, sample=sample, level=level))
        stack = ExposureStack(tuple(kept[level] for level in LEVELS), exposing.evs)
        audit = audit_scene(stack, frames[1], noisy=exposing.noise is not None)
        _keep_features(root, scene, frames[1])
        _put_in_place(staging, root / SCRATCH / "scenes" / scene)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    height, width = frames[1].shape[:2]
    return {
        "scene": scene,
        "uhd": is_uhd((height, width)),
        "height": height,
        "width": width,
        "exposure": exposing.to_record(),
        "canonical": dict(CANONICAL),
        "audit": asdict(audit),
        "files": files,
        "built_with": {
            "dmef": __version__,
            "numpy": version("numpy"),
            "opencv": version("opencv-python-headless"),
            "av": version("av"),
        },
    }


def drop_scene(root: Path, scene: str) -> None:
    """Remove what `build_scene` made."""
    shutil.rmtree(root / SCRATCH / "scenes" / scene, ignore_errors=True)
    features_path(root, scene).unlink(missing_ok=True)


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


def _keep_features(root: Path, scene: str, truth: Encoded) -> None:
    path = features_path(root, scene)
    path.parent.mkdir(parents=True, exist_ok=True)
    Features.of(truth).save(path)


def _put_in_place(staging: Path, place: Path) -> None:
    """Give a finished scene its name; what a killed run or a second worker left there goes."""
    place.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(_TRIES):
        shutil.rmtree(place, ignore_errors=True)
        try:
            staging.rename(place)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            return
    # Another worker is at the same scene, again and again first: its files are the same.
