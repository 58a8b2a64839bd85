"""Scenes decoded once into memory-mapped files, so that a crop costs a copy and no decoding."""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from dmef_bench.datasets.scene_set import SceneFacts, SceneSet
from dmef_bench.errors import UnavailableError, UsageError
from dmef_bench.imagefile import replacing
from dmef_bench.scene import ExposureStack, Scene
from dmef_bench.units import bytes_text

PARTS = ("exposures", "truth", "evs")
"""Files of a scene."""

BYTES_A_PIXEL = 12
"""Of three exposures and the truth, at 8 bits."""
PREPARED_BYTES_A_PIXEL = 6
"""Of a prepared picture of 16 bits, more."""

Progress = Callable[[int, int, str], None]
"""Called with (scenes done, scenes in all, the last one's id)."""


@dataclass(frozen=True)
class Preparation:
    """What a method makes of whole stacks before it is trained on crops of them.

    Parameters
    ----------
    name : str
        Changes when its pictures do.
    prepare : callable
        From stack to stack of the same size, with ``encoded``.
    pictures : int
        How many the prepared stack holds.
    """

    name: str
    prepare: Callable[[ExposureStack], ExposureStack]
    pictures: int = 3

    @property
    def part(self) -> str:
        """What its pictures are called among the files of a scene."""
        return f"exposures-{hashlib.sha256(self.name.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, eq=False)
class StoredScene:
    """A decoded scene on disk, read only where a crop is cut.

    Parameters
    ----------
    scene_id : str
        Its name.
    exposures : ndarray, shape (N, H, W, 3), uint8 or uint16
        Memory-mapped, RGB: the three exposures, darkest first, or what was prepared of them.
    truth : ndarray, shape (H, W, 3), uint8, uint16 or float32
        Memory-mapped; display-encoded codes, or linear radiance where it is float32.
    evs : tuple of float or None
        Stops of the pictures, where they are known.
    """

    scene_id: str
    exposures: npt.NDArray[Any]
    truth: npt.NDArray[Any]
    evs: tuple[float, ...] | None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.truth.shape[0], self.truth.shape[1]


def store_scenes(
    scenes: SceneSet,
    folder: Path,
    progress: Progress | None = None,
    preparation: Preparation | None = None,
) -> list[StoredScene]:
    """Decode what the folder does not hold yet, and map all of it.

    Parameters
    ----------
    scenes : SceneSet
        To be trained on; their digests name the files, so a folder may serve many runs.
    folder : Path
        Where the files lie: 12 bytes a pixel and scene, 100 MB for a 4K frame.
    progress : callable, optional
        Told about every scene decoded.
    preparation : Preparation, optional
        Done to every stack once; its pictures are kept beside the exposures as they were.

    Raises
    ------
    UnavailableError
        Too little room on the disk.
    ManifestError
        A picture that cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [facts for facts in scenes.facts if _mapped(folder, facts, preparation) is None]
    more = PREPARED_BYTES_A_PIXEL * preparation.pictures if preparation else 0
    each = BYTES_A_PIXEL + more
    _check_room(folder, sum(each * math.prod(facts.size) for facts in missing))
    for done, facts in enumerate(missing, start=1):
        if _mapped(folder, facts) is None:
            _write(folder, facts, scenes.read(facts.scene_id))
        if preparation is not None:
            _write_prepared(folder, facts, preparation)
        if progress is not None:
            progress(done, len(missing), facts.scene_id)
    return [
        _mapped(folder, facts, preparation) or _unreadable(folder, facts) for facts in scenes.facts
    ]


def _path(folder: Path, facts: SceneFacts, part: str) -> Path:
    return folder / f"{facts.digest[:32]}.{part}.npy"


def _mapped(
    folder: Path, facts: SceneFacts, preparation: Preparation | None = None
) -> StoredScene | None:
    """The scene from its files; None where one is missing, cut short, or of another scene."""
    parts = (preparation.part if preparation else PARTS[0], *PARTS[1:])
    try:
        exposures, truth, evs = (
            np.load(_path(folder, facts, part), mmap_mode="r", allow_pickle=False) for part in parts
        )
    except (OSError, ValueError, EOFError):
        return None
    if exposures.shape[1:] != truth.shape or truth.shape[:2] != tuple(facts.size):
        return None
    # Pictures that were prepared may be more than there were exposures, and have no EVs.
    known = len(evs) == len(exposures)
    return StoredScene(facts.scene_id, exposures, truth, tuple(evs.tolist()) if known else None)


def _unreadable(folder: Path, facts: SceneFacts) -> NoReturn:
    raise UnavailableError(f"{_path(folder, facts, PARTS[0])} cannot be read back; is it in use?")


def _write(folder: Path, facts: SceneFacts, scene: Scene) -> None:
    stack = scene.stack
    if scene.ground_truth is None or stack.encoded is None:
        raise UnavailableError(f"Scene {scene.scene_id} has no ground truth to be trained on.")
    pictures = np.stack(stack.encoded), scene.ground_truth, np.array(stack.evs or (), np.float64)
    for part, picture in zip(PARTS, pictures, strict=True):
        _save(_path(folder, facts, part), picture)


def _write_prepared(folder: Path, facts: SceneFacts, preparation: Preparation) -> None:
    plain = _mapped(folder, facts) or _unreadable(folder, facts)
    stack = preparation.prepare(ExposureStack(tuple(plain.exposures), plain.evs))
    if stack.encoded is None:
        raise UsageError(f"{preparation.name} gives pictures without codes; training stores codes.")
    _save(_path(folder, facts, preparation.part), np.stack(stack.encoded))


def _save(path: Path, picture: npt.NDArray[Any]) -> None:
    with replacing(path) as staging, staging.open("wb") as file:
        np.save(file, picture, allow_pickle=False)


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UnavailableError(
            f"The decoded scenes take {bytes_text(needed)}, and {folder} has {bytes_text(free)} "
            "free. Give a folder with more room: --cache FOLDER."
        )
