"""Anyone's own brackets: a folder a scene, two to nine pictures, with or without a truth."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from dmef_bench.datasets.brackets import TIFF, Bracket, child, folders, pictures
from dmef_bench.datasets.exposure_text import read_evs
from dmef_bench.datasets.kalantari import Found, halves
from dmef_bench.datasets.public_set import PublicSet, SceneSource
from dmef_bench.datasets.radiance import read_radiance
from dmef_bench.imagefile import read_image
from dmef_bench.photo.exposure_tags import stops_between
from dmef_bench.photo.header import read_header
from dmef_bench.scene import Encoded, Image

PICTURES = {".png", ".jpg", ".jpeg", *TIFF}
FEWEST, MOST = 2, 9


def find_folders(root: Path) -> Found:
    """Scenes in the halves of a folder, or in the folder itself."""
    found = {split: _scenes(half) for split, half in halves(root)}
    found = {split: scenes for split, scenes in found.items() if scenes}
    if found:
        return found
    scenes = _scenes(root)
    return {"test": scenes} if scenes else {}


def _scenes(folder: Path) -> list[SceneSource]:
    return [scene for place in folders(folder) if (scene := _scene(place))]


def _scene(folder: Path) -> Bracket | None:
    exposures = pictures(folder, PICTURES, r"(?!gt$).*")
    if not FEWEST <= len(exposures) <= MOST:
        return None
    truths = pictures(folder, PICTURES | {".hdr"}, "gt")
    stated = child(folder, "exposure.txt")
    return Bracket(
        scene_id=folder.name,
        exposures=exposures,
        stops=partial(read_evs, stated, len(exposures)) if stated else partial(_exif, exposures),
        stated_in=(stated,) if stated else (),
        truth=truths[0] if truths else None,
        read_truth=_truth,
    )


def _exif(exposures: tuple[Path, ...]) -> tuple[float, ...] | None:
    """Stops from exposure time, aperture and ISO, where every picture states them."""
    stops = stops_between([read_header(path).tags.exposure for path in exposures])
    return stops if stops is not None and len(set(stops)) == len(stops) else None


def _truth(path: Path, _stops: Sequence[float] | None) -> Encoded | Image:
    return read_radiance(path) if path.suffix.lower() == ".hdr" else read_image(path)


FOLDERS = PublicSet(
    name="folders",
    title="your own brackets",
    paper="",
    where="your camera",
    disk="",
    licence="",
    layout=(
        "SCENE/ with two to nine pictures (PNG, JPEG, TIFF), and if there is one a truth gt.*;\n"
        "EVs from exposure.txt (one a line, in the pictures' natural order), else from EXIF, else\n"
        "unknown: then pictures are ordered by brightness. Halves may lie in train/ and test/."
    ),
    find=find_folders,
    counts={},
    linear=False,
    remark="scenes without truth are scored by mef-ssim and mef-ssimd",
)
