"""A dark picture file to a brighter one, by LECARM."""

from __future__ import annotations

from pathlib import Path

from dmef_bench.exposure.camera_response import CameraResponse
from dmef_bench.exposure.enhance import enhance
from dmef_bench.harness.bands import to_codes
from dmef_bench.harness.fuse import check_target
from dmef_bench.photo.header import read_header
from dmef_bench.photo.pixels import read_pixels
from dmef_bench.photo.saving import bits_in, saving


def enhance_file(
    picture: Path, out: Path, response: CameraResponse | None = None, *, overwrite: bool = False
) -> Path:
    """Brighten the dark places of a picture (`dmef_bench.exposure.enhance.enhance`).

    Parameters
    ----------
    picture : Path
        JPEG, PNG or TIFF of 8 or 16 bits.
    out : Path
        .png, .tif or .jpg, of the picture's depth, upright, with its colour profile and no EXIF.
    response : CameraResponse, optional
        The camera; Sigmoid as published.
    overwrite : bool
        Replace ``out`` where it exists; the picture itself is never replaced.

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    DmefError
        A file that cannot be read or written; ``out`` is then as it was.
    """
    check_target(out, [picture], overwrite=overwrite)
    header = read_header(picture)
    enhanced = enhance(read_pixels(header), response)
    bits = bits_in(out, header.bits)
    with saving(out, (enhanced.shape[0], enhanced.shape[1]), bits, icc=header.icc) as write:
        write(to_codes(enhanced, bits))
    return out
