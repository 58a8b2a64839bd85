"""What this machine has for dmef, and what is missing for the rest."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

from dmef_bench import __version__
from dmef_bench.errors import DmefError
from dmef_bench.metrics.backbone import BACKBONES, Backbone
from dmef_bench.metrics.lpips_trunk import TRUNKS, find_trunk
from dmef_bench.registry import available_methods
from dmef_bench.units import bytes_text

ROOM_FOR_A_DATASET = 13 * 2**30
"""Bytes that 110 scenes of ten 4K pictures take."""

_CODECS = {"h264": "H.264", "hevc": "HEVC", "av1": "AV1"}
_OPTIONAL = {
    "imagecodecs": "JPEG XL (extra jxl)",
    "distributed": "a Dask cluster (extra cluster)",
    "pynvml": "clocks and power of a GPU (extra nvidia)",
    "mlcroissant": "checking Croissant metadata (extra test)",
}


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Parameters
    ----------
    what : str
        Its name.
    state : {"ok", "note", "missing"}
        ``missing`` is something that dmef needs for its ordinary work.
    text : str
        What was found, and how to mend what is not there.
    """

    what: str
    state: str
    text: str

    def line(self) -> str:
        """As it is printed."""
        mark = {"ok": "ok     ", "note": "note   ", "missing": "MISSING"}[self.state]
        return f"{mark} {self.what:16} {self.text}"


def examine(folder: Path | None = None) -> tuple[Finding, ...]:
    """Look at everything dmef may need; nothing is changed or downloaded.

    Parameters
    ----------
    folder : Path, optional
        Where data sets are to be built; the working folder by default.

    Returns
    -------
    tuple of Finding
        In the order in which they should be mended.
    """
    looks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _python,
        _one_opencv,
        _own_names,
        _torch,
        _codecs,
        _weights,
        _methods,
        _optional,
    )
    found = [finding for look in looks for finding in look()]
    return (*found, _disk(folder or Path.cwd()))


def fetch_weights(network: str = "alex") -> Path:
    """Download the trunk of LPIPS, for a machine that will have no network.

    Raises
    ------
    UnavailableError
        It cannot be had.
    """
    return find_trunk(network).backbone.find()


def _python() -> Iterator[Finding]:
    here = ".".join(map(str, sys.version_info[:3]))
    yield Finding("dmef", "ok", f"{__version__}, Python {here}")
    for package in ("numpy", "opencv-python-headless", "scikit-image", "av", "lpips"):
        yield _package(package)


def _package(name: str) -> Finding:
    try:
        return Finding(name, "ok", version(name))
    except PackageNotFoundError:
        return Finding(name, "missing", f"install it: pip install {name}")


def _one_opencv() -> Iterator[Finding]:
    owners = sorted(set(packages_distributions().get("cv2", ())))
    if len(owners) > 1:
        yield Finding(
            "OpenCV",
            "missing",
            f"{' and '.join(owners)} both own the folder cv2: uninstall all of them, then install "
            "opencv-python-headless again",
        )


def _own_names() -> Iterator[Finding]:
    """The names of the wings are ordinary words; another package may have taken one."""
    mine = Path(__file__).resolve().parents[1]
    for target in sorted(set(available_methods().values())):
        package = target.partition(".")[0]
        spec = importlib.util.find_spec(package)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        if spec is None or origin is None:
            yield Finding(package, "missing", "a method's package is gone; install dmef again")
        elif _namesake(package, origin, mine):
            yield Finding(
                package,
                "missing",
                f"comes from {origin.parent}, not from dmef: uninstall the namesake, or use a "
                "fresh environment",
            )


def _namesake(package: str, origin: Path, mine: Path) -> bool:
    return (mine / package).is_dir() and mine not in origin.parents


def _torch() -> Iterator[Finding]:
    try:
        import torch
    except ImportError as error:
        yield Finding("torch", "missing", f"cannot be imported ({error}); install it anew")
        return
    yield Finding("torch", "ok", f"{torch.__version__}, {torch.get_num_threads()} threads")
    if not torch.cuda.is_available():
        yield Finding("GPU", "note", "no CUDA device: networks run on the CPU")
    for index in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(index)
        yield Finding(f"cuda:{index}", "ok", f"{card.name}, {bytes_text(card.total_memory)}")


def _codecs() -> Iterator[Finding]:
    import av

    readable = {name for name in _CODECS if name in av.codecs_available}
    lacking = [label for name, label in _CODECS.items() if name not in readable]
    if lacking:
        yield Finding("video", "missing", f"cannot decode {', '.join(lacking)}; install av anew")
    else:
        yield Finding("video", "ok", f"decodes {', '.join(_CODECS.values())}")


def _weights() -> Iterator[Finding]:
    for network, trunk in TRUNKS.items():
        yield _backbone(f"LPIPS {network}", trunk.backbone, "Or: dmef doctor --fetch")
    vgg16 = BACKBONES["vgg16"]
    yield _backbone("VGG16", vgg16, "Only perceptual losses of training need it.")


def _backbone(what: str, backbone: Backbone, otherwise: str) -> Finding:
    try:
        found = backbone.find(offline=True)
    except DmefError as error:
        return Finding(what, "note", f"{error} {otherwise}")
    return Finding(what, "ok", f"verified, {found.name}")


def _methods() -> Iterator[Finding]:
    installed = available_methods()
    yield Finding(
        "methods", "ok" if installed else "missing", ", ".join(installed) or "install dmef anew"
    )


def _optional() -> Iterator[Finding]:
    for module, purpose in _OPTIONAL.items():
        if importlib.util.find_spec(module) is None:
            yield Finding(module, "note", f"not installed; needed only for {purpose}")
        else:
            yield Finding(module, "ok", f"for {purpose}")


def _disk(folder: Path) -> Finding:
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < ROOM_FOR_A_DATASET:
        return Finding(
            "disk",
            "note",
            f"{bytes_text(free)} free; 110 scenes at 4K take {bytes_text(ROOM_FOR_A_DATASET)}, "
            "with --store triple two fifths of that",
        )
    return Finding("disk", "ok", f"{bytes_text(free)} free")
