"""One scene held against its manifest line: bytes, pixels, and on demand its audit."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from dmef_bench import strict_json
from dmef_bench.building.likeness import Features
from dmef_bench.errors import DmefError
from dmef_bench.exposure.audit import audit_scene
from dmef_bench.imagefile import bytes_sha256, pixels_sha256, read_image
from dmef_bench.manifest import FileEntry, Manifest, SceneEntry
from dmef_bench.scene import Encoded, ExposureStack

_MEND = "Restore the file, or rebuild this scene with `dmef build --from-manifest`."
# The same pixels give the same figures but for the order in which a NumPy build adds them up.
_SAME = 1e-9


@dataclass(frozen=True)
class Proof:
    """What was found in one scene.

    Parameters
    ----------
    problems : tuple of str
        One sentence each.
    features : Features or None
        Of the truth, for finding scenes of one place; None where it was not read.
    """

    problems: tuple[str, ...]
    features: Features | None = None


def prove_scene(manifest: Manifest, scene: SceneEntry, *, quick: bool, audit: bool) -> Proof:
    """Look at every picture of a scene; bad data never raises.

    Parameters
    ----------
    manifest : Manifest
        Of the data set.
    scene : SceneEntry
        The line to be proven.
    quick : bool
        Existence and sizes only.
    audit : bool
        Measure again what the exposures give away (not with ``quick``).
    """
    problems: list[str] = []
    canonical = {scene.canonical[name] for name in ("low", "medium", "high")} if audit else set()
    kept: dict[str, Encoded] = {}
    for entry in scene.files:
        found, picture = _prove(manifest, scene, entry, quick=quick)
        problems += found
        if picture is not None and (entry.role in canonical or entry.use == "truth"):
            kept[entry.role] = picture
    truth = kept.get(scene.canonical["gt"])
    if audit and not quick and not problems and truth is not None:
        problems += _prove_audit(scene, kept, truth)
    return Proof(tuple(problems), None if truth is None else Features.of(truth))


def _prove(
    manifest: Manifest, scene: SceneEntry, entry: FileEntry, *, quick: bool
) -> tuple[list[str], Encoded | None]:
    """What is wrong with a picture; and the picture, if it was read and is as built."""
    try:
        path = manifest.file(entry)
        if not path.is_file():
            return [f"{entry.path}: missing. {_MEND}"], None
        if path.stat().st_size != entry.bytes:
            said = f"{path.stat().st_size} bytes instead of {entry.bytes}"
            return [f"{entry.path}: {said}. {_MEND}"], None
        if quick:
            return [], None
        bytes_agree = bytes_sha256(path) == entry.sha256
        image = read_image(path)
    except (DmefError, OSError) as error:
        return [f"{entry.path}: {error}"], None
    if image.dtype != np.dtype(entry.dtype) or image.shape[:2] != (scene.height, scene.width):
        said = f"{image.dtype} {image.shape} is not what was built"
        return [f"{entry.path}: {said}. {_MEND}"], None
    if pixels_sha256(image) != entry.pixels:
        also = "" if bytes_agree else " (bytes too)"
        return [f"{entry.path}: pixels differ from the manifest{also}. {_MEND}"], None
    if not bytes_agree:
        said = "same pixels, other bytes: the file was written again"
        return [f"{entry.path}: {said}. {_MEND}"], image
    return [], image


def _prove_audit(scene: SceneEntry, kept: dict[str, Encoded], truth: Encoded) -> list[str]:
    exposures = tuple(kept[scene.canonical[level]] for level in ("low", "medium", "high"))
    noisy = scene.exposure.get("noise") is not None
    try:
        measured = asdict(audit_scene(ExposureStack(exposures, scene.evs), truth, noisy=noisy))
    except DmefError as error:
        return [f"{scene.scene}: its audit cannot be repeated ({error})."]
    if _agree(strict_json.encodable(measured), scene.audit):
        return []
    return [f"{scene.scene}: its audit says other figures than its pictures. Build it again."]


def _agree(measured: object, stated: object) -> bool:
    """Whether two records say the same, floats up to rounding."""
    if isinstance(measured, dict) and isinstance(stated, dict):
        return measured.keys() == stated.keys() and all(
            _agree(measured[key], stated[key]) for key in measured
        )
    if isinstance(measured, float) and isinstance(stated, float):
        return abs(measured - stated) <= _SAME * max(1.0, abs(measured))
    return measured == stated
