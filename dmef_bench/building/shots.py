"""Where a clip was cut: numbers for its shots, frame after frame."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from dmef_bench.building.colour import FrameU8
from dmef_bench.building.rules import SelectionRules
from dmef_bench.metrics.grey import Grey


class Shots:
    """Numbers the shots of a clip, frame after frame.

    Fast hands lower the phase response within a shot, and a flash changes the histogram: only
    both together are a cut.
    """

    def __init__(self, rules: SelectionRules) -> None:
        self._rules = rules
        self._shot = 0
        self._last: tuple[npt.NDArray[np.float32], Grey] | None = None

    def number(self, rgb: FrameU8, grey: Grey) -> int:
        """Shot of the next frame, from 0."""
        hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)
        histogram = cv2.calcHist([hsv], [0, 1, 2], None, [16, 8, 8], [0, 180, 0, 256, 0, 256])
        if self._last is not None and self._is_cut(*self._last, histogram, grey):
            self._shot += 1
        self._last = (histogram.astype(np.float32), grey)
        return self._shot

    def _is_cut(
        self,
        histogram_before: npt.NDArray[np.float32],
        before: Grey,
        histogram: npt.NDArray[np.float32],
        grey: Grey,
    ) -> bool:
        alike = cv2.compareHist(histogram_before, histogram, cv2.HISTCMP_CORREL)
        if alike >= self._rules.cut_histogram:
            return False
        window = cv2.createHanningWindow(grey.shape[::-1], cv2.CV_32F)
        _, response = cv2.phaseCorrelate(np.float32(before), np.float32(grey), window)
        return bool(response < self._rules.cut_phase)
