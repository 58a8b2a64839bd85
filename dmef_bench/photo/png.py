"""PNG by bands of rows, larger than memory, with its colour profile."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import numpy.typing as npt

from dmef_bench.errors import ImageFileError
from dmef_bench.scene import Encoded

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
"""By colour type; palettes hold RGB."""

_RGB = 2
_UP = 2  # filter 2: every row as its difference to the row above
_LEVEL = 3
_METADATA_LIMIT = 2**24
_BAND_BYTES = 2**23


@dataclass(frozen=True)
class Statement:
    """What a PNG states before its pixels.

    Parameters
    ----------
    size : (height, width)
        In pixels.
    depth : int
        Bits of a sample: 1, 2, 4, 8 or 16.
    colour : int
        Colour type: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha.
    interlaced, transparent : bool
        Adam7; a ``tRNS`` chunk.
    frames : int
        More than one in an animation.
    icc, exif : bytes or None
        Colour profile and EXIF block.
    """

    size: tuple[int, int]
    depth: int
    colour: int
    interlaced: bool
    transparent: bool
    frames: int
    icc: bytes | None
    exif: bytes | None

    @property
    def channels(self) -> int:
        """1 to 4, once decoded."""
        if self.transparent:
            return 4
        return _CHANNELS[self.colour]


def read_statement(path: Path) -> Statement:
    """Read every chunk's name and the few that describe the picture; pixels are passed over.

    Raises
    ------
    ImageFileError
        Not a PNG, damaged, or cut short.
    """
    found: dict[bytes, bytes] = {}
    with path.open("rb") as file:
        for kind, length in _chunks(file, path):
            if kind in (b"IHDR", b"iCCP", b"eXIf", b"acTL", b"tRNS", b"IEND"):
                found[kind] = _read_chunk(file, kind, length, path)
            else:
                file.seek(length + 4, 1)
    try:
        width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", found[b"IHDR"])
        frames = struct.unpack(">I", found[b"acTL"][:4])[0] if b"acTL" in found else 1
    except (KeyError, struct.error) as error:
        raise _damaged(path, "its header is missing or too short") from error
    if colour not in _CHANNELS:
        raise _damaged(path, f"colour type {colour} does not exist")
    return Statement(
        size=(height, width),
        depth=depth,
        colour=colour,
        interlaced=interlace != 0,
        transparent=b"tRNS" in found,
        frames=frames,
        icc=_inflated_profile(found.get(b"iCCP", b"")),
        exif=found.get(b"eXIf"),
    )


def read_bands(path: Path, stated: Statement) -> Iterator[tuple[int, npt.NDArray[np.generic]]]:
    """Decode a PNG from the top down.

    RGB of 8 or 16 bits comes in bands of a few megabytes; what is interlaced, grey, transparent or
    of a palette comes as a whole.

    Yields
    ------
    top : int
        First row of the band.
    codes : ndarray, shape (rows, W) or (rows, W, 3 or 4), uint8 or uint16
        RGB, as coded.

    Raises
    ------
    ImageFileError
        Damaged, or cut short.
    """
    if stated.colour == _RGB and not (stated.interlaced or stated.transparent):
        yield from _bands(path, stated)
    else:
        yield 0, _as_rgb(_decoded(path.read_bytes(), path))


def _bands(path: Path, stated: Statement) -> Iterator[tuple[int, npt.NDArray[np.generic]]]:
    """Undo deflate here and the filters by OpenCV, each band dressed as a small PNG of its own."""
    height, width = stated.size
    line = 3 * width * stated.depth // 8
    # Filters look at the row above, so each small PNG begins with the last row of the band before.
    above = bytes(line)
    top = 0
    for band in _inflated(path, line + 1, height):
        rows = len(band) // (line + 1)
        # Filter 0 for the row above: it is stored as it is.
        small = _small_png(b"\0" + above + band, (rows + 1, width), stated.depth)
        codes = _as_rgb(_decoded(small, path))[1:]
        yield top, codes
        above = _big_endian(codes[-1:]).tobytes()
        top += rows


def _inflated(path: Path, line: int, height: int) -> Iterator[bytes]:
    """The filtered rows of all ``IDAT`` chunks, whole rows at a time."""
    inflate = zlib.decompressobj()
    left, raw = line * height, bytearray()
    per_band = line * max(1, _BAND_BYTES // line)
    try:
        for data in _pixel_data(path):
            while data and left:
                wanted = min(per_band, left)
                raw += inflate.decompress(data, wanted - len(raw))
                data = inflate.unconsumed_tail
                if len(raw) == wanted:
                    left -= wanted
                    yield bytes(raw)
                    raw.clear()
    except zlib.error as error:
        raise _damaged(path, str(error)) from error
    if left:
        missing = left - len(raw)
        raise _damaged(path, f"{-(-missing // line)} of {height} rows are missing")


def _pixel_data(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for kind, length in _chunks(file, path):
            if kind == b"IDAT":
                yield _read_chunk(file, kind, length, path)


def _small_png(filtered: bytes, size: tuple[int, int], depth: int) -> bytes:
    pixels = zlib.compress(filtered, 0)
    return SIGNATURE + _header_chunk(size, depth) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _decoded(data: bytes, path: Path) -> npt.NDArray[np.generic]:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise _damaged(path, "its pixels cannot be decoded")
    return image


def _as_rgb(image: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    if image.ndim == 2:
        return image
    swap = cv2.COLOR_BGR2RGB if image.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
    return cv2.cvtColor(image, swap)


class PngWriter:
    """Writes a PNG of RGB pixels band by band; nothing of the picture is kept.

    Parameters
    ----------
    file : binary file
        Open for writing.
    size : (height, width)
        Of the whole picture.
    bits : int
        8 or 16.
    icc : bytes or None
        Colour profile.

    Notes
    -----
    Filter "up" and zlib level 3 for all rows: a quarter of the time of OpenCV's level 6, for 2 %
    (8 bits) and 6 % (16 bits) more bytes on a phone's photograph (benchmarks/png_bands.py).
    """

    def __init__(
        self, file: BinaryIO, size: tuple[int, int], bits: int, icc: bytes | None = None
    ) -> None:
        self._file = file
        self._deflate = zlib.compressobj(_LEVEL)
        self._above = np.zeros((1, size[1] * 3 * bits // 8), np.uint8)
        file.write(SIGNATURE + _header_chunk(size, bits))
        if icc is not None:
            file.write(_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc)))

    def write(self, rows: Encoded) -> None:
        """Add rows below those already written, (rows, W, 3) of the stated depth."""
        plain = _big_endian(rows).reshape(len(rows), -1)
        filtered = np.empty((len(plain), plain.shape[1] + 1), np.uint8)
        filtered[:, 0] = _UP
        filtered[:1, 1:] = plain[:1] - self._above
        filtered[1:, 1:] = plain[1:] - plain[:-1]
        self._above = plain[-1:].copy()
        self._put(self._deflate.compress(filtered.data))

    def close(self) -> None:
        """Write what is left and the end; the file itself stays open."""
        self._put(self._deflate.flush())
        self._file.write(_chunk(b"IEND", b""))

    def _put(self, deflated: bytes) -> None:
        if deflated:
            self._file.write(_chunk(b"IDAT", deflated))


def _big_endian(codes: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """The samples as PNG stores them, (rows, W, 3 bytes or pairs of bytes)."""
    ordered = np.ascontiguousarray(codes, codes.dtype.newbyteorder(">"))
    return ordered.view(np.uint8)


def _header_chunk(size: tuple[int, int], depth: int) -> bytes:
    height, width = size
    return _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, _RGB, 0, 0, 0))


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def _chunks(file: BinaryIO, path: Path) -> Iterator[tuple[bytes, int]]:
    """Names and lengths of the chunks; ``file`` stands where the data of each begin."""
    at = len(SIGNATURE)
    kind = b""
    while kind != b"IEND":
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            raise _damaged(path, "cut short")
        length, kind = struct.unpack(">I4s", head)
        yield kind, length
        at += 12 + length


def _read_chunk(file: BinaryIO, kind: bytes, length: int, path: Path) -> bytes:
    if kind != b"IDAT" and length > _METADATA_LIMIT:
        raise _damaged(path, f"{length} bytes of {kind.decode('latin-1')}")
    data, check = file.read(length), file.read(4)
    if len(data) < length or check != struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))):
        raise _damaged(path, f"chunk {kind.decode('latin-1')} is not what was written")
    return data


def _inflated_profile(chunk: bytes) -> bytes | None:
    _, _, packed = chunk.partition(b"\0")
    try:
        return zlib.decompressobj().decompress(packed[1:], _METADATA_LIMIT) or None
    except zlib.error:
        return None  # the picture is good without


def _damaged(path: Path, what: str) -> ImageFileError:
    return ImageFileError(f"{path}: damaged, {what}. Restore it from its source.")
