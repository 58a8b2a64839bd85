"""A folder of pictures, in the natural order of their names, as a clip."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from dmef_bench.building.clip import SmallFrame, VideoInfo
from dmef_bench.building.colour import Colour, FrameU8
from dmef_bench.errors import ImageFileError, VideoError
from dmef_bench.imagefile import bytes_sha256
from dmef_bench.photo.header import SUFFIXES, Header, read_header
from dmef_bench.photo.pixels import read_pixels
from dmef_bench.scene import size_text

PICTURES_OF_A_CLIP = 3
"""A folder with fewer is none."""


def pictures_in(folder: Path) -> tuple[Path, ...]:
    """JPEG, PNG and TIFF files that lie in a folder itself, 2 before 10."""
    pictures = (path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    seen = (path for path in pictures if path.is_file() and not path.name.startswith("."))
    return tuple(sorted(seen, key=_natural))


def _natural(path: Path) -> tuple[object, ...]:
    parts = re.split(r"(\d+)", path.name)
    return tuple(int(part) if number % 2 else part for number, part in enumerate(parts))


def sequence_sha256(folder: Path) -> str:
    r"""SHA-256 of the lines ``hash name\n`` of a sequence's pictures, in their order."""
    hasher = hashlib.sha256()
    for path in pictures_in(folder):
        hasher.update(f"{bytes_sha256(path)} {path.name}\n".encode())
    return hasher.hexdigest()


class SequenceReader:
    """Pictures of a folder as frames that come at a steady rate.

    Parameters
    ----------
    folder : Path
        Holds pictures of one size and one kind, 8 bits a channel; they are turned upright by EXIF.
    fps : int
        Pictures a second.
    sha256 : str, optional
        See `sequence_sha256`; computed when `info` is first asked for otherwise.

    Raises
    ------
    VideoError
        Too few pictures, one of another size, one that cannot be read, or 16 bits a channel.
    """

    def __init__(self, folder: Path, fps: int, *, sha256: str | None = None) -> None:
        self.path = folder
        self._fps = fps
        self._sha256 = sha256
        self._headers = [self._header(path) for path in pictures_in(folder)]
        if len(self._headers) < PICTURES_OF_A_CLIP:
            raise VideoError(
                f"{folder.name}: {len(self._headers)} pictures; a folder needs "
                f"{PICTURES_OF_A_CLIP} to count as a video."
            )
        for before, after in pairwise(self._headers):
            if before.size != after.size:
                raise VideoError(
                    f"{folder.name}: {after.path.name} is {size_text(after.size)}, the one before "
                    f"{size_text(before.size)}; the pictures of a video have one size."
                )

    @property
    def pts(self) -> tuple[int, ...]:
        """0, 1, 2 …: a tick is the time from one picture to the next."""
        return tuple(range(len(self._headers)))

    def __len__(self) -> int:
        return len(self._headers)

    def time(self, index: int) -> Fraction:
        """When a picture is shown, in seconds."""
        return Fraction(self.pts[index], self._fps)

    @cached_property
    def info(self) -> VideoInfo:
        """What the folder holds, in the words of a video."""
        first, count = self._headers[0], len(self._headers)
        (height, width), rate = first.size, Fraction(self._fps)
        return VideoInfo(
            path=self.path,
            bytes=sum(header.path.stat().st_size for header in self._headers),
            sha256=self._sha256 or sequence_sha256(self.path),
            container="pictures",
            stream=0,
            codec=first.kind,
            profile="",
            pixel_format="rgb24",
            coded_height=first.coded_size[0],
            coded_width=first.coded_size[1],
            height=height,
            width=width,
            rotation=0,
            time_base=1 / rate,
            frames=count,
            packets=count,
            discarded=0,
            stated_frames=None,
            count="unverified",
            index="pictures",
            keyframes=count,
            duration=count / rate,
            average_rate=rate,
            vfr=False,
            colour=Colour("rgb", False, "full", False, "untagged", "untagged"),
            hdr="none",
        )

    def frames(self, indices: Iterable[int]) -> Iterator[FrameU8]:
        """Pictures of these numbers, RGB, upright; `VideoError` where one is damaged."""
        for index in indices:
            try:
                yield self._pixels(index)
            except ImageFileError as error:
                raise self._refusal(error) from error

    def small_frames(self, indices: Iterable[int], long_side: int = 480) -> Iterator[SmallFrame]:
        """Pictures for analysis, shrunk by area; damaged ones are left out."""
        for index in indices:
            try:
                picture = self._pixels(index)
            except ImageFileError:
                continue
            grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
            height, width = grey.shape
            shrink = min(1.0, long_side / max(height, width))
            yield SmallFrame(
                index,
                _shrunk(picture, (round(width * shrink), round(height * shrink))),
                _shrunk(grey, (width // 2, height // 2)),
            )

    def close(self) -> None:
        """Nothing is open."""

    def _header(self, path: Path) -> Header:
        try:
            header = read_header(path)
        except ImageFileError as error:
            raise self._refusal(error) from error
        if header.bits != 8:
            raise VideoError(
                f"{self.path.name}: {path.name} has {header.bits} bits a channel; data sets are "
                "built from 8. Convert the pictures first."
            )
        return header

    def _refusal(self, error: ImageFileError) -> VideoError:
        # What stands in a data set names no folder of the machine that built it.
        return VideoError(f"{self.path.name}: {error}".replace(f"{self.path}/", ""))

    def _pixels(self, index: int) -> FrameU8:
        picture = read_pixels(self._headers[index])
        return np.ascontiguousarray(picture.astype(np.uint8, copy=False))


def _shrunk(picture: FrameU8, width_height: tuple[int, int]) -> FrameU8:
    width, height = width_height
    size = (max(1, width), max(1, height))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
