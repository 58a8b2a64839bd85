"""Windows lie on what they are named after, and two that show the same are one."""

from __future__ import annotations

import numpy as np
import pytest

from dmef_bench.leaderboard.windows import densest, telling_windows, window_at
from dmef_bench.scene import ExposureStack

TRUTH = np.full((256, 512, 3), 100, np.uint8)
STILL = ExposureStack((TRUTH // 2, TRUTH, TRUTH * np.uint8(2)), (-1.0, 0.0, 1.0))
SHARED, OWN = (slice(32, 64), slice(48, 96)), (slice(160, 192), slice(400, 448))
"""Where all methods err alike, and where the last of them errs alone: rows, columns."""


def spoilt(*places) -> np.ndarray:
    picture = TRUTH.copy()
    for place in places:
        picture[place] += 60
    return picture


def holds(window, place) -> bool:
    rows, columns = place
    inside = window.left <= columns.start and columns.stop <= window.left + window.width
    return inside and window.top <= rows.start and rows.stop <= window.top + window.height


def test_large_errors_and_differences_have_windows_of_their_own() -> None:
    fused = {"a": spoilt(SHARED), "b": spoilt(SHARED), "c": spoilt(SHARED, OWN)}
    errs, differs = telling_windows(TRUTH, fused, STILL, 64)
    assert (errs.why, differs.why) == ("largest error of b", "methods differ most")
    assert holds(errs, SHARED)
    assert holds(differs, OWN)


def test_windows_on_one_place_are_one_with_both_reasons() -> None:
    fused = {"a": TRUTH, "b": spoilt(OWN)}
    (window,) = telling_windows(TRUTH, fused, STILL, 64)
    assert window.why == "largest error of b, and methods differ most"
    assert holds(window, OWN)


def test_one_method_differs_from_nobody() -> None:
    (window,) = telling_windows(TRUTH, {"a": spoilt(OWN)}, STILL, 64)
    assert window.why == "largest error of a"


@pytest.mark.parametrize("shape", [(5, 7), (64, 64), (65, 300)])
def test_a_window_never_leaves_the_picture(shape) -> None:
    weights = np.zeros(shape, np.float32)
    weights[-1, -1] = 1
    window = densest(weights, 64, "corner")
    assert window.left + window.width <= shape[1]
    assert window.top + window.height <= shape[0]
    chosen = window_at(10_000, 10_000, shape, 64)
    assert chosen.left + chosen.width == shape[1]
    assert chosen.top + chosen.height == shape[0]
