"""Flow and the camera's part in it, on photographs whose motion is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from dmef_bench.metrics.optical_flow import camera_shift, dense_flow, follow, unexplained

GREY = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2GRAY)


@pytest.mark.parametrize("shift", [(0, 0), (7, 0), (-3, 5)])
def test_the_camera_shift_is_that_of_the_window(shift):
    x, y = shift
    first, second = GREY[20:420, 20:460], GREY[20 + y : 420 + y, 20 + x : 460 + x]
    camera = camera_shift(dense_flow(first, second))
    # What lies at p in the first lies at p - shift in the second; flow knows it to a tenth.
    np.testing.assert_allclose(camera.reshape(-1, 2).mean(0), (-x, -y), atol=0.1)
    aligned, inside = follow(second, camera)
    assert inside.mean() > 0.97
    assert np.abs(aligned.astype(int) - first)[inside].mean() < 2  # codes, of interpolation


def test_one_subject_in_ten_does_not_move_the_camera():
    first, second = GREY.copy(), GREY.copy()
    first[100:260, 100:260] = GREY[300:460, 0:160]
    second[100:260, 130:290] = GREY[300:460, 0:160]
    assert np.abs(camera_shift(dense_flow(first, second))).mean() < 0.1


def test_what_lies_within_the_radius_is_explained_and_what_does_not_is_not():
    dot = np.zeros((384, 384), np.uint8)
    dot[190:194, 190:194] = 255
    # A tenth of 3840: 12 pixels at 4K are 1.2 here.
    assert unexplained(dot, np.roll(dot, 1, axis=1), 12).max() == 0
    assert unexplained(dot, np.roll(dot, 12, axis=1), 12).max() > 200
