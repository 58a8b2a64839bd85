"""One 4K exposure: the table through OpenCV, against NumPy's take and against the formula."""

from __future__ import annotations

import sys

import cv2
import numpy as np
from side_by_side import compare, extra_bytes, peak_extra_bytes, report
from skimage import data

from dmef_bench.exposure.camera_response import Sigmoid
from dmef_bench.exposure.synthesis import expose, exposure_lut

CAMERA, EV = Sigmoid(), 1.0


def by_take(image: np.ndarray) -> np.ndarray:
    """Look the table up with NumPy."""
    return np.take(exposure_lut(CAMERA, 2**EV), image)


def by_formula(image: np.ndarray) -> np.ndarray:
    """Compute every pixel in float64."""
    exposed = CAMERA.transform(image / 255, 2**EV)
    return np.floor(np.clip(exposed, 0, 1) * 255 + 0.5).astype(np.uint8)


def by_table(image: np.ndarray) -> np.ndarray:
    """Go the way of the data set's builder."""
    return expose(image, EV, CAMERA)


WAYS = {"ours": by_table, "take": by_take, "formula": by_formula}


def main() -> None:
    """Compare in turn, on one thread, and print one JSON line."""
    cv2.setNumThreads(1)
    image = cv2.resize(data.astronaut(), (3840, 2160), interpolation=cv2.INTER_CUBIC)
    if len(sys.argv) > 1:
        print(extra_bytes(lambda: WAYS[sys.argv[1]](image)))
        return
    exposures = [way(image) for way in WAYS.values()]
    figures: dict[str, object] = {
        "identical": all(np.array_equal(exposure, exposures[0]) for exposure in exposures)
    }
    for peer in ("take", "formula"):
        measured = compare(lambda: by_table(image), lambda peer=peer: WAYS[peer](image), rounds=9)
        figures |= {f"{key}_{peer}": value for key, value in measured.items()}
    figures |= {f"extra_mb_{name}": peak_extra_bytes(__file__, name) / 1e6 for name in WAYS}
    report("expose_4k", **figures)


if __name__ == "__main__":
    main()
