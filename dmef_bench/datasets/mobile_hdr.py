"""Mobile-HDR: packed Bayer planes in NumPy files, and one documented way from them to pictures."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dmef_bench.datasets.brackets import child, natural
from dmef_bench.datasets.kalantari import Found
from dmef_bench.datasets.public_set import PublicSet, SceneSource
from dmef_bench.datasets.radiance import check_radiance
from dmef_bench.errors import ImageFileError
from dmef_bench.metrics.tonemap import Radiance, to_display
from dmef_bench.scene import Encoded, ExposureStack, Image

EXPOSURES = ("sht", "mid", "lng")
PLANES = 4
"""B, G, G, R of each Bayer quad."""

_VALID = (0.02, 0.95)
"""Planes tell an exposure ratio where they are neither dark nor full."""

Planes = npt.NDArray[np.float32]
"""(4, H, W): B, G, G, R, black subtracted, 1 at saturation; half the sensor's size."""


@dataclass(frozen=True, eq=False)
class RawScene:
    """One scene as published.

    Parameters
    ----------
    planes : tuple of ndarray, shape (4, H, W)
        Short, middle and long exposure.
    evs : tuple of float
        Stops from the shortest.
    truth : ndarray, shape (4, H, W), or None
        Radiance whose 1 saturates the shortest exposure.
    """

    planes: tuple[Planes, Planes, Planes]
    evs: tuple[float, float, float]
    truth: Planes | None


def read_raw(path: Path) -> RawScene:
    """The RAW mode: planes as they are, no demosaicing, no white balance.

    Raises
    ------
    ImageFileError
        No NumPy archive, keys or shapes that do not fit, values that are no light.
    """
    arrays = _arrays(path)
    lacking = [key for key in EXPOSURES if key not in arrays]
    if lacking:
        raise ImageFileError(f"{path}: no {', '.join(lacking)}; it holds {', '.join(arrays)}.")
    shape = arrays["mid"].shape
    for key in EXPOSURES:
        if arrays[key].shape != shape or shape[0] != 2 * PLANES or len(shape) != 3:
            raise ImageFileError(
                f"{path}: {key} has shape {arrays[key].shape}; (8, height, width) is expected: "
                "four Bayer planes, and the same divided by their exposure."
            )
        check_radiance(np.maximum(arrays[key], 0), path)
    ratios = [_ratio(arrays[key], path) for key in EXPOSURES]
    evs = tuple(float(np.log2(ratio / ratios[0])) for ratio in ratios)
    truth = arrays.get("hdr")
    if truth is not None and truth.shape != (PLANES, *shape[1:]):
        raise ImageFileError(
            f"{path}: hdr has shape {truth.shape}; (4, height, width) is expected."
        )
    short, middle, long = (arrays[key][:PLANES] for key in EXPOSURES)
    return RawScene(
        (short, middle, long),
        (evs[0], evs[1], evs[2]),
        None
        if truth is None
        else check_radiance(np.maximum(truth, 0) * np.float32(ratios[0]), path),
    )


def to_rgb(planes: Planes, gains: npt.NDArray[np.float32]) -> Radiance:
    """Planes as linear RGB at half the sensor's size: the greens averaged, then white-balanced.

    Nothing is interpolated, so nothing is invented: one pixel a Bayer quad, which makes the
    2000x1500 that the literature states of a 12-megapixel sensor.
    """
    blue, green, red = planes[0], (planes[1] + planes[2]) / 2, planes[3]
    return np.stack([red, green, blue], axis=-1) * gains


def grey_world_gains(planes: Planes) -> npt.NDArray[np.float32]:
    """Gains that make the means of red and blue that of green, over pixels neither dark nor full.

    Taken from the middle exposure and used for all three and the truth, so that radiance stays
    radiance; no gain is below 1, so that what is full stays full.
    """
    flat = planes.reshape(PLANES, -1)
    usable = flat[:, ((flat > _VALID[0]) & (flat < _VALID[1])).all(axis=0)]
    means = usable.mean(axis=1) if usable.shape[1] else np.ones(PLANES, np.float32)
    rgb = np.array([means[3], (means[1] + means[2]) / 2, means[0]], np.float32)
    gains = rgb[1] / rgb
    return (gains / gains.min()).astype(np.float32)


@dataclass(frozen=True, eq=False)
class MobileScene(SceneSource):
    """One ``.npz`` as RGB pictures."""

    scene_id: str
    path: Path

    @property
    def has_truth(self) -> bool:
        """Whether the archive holds radiance."""
        with _opened(self.path) as archive:
            return "hdr.npy" in archive.namelist()

    @property
    def files(self) -> tuple[Path, ...]:
        """The archive."""
        return (self.path,)

    def size(self) -> tuple[int, int]:
        """(height, width) of a plane."""
        with _opened(self.path) as archive, archive.open("mid.npy") as member:
            version = np.lib.format.read_magic(member)
            read = np.lib.format.read_array_header_1_0
            if version != (1, 0):
                read = np.lib.format.read_array_header_2_0
            shape, _, _ = read(member)
        return shape[1], shape[2]

    def read(self) -> tuple[ExposureStack, Encoded | Image | None]:
        """Exposures in 16 bits, encoded by a gamma of 2.2, and the truth as linear radiance."""
        raw = read_raw(self.path)
        gains = grey_world_gains(raw.planes[1])
        encoded = tuple(_encoded(to_rgb(planes, gains)) for planes in raw.planes)
        truth = None if raw.truth is None else to_rgb(raw.truth, gains)
        return ExposureStack(encoded=encoded, evs=raw.evs, reference=1), truth


def find_mobile_hdr(root: Path) -> Found:
    """Archives below ``training_npz`` and ``test_npz``."""
    inner = child(root, "NPZ_data")
    base = inner if inner is not None and inner.is_dir() else root
    found: dict[str, list[SceneSource]] = {}
    for split, name in (("train", "training_npz"), ("test", "test_npz")):
        half = child(base, name)
        if half is None:
            continue
        scenes: list[SceneSource] = [
            MobileScene("-".join(path.relative_to(half).with_suffix("").parts), path)
            for path in natural(half.rglob("*.npz"))
        ]
        if scenes:
            found[split] = scenes
    return found


def _encoded(radiance: Radiance) -> npt.NDArray[np.uint16]:
    return np.floor(to_display(radiance) * np.float32(65535) + np.float32(0.5)).astype(np.uint16)


def _ratio(planes: Planes, path: Path) -> float:
    """Exposure of a frame: its planes over the same planes divided by it."""
    direct, divided = planes[:PLANES], planes[PLANES:]
    usable = (direct > _VALID[0]) & (direct < _VALID[1]) & (divided > 0)
    if not usable.any():
        raise ImageFileError(
            f"{path}: no value is neither dark nor full, so its exposure cannot be told."
        )
    return float(np.median(direct[usable] / divided[usable]))


def _arrays(path: Path) -> dict[str, Planes]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: np.asarray(archive[key], np.float32) for key in archive.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ImageFileError(f"{path}: no readable NumPy archive ({error}).") from error


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise ImageFileError(f"{path}: no readable NumPy archive ({error}).") from error


MOBILE_HDR = PublicSet(
    name="mobile-hdr",
    title="Mobile-HDR, published as RAW",
    paper="Liu et al., Joint HDR Denoising and Fusion, CVPR 2023",
    where="from the authors' repository, shuaizhengliu/Joint-HDRDN",
    disk="tens of GB",
    licence="for research; see the repository",
    layout="NPZ_data/{training_npz,test_npz}/**/NAME.npz with sht, mid, lng and, with truth, hdr",
    find=find_mobile_hdr,
    counts={"train": 85, "test": 30},
    size=(1500, 2000),
    remark=(
        "the way from RAW to RGB is dmef's own (greens averaged, grey-world white balance from the "
        "middle exposure, gamma 2.2): the 4K-DMEF paper does not document its own; its counts are "
        "those of that paper"
    ),
)
