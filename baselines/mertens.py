"""Exposure fusion of Mertens, Kautz and Van Reeth: a static method, and ghosts are its point."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from dmef_bench.scene import ExposureStack, Image

CONTRAST_EXPONENT = SATURATION_EXPONENT = WELL_EXPOSEDNESS_EXPONENT = 1.0
"""As published; OpenCV's own default leaves well-exposedness out (1, 1, 0)."""


class Mertens:
    """Exposure fusion, as OpenCV computes it.

    Contrast, saturation and well-exposedness weigh the pictures, and Laplacian pyramids blend
    them. It takes the scene as static and has no reference frame.

    References
    ----------
    Mertens, Kautz and Van Reeth, "Exposure fusion", Pacific Graphics 2007.
    """

    name = "mertens"
    paper = "Mertens, Kautz and Van Reeth, Pacific Graphics 2007"
    stride = 1
    # The pyramid ends where the shorter side has shrunk to a pixel.
    is_global = True

    def fuse(self, stack: ExposureStack) -> Image:
        """Fuse any number of exposures.

        Parameters
        ----------
        stack : ExposureStack
            One picture or more; neither EVs nor the reference matter.

        Returns
        -------
        ndarray, shape (H, W, 3), float32
            The fused picture; the pyramids' overshoot is clipped to [0, 1].
        """
        merge = cv2.createMergeMertens(
            CONTRAST_EXPONENT, SATURATION_EXPONENT, WELL_EXPOSEDNESS_EXPONENT
        )
        # It divides by 255 whatever the type, and reads channels as RGB.
        codes = [image * np.float32(255) for image in stack.images]
        with _one_thread():
            fused = np.asarray(merge.process(codes), np.float32)
        return np.clip(fused, 0.0, 1.0, out=fused)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep OpenCV to one thread: several sum the exposures in the order in which they finish."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
