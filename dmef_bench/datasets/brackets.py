"""Scenes of ordinary picture files: some exposures, their stops, and a truth or none."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from dmef_bench.datasets.public_set import SceneSource
from dmef_bench.errors import ImageContractError, ImageFileError
from dmef_bench.imagefile import read_image
from dmef_bench.photo.header import read_header
from dmef_bench.scene import Encoded, ExposureStack, Image, arrange, size_text

TIFF = {".tif", ".tiff"}


@dataclass(frozen=True, eq=False)
class Bracket(SceneSource):
    """One scene.

    Parameters
    ----------
    scene_id : str
        Its name.
    exposures : tuple of Path
        As the set orders them; the stack is ordered by EV.
    stops : callable
        Their EVs, read when asked for; None where nobody states them.
    stated_in : tuple of Path
        Files that the EVs come from.
    truth : Path or None
        Where there is one.
    read_truth : callable or None
        Reads it; gets the path and the stops as stated, rising.
    bits : int or None
        Bits a channel that the set is published with.
    """

    scene_id: str
    exposures: tuple[Path, ...]
    stops: Callable[[], tuple[float, ...] | None]
    stated_in: tuple[Path, ...] = ()
    truth: Path | None = None
    read_truth: Callable[[Path, Sequence[float] | None], Encoded | Image] | None = None
    bits: int | None = None

    @property
    def has_truth(self) -> bool:
        """Whether there is something to hold a fused picture against."""
        return self.truth is not None

    @property
    def linear(self) -> bool:
        """Whether the truth is radiance by its file's kind."""
        return self.truth is not None and self.truth.suffix.lower() == ".hdr"

    @property
    def files(self) -> tuple[Path, ...]:
        """Exposures, what states their EVs, and the truth."""
        return (*self.exposures, *self.stated_in, *((self.truth,) if self.truth else ()))

    def size(self) -> tuple[int, int]:
        """(height, width) of the first exposure."""
        return read_header(self.exposures[0]).size

    def read(self) -> tuple[ExposureStack, Encoded | Image | None]:
        """Exposures by rising EV, counted from the darkest, and the truth."""
        stops = self.stops()
        pictures = [self._picture(path) for path in self.exposures]
        self._check_sizes(pictures)
        light = stops or [float(np.log2(picture.mean() + 1e-6)) for picture in pictures]
        order, reference = arrange(light)
        evs = None if stops is None else tuple(stops[i] - min(stops) for i in order)
        ordered = [pictures[i] for i in order]
        self._check_order(ordered, [self.exposures[i] for i in order])
        stack = ExposureStack(encoded=tuple(ordered), evs=evs, reference=reference)
        return stack, self._truth(stack, stops and sorted(stops))

    def _picture(self, path: Path) -> Encoded:
        picture = read_image(path)
        if self.bits is not None and picture.dtype.itemsize * 8 != self.bits:
            raise ImageFileError(
                f"{path}: {picture.dtype.itemsize * 8} bits a channel; the set is published with "
                f"{self.bits}. Get the file again: a converted copy has lost what the set is about."
            )
        return picture

    def _check_sizes(self, pictures: Sequence[Encoded]) -> None:
        sizes = [size_text(picture.shape[:2]) for picture in pictures]
        if len(set(sizes)) > 1:
            named = ", ".join(
                f"{path.name} {size}" for path, size in zip(self.exposures, sizes, strict=True)
            )
            raise ImageContractError(
                f"{self.scene_id}: exposures of different sizes ({named}); restore them."
            )

    def _check_order(self, pictures: Sequence[Encoded], paths: Sequence[Path]) -> None:
        """EVs and brightness must tell one order, else names or EVs have been mixed up."""
        means = [float(picture.mean(dtype=np.float64)) for picture in pictures]
        for (before, dark), (after, bright) in pairwise(zip(paths, means, strict=True)):
            if dark > bright:
                raise ImageContractError(
                    f"{self.scene_id}: by their EVs {before.name} is darker than {after.name}, but "
                    f"its mean is {dark:.0f} against {bright:.0f}. Names or EVs are mixed up."
                )

    def _truth(self, stack: ExposureStack, stops: Sequence[float] | None) -> Encoded | Image | None:
        if self.truth is None or self.read_truth is None:
            return None
        truth = self.read_truth(self.truth, stops)
        if truth.shape[:2] != stack.size:
            raise ImageContractError(
                f"{self.truth}: {size_text(truth.shape[:2])}; the exposures are "
                f"{size_text(stack.size)}."
            )
        return truth


def folders(root: Path) -> Iterator[Path]:
    """Folders inside a folder, in natural order; hidden ones are left out."""
    if root.is_dir():
        found = (path for path in root.iterdir() if path.is_dir() and path.name[0] != ".")
        yield from natural(found)


def child(root: Path, *names: str) -> Path | None:
    """What lies in a folder under one of these names, whatever their case."""
    wanted = {name.lower() for name in names}
    if not root.is_dir():
        return None
    return next((path for path in natural(root.iterdir()) if path.name.lower() in wanted), None)


def pictures(folder: Path, suffixes: set[str], pattern: str = ".*") -> tuple[Path, ...]:
    """Files of these kinds whose stem fits the whole pattern, in natural order."""
    return tuple(
        natural(
            path
            for path in folder.iterdir()
            if path.is_file()
            and path.suffix.lower() in suffixes
            and re.fullmatch(pattern, path.stem, re.IGNORECASE)
        )
    )


def natural(paths: Iterable[Path]) -> list[Path]:
    """In the order people count: 2 before 10.

    Examples
    --------
    >>> [path.name for path in natural([Path("10.tif"), Path("2.tif")])]
    ['2.tif', '10.tif']
    """

    def key(path: Path) -> list[tuple[int, int, str]]:
        parts = re.findall(r"\d+|\D+", path.name.lower())
        return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]

    return sorted(paths, key=key)
