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

import psutil

from dmef_bench import __version__
from dmef_bench.building.exposing import LEVELS, Exposing
from dmef_bench.building.layout import SCRATCH, features_path
from dmef_bench.building.likeness import Features
from dmef_bench.building.opening import is_uhd
from dmef_bench.exposure.audit import audit_scene
from dmef_bench.imagefile import Lossless, encode_lossless, pixels_sha256
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
    kind: Lossless = "png",
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
    kind : {"png", "jxl"}
        How pictures are stored.

    Returns
    -------
    dict
        What the manifest says of the pictures; paths are relative to the scene's folder.
    """
    scene = exposing.scene
    # Two workers may be at the same scene: a cluster runs a task again where it lost sight of it.
    staging = root / SCRATCH / "staging" / f"{scene}{_mine(os.getpid())}"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        files = [_store(staging / f"gt.{kind}", frames[1], "truth", sample=2, level=None)]
        kept: dict[str, Encoded] = {}
        for sample, level in stored:
            picture = exposing.expose(frames[sample - 1], sample, level)
            role = f"sample{sample}_{level}"
            canonical = role in CANONICAL.values()
            if canonical:
                kept[level] = picture
            use = "input" if canonical else "aux"
            path = staging / f"{role}.{kind}"
            files.append(_store(path, picture, use, sample=sample, level=level))
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
        "built_with": _built_with(kind),
    }


def _built_with(kind: Lossless) -> dict[str, str]:
    packages = {"numpy": "numpy", "opencv": "opencv-python-headless", "av": "av"}
    if kind == "jxl":
        packages["imagecodecs"] = "imagecodecs"
    return {"dmef": __version__} | {name: version(package) for name, package in packages.items()}


def _mine(pid: int) -> str:
    """How the staging folders of a process of this machine end."""
    return f".{socket.gethostname()}.{pid}"


def sweep_staging(root: Path) -> None:
    """Remove the unfinished scenes of processes of this machine that are no more."""
    for folder in (root / SCRATCH / "staging").glob("*"):
        pid = folder.suffix.removeprefix(".")
        left = pid.isdecimal() and not psutil.pid_exists(int(pid))
        if left and folder.name.endswith(_mine(int(pid))):
            shutil.rmtree(folder, ignore_errors=True)


def drop_scene(root: Path, scene: str) -> None:
    """Remove what `build_scene` made."""
    shutil.rmtree(root / SCRATCH / "scenes" / scene, ignore_errors=True)
    features_path(root, scene).unlink(missing_ok=True)


def _store(
    path: Path, picture: Encoded, use: str, *, sample: int, level: str | None
) -> dict[str, Any]:
    data = encode_lossless(picture, path.suffix)
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return {
        "role": path.stem,
        "path": path.name,
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
