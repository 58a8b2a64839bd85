"""The mask of what moved: the subject and not the camera, at any size, from exposures alone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from dmef_bench.errors import ImageContractError
from dmef_bench.exposure.camera_response import Sigmoid
from dmef_bench.exposure.synthesis import expose
from dmef_bench.metrics.motion_mask import moving_mask
from dmef_bench.scene import ExposureStack, to_float

HEIGHT, WIDTH = 360, 480
EVS = (-1.0, 1.0, 3.0)


def stacked(frames):
    """Three frames of a clip, each with its exposure."""
    camera = Sigmoid()
    exposures = (
        expose(np.ascontiguousarray(frame), ev, camera)
        for frame, ev in zip(frames, EVS, strict=True)
    )
    return ExposureStack(tuple(exposures), EVS)


def windows(step):
    """A pan over one photograph, by (down, right) pixels a frame."""
    photo = data.astronaut()
    return [
        photo[y : y + HEIGHT, x : x + WIDTH]
        for y, x in ((10 + k * step[0], 4 + k * step[1]) for k in range(3))
    ]


def cat_at(frame, left, top=120):
    """The frame with a cat of 100 x 120 pixels on it."""
    scene = frame.copy()
    scene[top : top + 100, left : left + 120] = data.chelsea()[90:190, 130:250]
    return scene


def test_nothing_moves_in_a_still_scene_however_bright():
    assert not moving_mask(stacked(windows((0, 0)))).any()


@pytest.mark.parametrize("step", [(0, 8), (5, -2), (-3, 6)])
def test_a_camera_that_pans_is_no_motion(step):
    # Eight pixels of 480 are 64 at 4K. What enters at the border moves for flow, and is small.
    assert moving_mask(stacked(windows(step))).mean() < 0.01


@pytest.mark.parametrize("step", [(0, 0), (2, 5)])
def test_a_subject_that_walks_is_found(step):
    frames = [
        cat_at(frame, left) for frame, left in zip(windows(step), (60, 180, 300), strict=True)
    ]
    mask = moving_mask(stacked(frames))
    assert mask[120:220, 180:300].mean() > 0.85  # the cat of the reference
    away = mask.copy()
    away[110:230, 50:430] = False
    assert away.mean() < 0.01  # what neither cat touched, in any frame


def test_what_moves_before_the_reference_or_after_it_counts():
    frame = windows((0, 0))[0]
    before = moving_mask(stacked([cat_at(frame, 60), cat_at(frame, 180), cat_at(frame, 180)]))
    after = moving_mask(stacked([cat_at(frame, 180), cat_at(frame, 180), cat_at(frame, 60)]))
    assert before[120:220, 180:300].mean() > 0.8
    # The bright exposure shows half of the fur as white as the wall behind.
    assert after[120:220, 180:300].mean() > 0.5


def test_a_blank_wall_does_not_move():
    wall = np.full((HEIGHT, WIDTH, 3), 250, np.uint8)
    wall[:, :100] = windows((0, 0))[0][:, :100]
    assert not moving_mask(stacked([wall] * 3)).any()


def test_lengths_are_relative_to_the_picture():
    frames = [cat_at(windows((0, 0))[0], left) for left in (60, 180, 300)]
    mask = moving_mask(stacked(frames))
    larger = [
        cv2.resize(frame, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC) for frame in frames
    ]
    shrunk = moving_mask(stacked(larger))[1::3, 1::3]
    # 960 pixels of the larger one are looked at, 480 of the smaller: rims differ, regions do not.
    assert (mask & shrunk).sum() / (mask | shrunk).sum() > 0.85


def test_the_marks_are_grown_by_eight_pixels_at_4k():
    mask = moving_mask(stacked([cat_at(windows((0, 0))[0], left) for left in (60, 180, 300)]))
    # One pixel of 480 columns: what is grown by a cross is made of crosses.
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, cross)
    assert mask.any()
    assert np.array_equal(opened.astype(bool), mask)


def test_types_of_pictures_make_no_difference():
    stack = stacked([cat_at(windows((0, 0))[0], left) for left in (60, 180, 300)])
    as_float = ExposureStack.from_images([to_float(e) for e in stack.encoded], EVS)
    assert np.array_equal(moving_mask(as_float), moving_mask(stack))


def test_the_mask_is_the_same_for_any_number_of_threads():
    frames = [cat_at(windows((0, 0))[0], left) for left in (60, 180, 300)]
    stack = stacked([cv2.resize(frame, (960, 720)) for frame in frames])
    before, masks = cv2.getNumThreads(), []
    try:
        for threads in (1, 2, 5):
            cv2.setNumThreads(threads)
            masks.append(moving_mask(stack))
    finally:
        cv2.setNumThreads(before)
    assert np.array_equal(masks[0], masks[1])
    assert np.array_equal(masks[0], masks[2])


def test_one_exposure_has_nothing_to_move_against():
    assert not moving_mask(ExposureStack((data.chelsea(),), None, reference=0)).any()


def test_less_than_flow_can_look_at_is_refused():
    ribbon = np.zeros((30, 3840, 3), np.uint8)  # 8 pixels high once shrunk
    with pytest.raises(ImageContractError, match=r"3840x30; motion needs 16 pixels"):
        moving_mask(ExposureStack((ribbon, ribbon), None))
