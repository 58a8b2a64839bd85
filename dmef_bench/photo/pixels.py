"""The pixels of a picture file, upright and RGB, piece by piece into memory or onto disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import JpegImagePlugin
from tifffile import TiffFile, TiffPage

from dmef_bench.errors import ImageFileError
from dmef_bench.photo import png
from dmef_bench.photo.exposure_tags import no_warnings
from dmef_bench.photo.header import TIFF_DAMAGE, Header
from dmef_bench.photo.orientation import as_coded, turned_size
from dmef_bench.scene import Encoded

Codes = npt.NDArray[Any]
Piece = tuple[int, int, Codes]
"""First row, first column, and codes (rows, columns) or (rows, columns, channels), as coded."""

_BAND_BYTES = 2**23
_UNPACKED = {1, 8, 32946, 32773}
"""Compressions that tifffile undoes by itself: none, ZIP by two names, PackBits."""

_INTERLEAVED = 1


def read_pixels(
    header: Header,
    *,
    orientation: int | None = None,
    empty: Callable[[tuple[int, ...], npt.DTypeLike], Codes] = np.empty,
    each: Callable[[], None] = lambda: None,
) -> Encoded:
    """Decode a picture.

    Parameters
    ----------
    header : Header
        Of the file (`read_header`).
    orientation : int, optional
        To turn it by, instead of its own.
    empty : callable
        Makes the array of a shape and a dtype, in memory or on disk.
    each : callable
        Called after every piece that was placed.

    Returns
    -------
    ndarray, shape (H, W, 3), uint8 or uint16
        RGB, upright; grey is expanded and an opaque alpha channel left out.

    Raises
    ------
    ImageFileError
        Damaged, cut short, or transparent somewhere.
    """
    turn = header.tags.orientation if orientation is None else orientation
    height, width = turned_size(header.coded_size, turn)
    dtype = np.uint16 if header.bits == 16 else np.uint8
    upright = empty((height, width, 3), dtype)
    coded = as_coded(upright, turn)
    missing = height * width
    for top, left, piece in _DECODERS[header.kind](header):
        rgb = _opaque_rgb(piece, header.path)
        target = coded[top : top + len(rgb), left : left + rgb.shape[1]]
        if target.shape[:2] != rgb.shape[:2] or rgb.dtype.itemsize != coded.itemsize:
            raise _not_as_stated(header)
        target[...] = rgb
        missing -= target.shape[0] * target.shape[1]
        each()
    if missing:
        raise _not_as_stated(header)
    return upright


def _not_as_stated(header: Header) -> ImageFileError:
    return ImageFileError(
        f"{header.path}: its pixels are not what its header states. Restore it from its source."
    )


def _opaque_rgb(piece: Codes, path: Path) -> Codes:
    channels = piece[..., None] if piece.ndim == 2 else piece
    if channels.shape[2] in (2, 4):
        if (channels[..., -1] != np.iinfo(piece.dtype).max).any():
            raise ImageFileError(
                f"{path}: transparent in places, and exposures are not. "
                "Flatten it onto a background."
            )
        channels = channels[..., :-1]
    return channels


def _jpeg(header: Header) -> Iterator[Piece]:
    try:
        with no_warnings():
            opened = JpegImagePlugin.JpegImageFile(header.path)
        with opened as image:
            image.load()
            # As bands: numpy copies a picture twice on its way out of Pillow.
            for top, bottom in _bands(header):
                yield top, 0, np.asarray(image.crop((0, top, image.width, bottom)))
    except (OSError, SyntaxError, ValueError, LookupError) as error:
        raise _damaged(header, error) from error


def _png(header: Header) -> Iterator[Piece]:
    for top, codes in png.read_bands(header.path, png.read_statement(header.path)):
        yield top, 0, codes


def _tiff(header: Header) -> Iterator[Piece]:
    try:
        with TiffFile(header.path) as tiff:
            page = tiff.pages.first
            interleaved = page.planarconfig == _INTERLEAVED
            if page.compression not in _UNPACKED:
                # OpenCV mixes up the planes of 16 bits, without a word.
                yield 0, 0, _by_opencv(header) if interleaved else _refused(header)
            elif not interleaved:
                yield 0, 0, np.moveaxis(page.asarray(), 0, 2)
            elif page.is_contiguous:
                yield from _stored_rows(header, page, tiff.byteorder)
            else:
                yield from _segments(page)
    except ImageFileError:
        raise
    except TIFF_DAMAGE as error:
        raise _damaged(header, error) from error


def _stored_rows(header: Header, page: TiffPage, byteorder: str) -> Iterator[Piece]:
    """Uncompressed pixels, straight from the file."""
    dtype = np.dtype(f"{byteorder}u{header.bits // 8}")
    width = header.coded_size[1]
    with header.path.open("rb") as file:
        file.seek(page.dataoffsets[0])
        for top, bottom in _bands(header):
            shape = (bottom - top, width, header.channels)
            codes = np.fromfile(file, dtype, count=int(np.prod(shape)))
            yield top, 0, codes.reshape(shape).astype(dtype.newbyteorder("="))


def _segments(page: TiffPage) -> Iterator[Piece]:
    """Strips or tiles; those at the right and lower edge reach beyond the picture."""
    height, width = page.imagelength, page.imagewidth
    for codes, (_, _, top, left, _), shape in page.segments(maxworkers=1):
        if codes is None:
            codes = np.zeros(shape, page.dtype)
        yield top, left, codes[0, : height - top, : width - left]


def _by_opencv(header: Header) -> Codes:
    """LZW above all, as a whole: tifffile leaves it to a package that is not asked for here."""
    data = np.fromfile(header.path, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if image is None:
        return _refused(header)
    # OpenCV turns TIFFs by their tag whatever it is told.
    return as_coded(_rgb_order(image), header.tags.orientation)


def _refused(header: Header) -> Codes:
    raise ImageFileError(
        f"{header.path}: damaged, or compressed in a way that is not read. "
        "Save it with interleaved channels and uncompressed, with ZIP or with LZW."
    )


def _rgb_order(image: Codes) -> Codes:
    if image.ndim == 2:
        return image
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB if image.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)


def _bands(header: Header) -> Iterator[tuple[int, int]]:
    height, width = header.coded_size
    step = max(1, _BAND_BYTES // (width * header.channels * header.bits // 8))
    return ((top, min(top + step, height)) for top in range(0, height, step))


def _damaged(header: Header, error: Exception) -> ImageFileError:
    return ImageFileError(f"{header.path}: damaged ({error}). Restore it from its source.")


_DECODERS: dict[str, Callable[[Header], Iterator[Piece]]] = {
    "jpeg": _jpeg,
    "png": _png,
    "tiff": _tiff,
}
