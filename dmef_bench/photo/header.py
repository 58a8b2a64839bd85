"""What a picture file states before its pixels are read: size, depth, profile, exposure."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from operator import index
from pathlib import Path

from PIL import JpegImagePlugin
from tifffile import TiffFile, TiffPage

from dmef_bench.errors import ImageFileError
from dmef_bench.photo import png
from dmef_bench.photo.exposure_tags import (
    EXIF_IFD,
    F_NUMBER_TAG,
    ISO_TAG,
    ORIENTATION_TAG,
    TIME_TAG,
    Tags,
    no_warnings,
    parse_exif,
    tags_from,
)
from dmef_bench.photo.orientation import turned_size
from dmef_bench.scene import size_text

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
"""Endings of the files that are read; what lies in them is told by their first bytes."""

MAX_PIXELS = 2**30
"""Of one picture, as OpenCV has it: a file of few bytes may claim any size."""

TIFF_DAMAGE = (
    OSError, ValueError, LookupError, TypeError, ArithmeticError, struct.error, zlib.error,
)  # fmt: skip
"""What tifffile raises at a file that breaks its own rules."""


@dataclass(frozen=True)
class Header:
    """What a picture file states of itself.

    Parameters
    ----------
    path : Path
        The file.
    kind : {"jpeg", "png", "tiff"}
        By its first bytes, not its name.
    coded_size : (height, width)
        As its pixels are stored.
    bits : int
        8 or 16 of a channel.
    channels : int
        1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
    icc : bytes or None
        Colour profile.
    tags : Tags
        What EXIF states of orientation and exposure.
    """

    path: Path
    kind: str
    coded_size: tuple[int, int]
    bits: int
    channels: int
    icc: bytes | None
    tags: Tags

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) as seen."""
        return turned_size(self.coded_size, self.tags.orientation)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What reading the pixels as RGB leaves out or adds."""
        grey = (f"{self.path.name} is grey and is read as RGB",) if self.channels < 3 else ()
        alpha = (f"{self.path.name} has an alpha channel, opaque all over: left out",)
        return grey + (alpha if self.channels in (2, 4) else ())


def read_header(path: Path) -> Header:
    """Read what a picture file states of itself; its pixels stay where they are.

    Parameters
    ----------
    path : Path
        JPEG, PNG or TIFF.

    Raises
    ------
    ImageFileError
        Missing, damaged, of another format; CMYK, animated, several pages, or a depth other than
        8 and 16 bits; more than `MAX_PIXELS`.
    """
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise ImageFileError(
            f"{path}: cannot be read ({error.strerror}). Check the name and its permissions."
        ) from error
    header = _reader(path, start)(path)
    height, width = header.coded_size
    if not 0 < height * width <= MAX_PIXELS:
        raise ImageFileError(
            f"{path}: {size_text(header.coded_size)} pixels; from 1 to {MAX_PIXELS} are read."
        )
    return header


def _reader(path: Path, start: bytes) -> Callable[[Path], Header]:
    # Raw files of cameras are TIFF inside, with a thumbnail where the picture should be.
    if path.suffix.lower() in SUFFIXES:
        if start.startswith(png.SIGNATURE):
            return _png_header
        if start.startswith(b"\xff\xd8"):
            return _jpeg_header
        if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return _tiff_header
    raise ImageFileError(
        f"{path}: not a JPEG, PNG or TIFF; pictures of these three kinds are read "
        f"({' '.join(SUFFIXES)}). Convert it first: raw files and HEIC by your raw converter."
    )


def _jpeg_header(path: Path) -> Header:
    try:
        with no_warnings(), JpegImagePlugin.JpegImageFile(path) as image:
            mode, (width, height), info = image.mode, image.size, image.info
    except (OSError, SyntaxError, ValueError, LookupError, struct.error) as error:
        raise ImageFileError(f"{path}: damaged ({error}). Restore it from its source.") from error
    if mode not in ("L", "RGB"):
        raise ImageFileError(f"{path}: {mode}; convert it to RGB, with its colour profile.")
    return Header(
        path=path,
        kind="jpeg",
        coded_size=(height, width),
        bits=8,
        channels=1 if mode == "L" else 3,
        icc=_rgb_profile(info.get("icc_profile")),
        tags=parse_exif(info.get("exif", b"")),
    )


def _png_header(path: Path) -> Header:
    stated = png.read_statement(path)
    if stated.frames != 1:
        raise ImageFileError(f"{path}: an animation of {stated.frames} frames; export one of them.")
    return Header(
        path=path,
        kind="png",
        coded_size=stated.size,
        bits=16 if stated.depth == 16 else 8,
        channels=stated.channels,
        icc=_rgb_profile(stated.icc),
        tags=parse_exif(stated.exif) if stated.exif else Tags(),
    )


def _tiff_header(path: Path) -> Header:
    try:
        with TiffFile(path) as tiff:
            page = tiff.pages.first
            alike = sum(other.shape == page.shape for other in tiff.pages)
            header = _of_page(path, page)
    except ImageFileError:
        raise
    except TIFF_DAMAGE as error:
        raise ImageFileError(f"{path}: damaged ({error}). Restore it from its source.") from error
    if alike > 1:
        raise ImageFileError(f"{path}: holds {alike} pictures; export one of them.")
    return header


def _of_page(path: Path, page: TiffPage) -> Header:
    photometric = getattr(page.photometric, "name", page.photometric)
    if photometric not in ("RGB", "MINISBLACK"):
        raise ImageFileError(f"{path}: its pixels are {photometric}; convert it to RGB.")
    if page.dtype not in ("uint8", "uint16") or page.bitspersample not in (8, 16):
        raise ImageFileError(
            f"{path}: {page.bitspersample}-bit {page.dtype} pixels; "
            "8 or 16 bits a channel are read. Convert it."
        )
    if not 1 <= page.samplesperpixel <= 4 or page.imagedepth != 1:
        raise ImageFileError(f"{path}: {page.samplesperpixel} channels; pictures have 1 to 4.")
    profile = page.tags.valueof(34675)
    exif = page.tags.valueof(EXIF_IFD)
    return Header(
        path=path,
        kind="tiff",
        # A damaged tag may hold anything but a number.
        coded_size=(index(page.imagelength), index(page.imagewidth)),
        bits=page.bitspersample,
        channels=page.samplesperpixel,
        icc=_rgb_profile(profile),
        tags=tags_from(page.tags.valueof(ORIENTATION_TAG), _by_number(exif)),
    )


def _by_number(exif: object) -> dict[int, object]:
    """Exposure tags by their numbers; tifffile hands them out by name."""
    if not isinstance(exif, dict):
        return {}
    return {
        TIME_TAG: _quotient(exif.get("ExposureTime")),
        F_NUMBER_TAG: _quotient(exif.get("FNumber")),
        ISO_TAG: exif.get("ISOSpeedRatings"),
    }


def _quotient(value: object) -> object:
    match value:
        case (int(above), int(below)) if below:
            return above / below
    return None


def _rgb_profile(profile: object) -> bytes | None:
    """A colour profile of RGB pixels; one of grey ones would be wrong beside three channels."""
    if isinstance(profile, bytes) and profile[16:20] == b"RGB ":
        return profile
    return None
