"""Linear radiance from files, refused where it is no light."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from dmef_bench.errors import ImageFileError
from dmef_bench.metrics.tonemap import Radiance


def read_radiance(path: Path) -> Radiance:
    """A Radiance ``.hdr`` (RGBE) or a float TIFF as RGB.

    Returns
    -------
    ndarray, shape (H, W, 3), float32
        Linear, not negative, finite; the file's own scale.

    Raises
    ------
    ImageFileError
        Missing, damaged, not three channels, or with values that are no light.
    """
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise ImageFileError(f"{path}: cannot be read ({error.strerror}).") from error
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if image is None or image.ndim != 3 or image.shape[2] != 3:
        raise ImageFileError(
            f"{path}: no picture of three channels; Radiance HDR or float TIFF is expected."
        )
    if image.dtype != np.float32:
        raise ImageFileError(
            f"{path}: {image.dtype} pixels; the truth is linear radiance, stored as float."
        )
    return check_radiance(np.ascontiguousarray(image[..., ::-1]), path)


def check_radiance(radiance: Radiance, path: Path) -> Radiance:
    """Hand radiance back if it is finite and not negative, else say how much of it is not."""
    faults = {
        "NaN": np.isnan(radiance),
        "infinite": np.isinf(radiance),
        "negative": radiance < 0,
    }
    told = [f"{int(fault.sum())} {name}" for name, fault in faults.items() if fault.any()]
    if told:
        raise ImageFileError(
            f"{path}: {', '.join(told)} of {radiance.size} values; radiance is finite and not "
            "negative. Restore the file from its source."
        )
    return radiance
