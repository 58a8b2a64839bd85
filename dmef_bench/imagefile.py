"""Read and write picture files: RGB on the boundary, hashes of bytes and pixels, atomic writes."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast

import cv2
import imageio.v3 as iio
import numpy as np
import numpy.typing as npt

from dmef_bench.errors import ImageFileError, UnavailableError
from dmef_bench.scene import Encoded

_TIFF = {".tif", ".tiff"}
_CV2 = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}
_JXL = ".jxl"

Lossless = Literal["png", "jxl"]
"""How a data set's pictures may be stored; the name is also the files' ending."""


def read_image(path: Path) -> Encoded:
    """A stored picture as RGB codes.

    Parameters
    ----------
    path : Path
        PNG, TIFF, JPEG, BMP or WebP with 8 or 16 bits a channel; JPEG XL where the extra ``jxl``
        is installed.

    Returns
    -------
    ndarray, shape (H, W, 3), uint8 or uint16
        RGB; the file's own codes, nothing is scaled.

    Raises
    ------
    ImageFileError
        The file is missing or damaged, grey, carries an alpha channel, or another type.
    UnavailableError
        JPEG XL without the package that reads it.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageFileError(
            f"{path}: cannot be read ({error.strerror}). Check the name and its permissions."
        ) from error
    return decode_image(data, path)


def decode_image(data: bytes, path: Path) -> Encoded:
    """What `read_image` makes of the file's bytes; ``path`` names them in messages."""
    suffix = path.suffix.lower()
    known = _TIFF | _CV2 | {_JXL}
    if suffix not in known:
        raise ImageFileError(
            f"{path}: dmef does not read {suffix or 'files without an ending'}; "
            f"it reads {' '.join(sorted(known))}."
        )
    if suffix == _JXL:
        image = _decode_jxl(data, path)
    else:
        image = _decode_tiff(data, path) if suffix in _TIFF else _decode_cv2(data, path)
    if image.dtype not in (np.uint8, np.uint16):
        raise ImageFileError(f"{path}: {image.dtype} pixels; 8 or 16 bits a channel are expected.")
    return cast(Encoded, image)


def _decode_cv2(data: bytes, path: Path) -> npt.NDArray[np.generic]:
    buffer = np.frombuffer(data, np.uint8)
    image = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED) if buffer.size else None
    if image is None:
        raise ImageFileError(f"{path}: not a picture, or damaged. Restore it from its source.")
    _check_channels(image, path)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _decode_tiff(data: bytes, path: Path) -> npt.NDArray[np.generic]:
    try:
        image = iio.imread(data, extension=".tif", plugin="tifffile")
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise ImageFileError(
            f"{path}: not a TIFF that can be read ({error}). Restore it from its source."
        ) from error
    _check_channels(image, path)
    return np.ascontiguousarray(image)


def _decode_jxl(data: bytes, path: Path) -> npt.NDArray[np.generic]:
    codec = jxl_codec()
    try:
        image: npt.NDArray[np.generic] = codec.jpegxl_decode(data, numthreads=1)
    except (ValueError, RuntimeError) as error:
        raise ImageFileError(
            f"{path}: not a JPEG XL picture, or damaged ({error}). Restore it from its source."
        ) from error
    _check_channels(image, path)
    return image


def jxl_codec() -> Any:
    """The package that reads and writes JPEG XL.

    Raises
    ------
    UnavailableError
        It is not installed, or built without JPEG XL.
    """
    try:
        import imagecodecs
    except ImportError as error:
        raise UnavailableError(
            'JPEG XL needs the package imagecodecs: pip install "dmef[jxl]".'
        ) from error
    if not imagecodecs.JPEGXL.available:
        raise UnavailableError(
            "The imagecodecs installed here was built without JPEG XL; install a wheel of it: "
            'pip install --force-reinstall "dmef[jxl]".'
        )
    return imagecodecs


def _check_channels(image: npt.NDArray[np.generic], path: Path) -> None:
    channels = image.shape[2] if image.ndim == 3 else 1
    if channels == 1 or image.ndim != 3:
        raise ImageFileError(f"{path}: grey; dmef pictures are RGB. Convert it to three channels.")
    if channels == 4:
        raise ImageFileError(
            f"{path}: has an alpha channel; dmef pictures are RGB. Flatten it onto a background."
        )
    if channels != 3:
        raise ImageFileError(f"{path}: {channels} channels; dmef pictures are RGB.")


def encode_png(image: Encoded, *, level: int = 1) -> bytes:
    """The picture as PNG bytes, without text, time or EXIF chunks.

    Parameters
    ----------
    image : ndarray, shape (H, W, 3), uint8 or uint16
        RGB.
    level : int
        zlib level; 1 costs a third of the usual 6 and saves nearly as much.
    """
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    encoded, data = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, level])
    if not encoded:
        raise ImageFileError(f"A picture of shape {image.shape} could not be encoded as PNG.")
    return data.tobytes()


def encode_jxl(image: Encoded) -> bytes:
    """The picture as lossless JPEG XL: smaller than PNG and cheaper to write, read by fewer.

    Parameters
    ----------
    image : ndarray, shape (H, W, 3), uint8 or uint16
        RGB.

    Raises
    ------
    UnavailableError
        See `jxl_codec`.
    """
    # Effort 2 writes 4 % less of camera video, in five times the CPU time.
    data: bytes = jxl_codec().jpegxl_encode(
        np.ascontiguousarray(image), lossless=True, effort=1, numthreads=1
    )
    return data


def encode_lossless(image: Encoded, suffix: str) -> bytes:
    """The picture as `encode_jxl` has it for the ending ``.jxl``, as `encode_png` otherwise."""
    return encode_jxl(image) if suffix == _JXL else encode_png(image)


def write_image(path: Path, image: Encoded) -> None:
    """Write a PNG or TIFF atomically; 16-bit pictures keep their 16 bits."""
    suffix = path.suffix.lower()
    if suffix == ".png":
        write_atomic(path, encode_png(image))
    elif suffix in _TIFF:
        write_atomic(path, iio.imwrite("<bytes>", image, extension=".tif", plugin="tifffile"))
    else:
        raise ImageFileError(f"{path}: dmef writes .png and .tif; choose one of these endings.")


def write_animation(path: Path, frames: Sequence[npt.NDArray[np.uint8]], *, seconds: float) -> None:
    """Write frames as an endlessly looping GIF, each shown for ``seconds``."""
    data = iio.imwrite(
        "<bytes>", np.stack(frames), extension=".gif", duration=1000 * seconds, loop=0
    )
    write_atomic(path, data)


def write_atomic(path: Path, data: bytes) -> None:
    """Write ``data`` so that ``path`` holds either what it held before or all of it."""
    with replacing(path) as staging:
        staging.write_bytes(data)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside ``path`` to write to; it takes the name once the block ends without error.

    Yields
    ------
    Path
        An empty file of this call's own, gone after an error: ``path`` keeps what it held.
    """
    staging = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        staging.touch(exist_ok=False)
        yield staging
        with staging.open("rb") as file:
            os.fsync(file.fileno())
        staging.replace(path)
    except BaseException:
        staging.unlink(missing_ok=True)
        raise


def bytes_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pixels_sha256(image: npt.NDArray[np.generic]) -> str:
    r"""SHA-256 of ``"uint8:HxWxC\n"`` and the C-ordered RGB samples.

    Independent of how the file was compressed: PNG bytes differ between zlib builds.
    """
    shape = "x".join(str(side) for side in image.shape)
    hasher = hashlib.sha256(f"{image.dtype.name}:{shape}\n".encode("ascii"))
    hasher.update(np.ascontiguousarray(image).data)
    return hasher.hexdigest()
