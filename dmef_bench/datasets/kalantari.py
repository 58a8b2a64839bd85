"""Kalantari and Ramamoorthi's set and those that share its form: three TIFFs, EVs, an HDR truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from dmef_bench.datasets.brackets import TIFF, Bracket, child, folders, pictures
from dmef_bench.datasets.exposure_text import read_evs
from dmef_bench.datasets.public_set import PublicSet, SceneSource
from dmef_bench.datasets.radiance import read_radiance
from dmef_bench.errors import ManifestError
from dmef_bench.scene import Image

Found = Mapping[str, Sequence[SceneSource]]

SPLITS = {"train": ("training", "train"), "test": ("test", "val", "testing")}
"""What the halves are called on disk."""


def linear_truth(path: Path, _stops: Sequence[float] | None) -> Image:
    """Radiance whose 1 is what saturates the darkest exposure, as these sets publish it."""
    return read_radiance(path)


def halves(root: Path) -> Iterator[tuple[str, Path]]:
    """The folders of a set's halves, by split."""
    for split, names in SPLITS.items():
        folder = child(root, *names)
        if folder is not None and folder.is_dir():
            yield split, folder


def three(scene: Path, exposures: Sequence[Path]) -> tuple[Path, ...]:
    """The exposures if there are three, else an error that names the scene."""
    if len(exposures) != 3:
        names = ", ".join(path.name for path in exposures) or "none"
        raise ManifestError(
            f"{scene}: {len(exposures)} exposures ({names}); three are expected. Restore the "
            "missing ones, or take others out of the folder."
        )
    return tuple(exposures)


def bracket(
    scene: Path, exposures: Sequence[Path], evs: Path, truth: Path | None, *, name: str = ""
) -> Bracket:
    """A scene of three 16-bit TIFFs."""
    return Bracket(
        scene_id=name or scene.name,
        exposures=three(scene, exposures),
        stops=partial(read_evs, evs),
        stated_in=(evs,),
        truth=truth,
        read_truth=linear_truth,
        bits=16,
    )


def _scene(scene: Path) -> Bracket | None:
    """The authors' layout, the repackaged one, and SIG17, told by their files."""
    if (evs := child(scene, "exposure.txt")) and (truth := child(scene, "HDRImg.hdr")):
        camera = pictures(scene, TIFF, r"(?!input_|ldr_).*")
        return bracket(scene, camera, evs, truth) if camera else None
    if (evs := child(scene, "input_exp.txt")) is None:
        return None
    if truth := child(scene, "ref_hdr_aligned.hdr"):
        return bracket(scene, pictures(scene, TIFF, r"input_\d_aligned"), evs, truth)
    moving, truth = child(scene, "dynamic"), child(scene, "hdr_gt.hdr")
    if moving and truth:
        named = [child(moving, f"{level}.tif", f"{level}.tiff") for level in ("le", "me", "he")]
        return bracket(scene, [path for path in named if path], evs, truth)
    return None


def _crop(scene: Path) -> Bracket | None:
    """Pre-cut crops: ``{0,1,2}.tif``, ``label.hdr``, ``exposure.txt``."""
    evs, truth = child(scene, "exposure.txt"), child(scene, "label.hdr")
    return bracket(scene, pictures(scene, TIFF, r"\d+"), evs, truth) if evs and truth else None


def find_kalantari(root: Path) -> Found:
    """Scenes in any of the layouts in which the set goes round; empty where there are none."""
    found: dict[str, list[SceneSource]] = {}
    inner = child(root, "SIG17")
    for split, half in halves(inner if inner and inner.is_dir() else root):
        for scene in folders(half):
            # Test scenes may lie one level deeper, in PAPER and EXTRA.
            nested = [_scene(deeper) for deeper in folders(scene)]
            for source in (_scene(scene), *nested):
                if source is not None:
                    found.setdefault(split, []).append(source)
    if not found:
        crops = [crop for scene in folders(root) if (crop := _crop(scene))]
        return {"train": crops} if crops else {}
    return found


def find_tel(root: Path) -> Found:
    """Tel et al.: ``input_1..3.tif``."""
    found: dict[str, list[SceneSource]] = {}
    for split, half in halves(root):
        for scene in folders(half):
            evs = child(scene, "exposure.txt")
            exposures = pictures(scene, TIFF, r"input_\d")
            truth = child(scene, "HDRImg.hdr", "HDRImg.tif", "HDRImg.tiff")
            if evs and exposures:
                found.setdefault(split, []).append(bracket(scene, exposures, evs, truth))
    return found


def find_hu(root: Path) -> Found:
    """Hu et al.: ``input_0..2_aligned.tif`` and ``ref_hdr_aligned_linear.hdr``, in no halves."""
    found = []
    for scene in folders(root):
        evs, truth = child(scene, "input_exp.txt"), child(scene, "ref_hdr_aligned_linear.hdr")
        if evs and truth:
            found.append(bracket(scene, pictures(scene, TIFF, r"input_\d_aligned"), evs, truth))
    return {"test": found} if found else {}


def find_challenge123(root: Path) -> Found:
    """Challenge123: exposure i of moment i; the truth and the EVs are the second moment's."""
    found: dict[str, list[SceneSource]] = {}
    for split, half in halves(root):
        for middle in folders(half):
            if not middle.name.endswith("_2"):
                continue
            name = middle.name[:-2]
            source = _challenge_scene(half, name)
            if source is not None:
                found.setdefault(split, []).append(source)
    return found


def _challenge_scene(half: Path, name: str) -> Bracket | None:
    moments = [half / f"{name}_{moment}" for moment in (1, 2, 3)]
    evs, truth = child(moments[1], "exposure.txt"), child(moments[1], "hdr_img.hdr")
    if evs is None or truth is None:
        return None
    missing = [moment.name for moment in moments if not moment.is_dir()]
    if missing:
        raise ManifestError(
            f"{half}: scene {name} lacks {', '.join(missing)}; its three moments belong together."
        )
    exposures = [
        path
        for index, moment in enumerate(moments, 1)
        for path in pictures(moment, TIFF, rf"ldr_img_{index}")
    ]
    return bracket(moments[1], exposures, evs, truth, name=name)


KALANTARI = PublicSet(
    name="kalantari",
    title="Kalantari's dynamic HDR set",
    paper="Kalantari and Ramamoorthi, Deep HDR Imaging of Dynamic Scenes, SIGGRAPH 2017",
    where="from the authors' project page (search for the paper's title); a request may be needed",
    disk="several GB",
    licence="for research; ask the authors for anything else",
    layout="""\
{Training,Test}/SCENE/ with three .tif, exposure.txt, HDRImg.hdr
  (Test/PAPER/SCENE and Test/EXTRA/SCENE too)
or {train,test}/SCENE/ with input_{1,2,3}_aligned.tif, input_exp.txt, ref_hdr_aligned.hdr
or SIG17/{train,val}/SCENE/dynamic/{le,me,he}.tif, hdr_gt.hdr, input_exp.txt
or crops NNNNNN/{0,1,2}.tif, label.hdr, exposure.txt (training only)""",
    find=find_kalantari,
    counts={"train": 74, "test": 15},
    size=(1000, 1500),
)

TEL = PublicSet(
    name="tel",
    title="Tel et al.'s dynamic HDR set",
    paper="Tel et al., Alignment-free HDR Deghosting (SCTNet), ICCV 2023",
    where="from the authors' repository, Zongwei97/SCTNet",
    disk="several GB",
    licence="none stated; ask the authors",
    layout="{Training,Test}/SCENE/ with input_{1,2,3}.tif, exposure.txt, HDRImg.hdr or .tif",
    find=find_tel,
    counts={"train": 108, "test": 36},
    size=(1000, 1500),
)

HU = PublicSet(
    name="hu",
    title="Hu et al.'s set",
    paper="Hu et al., Sensor-Realistic Synthetic Data Engine for Multi-Frame HDR, CVPRW 2020",
    where="from the authors' project page",
    disk="tens of GB",
    licence="CC BY-NC 4.0: not for commercial use",
    layout="SCENE/ with input_{0,1,2}_aligned.tif, input_exp.txt, ref_hdr_aligned_linear.hdr",
    find=find_hu,
    counts={},
    remark="in no halves: all scenes are tested on",
)

CHALLENGE123 = PublicSet(
    name="challenge123",
    title="Challenge123: three moments, each in three exposures",
    paper="Kong et al., SAFNet: Selective Alignment Fusion Network, ECCV 2024",
    where="from the authors' repository, ltkong218/SAFNet",
    disk="several GB",
    licence="as stated in the repository",
    layout="{Training,Test}/NNN_{1,2,3}/ with ldr_img_{1,2,3}.tif, exposure.txt, hdr_img.hdr",
    find=find_challenge123,
    counts={"train": 96, "test": 27},
    remark="the moving triple: exposure 1 of moment 1, 2 of 2, 3 of 3; the truth is moment 2's",
)
