"""Writing a PNG band by band: time and size of ours against OpenCV's default level."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import cv2
import numpy as np
from side_by_side import compare, report
from skimage import data

from dmef_bench.photo.png import PngWriter


def by_bands(picture: np.ndarray) -> int:
    """Go the way of `dmef fuse`: filter "up", zlib level 3; the number of bytes."""
    file = io.BytesIO()
    writer = PngWriter(file, picture.shape[:2], 8 * picture.itemsize)
    for top in range(0, len(picture), 256):
        writer.write(picture[top : top + 256])
    writer.close()
    return file.tell()


def by_opencv(picture: np.ndarray) -> int:
    """All filters, zlib level 6, as a whole; the number of bytes."""
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return len(cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 6])[1])


def main() -> None:
    """Compare in turn, on one thread, on a photograph (a file may be named); one JSON line."""
    cv2.setNumThreads(1)
    if len(sys.argv) > 1:
        named = cv2.imdecode(np.fromfile(Path(sys.argv[1]), np.uint8), cv2.IMREAD_COLOR)
        photo = cv2.cvtColor(named, cv2.COLOR_BGR2RGB)
    else:
        photo = cv2.resize(data.coffee(), (3840, 2160), interpolation=cv2.INTER_CUBIC)
    figures: dict[str, object] = {"size": f"{photo.shape[1]}x{photo.shape[0]}"}
    for bits, picture in ((8, photo), (16, photo.astype(np.uint16) * 257)):
        measured = compare(lambda p=picture: by_bands(p), lambda p=picture: by_opencv(p), rounds=3)
        figures |= {f"{key}_{bits}": value for key, value in measured.items()}
        figures[f"size_ratio_{bits}"] = by_bands(picture) / by_opencv(picture)
    report("png_bands", **figures)


if __name__ == "__main__":
    main()
