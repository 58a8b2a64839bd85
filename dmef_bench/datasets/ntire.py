"""Patches as the NTIRE 2021 HDR challenge hands them out: three PNGs, EVs and a scaled truth."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from dmef_bench.datasets.brackets import Bracket, child, folders, pictures
from dmef_bench.datasets.exposure_text import read_evs_npy
from dmef_bench.datasets.kalantari import Found, halves, three
from dmef_bench.datasets.public_set import PublicSet, SceneSource
from dmef_bench.datasets.radiance import check_radiance
from dmef_bench.errors import ImageFileError, ManifestError
from dmef_bench.imagefile import read_image
from dmef_bench.scene import Image

GAMMA = 2.24
"""Of the challenge's frames and truths."""


def find_ntire(root: Path) -> Found:
    """Scenes of a folder of scenes, or of its halves."""
    found = {split: _scenes(half) for split, half in halves(root)}
    found = {split: scenes for split, scenes in found.items() if scenes}
    if found:
        return found
    scenes = _scenes(root)
    # Without halves, all there is is tested on.
    return {"test": scenes} if scenes else {}


def _scenes(folder: Path) -> list[SceneSource]:
    found: list[SceneSource] = []
    for scene in folders(folder):
        evs, scale = child(scene, "exposures.npy"), child(scene, "alignratio.npy")
        if evs is None or scale is None:
            continue
        found.append(
            Bracket(
                scene_id=scene.name,
                exposures=three(scene, pictures(scene, {".png"}, r"\d")),
                stops=partial(read_evs_npy, evs),
                stated_in=(evs, scale),
                truth=child(scene, "gt.png"),
                read_truth=partial(_truth, scale),
                bits=8,
            )
        )
    return found


def _truth(scale: Path, path: Path, stops: Sequence[float] | None) -> Image:
    """``(gt / alignratio)^2.24`` is light on the medium's scale; here 1 saturates the darkest.

    The stored truth is encoded like the frames: on the real patches it equals the medium exposure
    code for code where nothing clips (correlation 1.00, slope 1.0), and the challenge's own scores
    raise both pictures to 2.24 before comparing.
    """
    codes = read_image(path)
    if codes.dtype != np.uint16:
        raise ImageFileError(f"{path}: {codes.dtype} pixels; the truth is stored in 16 bits.")
    try:
        ratio = float(np.load(scale, allow_pickle=False).item())
    except (OSError, ValueError, EOFError) as error:
        raise ManifestError(f"{scale}: no single number ({error}).") from error
    if not (np.isfinite(ratio) and ratio > 0):
        raise ManifestError(f"{scale}: {ratio} is no scale; it is a number above 0.")
    lowest, medium, _ = stops or (0.0, 0.0, 0.0)
    light = (codes.astype(np.float32) / np.float32(ratio)) ** np.float32(GAMMA)
    radiance = light * np.float32(2.0 ** (lowest - medium))
    return check_radiance(radiance, path)


NTIRE = PublicSet(
    name="ntire",
    title="NTIRE 2021 HDR challenge, patches with truth",
    paper="Pérez-Pellitero et al., NTIRE 2021 Challenge on HDR Imaging, CVPRW 2021",
    where="from the challenge's page, after registration",
    disk="tens of GB",
    licence="of the challenge: for research, not to be republished",
    layout="SCENE/ with {0,1,2}.png (8 bits), gt.png (16 bits), exposures.npy, alignratio.npy",
    find=find_ntire,
    counts={},
    remark="without halves all scenes are tested on",
)
