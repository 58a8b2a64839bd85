"""Orientations: ours agree with Pillow's, and every turn is undone."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps
from skimage import data

from dmef_bench.photo.orientation import as_coded, turned, turned_size

PHOTO = data.astronaut()[:60, :90]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turn_is_the_one_that_pillow_makes(orientation) -> None:
    image = Image.fromarray(PHOTO)
    image.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(turned(PHOTO, orientation), upright)
    assert turned_size(PHOTO.shape[:2], orientation) == upright.shape[:2]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turn_and_its_way_back_leave_the_picture(orientation) -> None:
    assert np.array_equal(as_coded(turned(PHOTO, orientation), orientation), PHOTO)


def test_writing_through_the_coded_view_fills_the_upright_picture() -> None:
    upright = np.zeros((90, 60, 3), np.uint8)
    as_coded(upright, 6)[...] = PHOTO
    assert np.array_equal(upright, np.rot90(PHOTO, -1))
