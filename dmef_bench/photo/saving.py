"""A new picture file, written from the top down: PNG, TIFF or JPEG, with its colour profile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import numpy as np
import tifffile
from PIL import Image as PillowImage

from dmef_bench.errors import ImageFileError, UsageError
from dmef_bench.imagefile import replacing
from dmef_bench.photo.png import PngWriter
from dmef_bench.scene import Encoded, size_text

_JPEG_SIDE = 65500
"""Pixels; the format counts a few more, libjpeg does not."""


class _Writer(Protocol):
    def write(self, rows: Encoded) -> None: ...
    def close(self) -> None: ...


class _TiffWriter:
    """Uncompressed, so that rows go where they belong without being kept."""

    def __init__(self, file: BinaryIO, size: tuple[int, int], bits: int, icc: bytes | None) -> None:
        self._dtype = np.dtype(f"uint{bits}")
        reserved = tifffile.imwrite(
            file,
            shape=(*size, 3),
            dtype=self._dtype,
            photometric="rgb",
            iccprofile=icc,
            metadata=None,
            software=False,
            returnoffset=True,
        )
        offset, _ = cast("tuple[int, int]", reserved)
        file.seek(offset)
        self._file = file

    def write(self, rows: Encoded) -> None:
        self._file.write(np.ascontiguousarray(rows, self._dtype).data)

    def close(self) -> None:
        pass


class _JpegWriter:
    """Keeps the picture in memory: Pillow encodes a whole."""

    def __init__(
        self, file: BinaryIO, size: tuple[int, int], icc: bytes | None, quality: int
    ) -> None:
        self._file, self._icc, self._quality = file, icc, quality
        self._picture = np.empty((*size, 3), np.uint8)
        self._top = 0

    def write(self, rows: Encoded) -> None:
        self._picture[self._top : self._top + len(rows)] = rows
        self._top += len(rows)

    def close(self) -> None:
        PillowImage.fromarray(self._picture).save(
            self._file, "JPEG", quality=self._quality, subsampling=0, icc_profile=self._icc
        )


def bits_in(path: Path, bits: int) -> int:
    """The depth that a file of this ending holds: ``bits``, but 8 in a JPEG.

    Raises
    ------
    UsageError
        Another ending than .png, .tif, .tiff, .jpg, .jpeg.
    """
    suffix = path.suffix.lower()
    if suffix in (".png", ".tif", ".tiff"):
        return bits
    if suffix in (".jpg", ".jpeg"):
        return 8
    raise UsageError(f"{path}: a picture is written as .png, .tif or .jpg; choose one of these.")


@contextmanager
def saving(
    path: Path,
    size: tuple[int, int],
    bits: int,
    *,
    icc: bytes | None = None,
    quality: int = 95,
) -> Iterator[Callable[[Encoded], None]]:
    """Write a picture; the file takes its name once all rows are there.

    PNG and TIFF go to disk band by band, a JPEG is held in memory and encoded as a whole. The
    file carries size, pixels and colour profile, and nothing else: no EXIF, no place, no time.

    Parameters
    ----------
    path : Path
        Ends in .png, .tif, .tiff, .jpg or .jpeg; replaced where it exists.
    size : (height, width)
        Of the picture.
    bits : int
        What `bits_in` says.
    icc : bytes or None
        Colour profile of RGB pixels.
    quality : int
        Of a JPEG, 1 to 100.

    Yields
    ------
    callable
        Takes the next rows, (rows, W, 3), uint8, or uint16 where ``bits`` is 16.

    Raises
    ------
    ImageFileError
        The folder is missing or full, rows are missing at the end, or a JPEG would be too large.
    """
    if not path.parent.is_dir():
        raise ImageFileError(f"{path}: the folder {path.parent} does not exist; make it first.")
    with replacing(path) as staging, staging.open("wb") as file:
        with _told(path):
            writer = _writer(path, file, size, bits, icc, quality)
        written = 0

        def write(rows: Encoded) -> None:
            nonlocal written
            written += len(rows)
            with _told(path):
                writer.write(rows)

        yield write
        if written != size[0]:
            raise ImageFileError(
                f"{path}: {written} rows were written of a picture of {size_text(size)}."
            )
        with _told(path):
            writer.close()
            file.flush()


def _writer(
    path: Path, file: BinaryIO, size: tuple[int, int], bits: int, icc: bytes | None, quality: int
) -> _Writer:
    suffix = path.suffix.lower()
    if suffix == ".png":
        return PngWriter(file, size, bits, icc)
    if suffix in (".tif", ".tiff"):
        return _TiffWriter(file, size, bits, icc)
    if max(size) > _JPEG_SIDE:
        raise ImageFileError(
            f"{path}: a JPEG has at most {_JPEG_SIDE} pixels a side, this picture is "
            f"{size_text(size)}; write .png or .tif."
        )
    return _JpegWriter(file, size, icc, quality)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ImageFileError(
            f"{path}: cannot be written ({error.strerror or error}). Choose another folder."
        ) from error
