"""Marks lie where they should, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from dmef_bench.exposure.marks import (
    BLACK,
    BURNT,
    black,
    burnt_out,
    mark_clipped,
    mark_motion,
)

PHOTO = np.clip(data.astronaut(), 1, 254)


@pytest.mark.parametrize("scale", [np.uint8(1), np.uint16(257)])
def test_one_burnt_channel_is_marked_and_only_all_three_at_zero_are_black(scale) -> None:
    picture = PHOTO * scale
    picture[3, 5, 1] = 255 * scale
    picture[7, 9] = 0
    picture[8, 9, :2] = 0
    assert np.argwhere(burnt_out(picture)).tolist() == [[3, 5]]
    assert np.argwhere(black(picture)).tolist() == [[7, 9]]
    marked = mark_clipped(picture)
    assert tuple(marked[3, 5]) == BURNT
    assert tuple(marked[7, 9]) == BLACK
    changed = (marked != (picture // scale)).any(axis=2)
    assert np.argwhere(changed).tolist() == [[3, 5], [7, 9]]
    assert picture[3, 5, 1] == 255 * scale, "the picture itself stays as it was"


def test_what_moves_is_yellow_and_the_rest_is_grey() -> None:
    moving = np.zeros(PHOTO.shape[:2], bool)
    moving[100:200, 50:80] = True
    marked = mark_motion(PHOTO, moving).astype(int)
    red, green, blue = np.moveaxis(marked, 2, 0)
    assert (red - blue)[moving].min() > 30
    assert (red == green)[~moving].all()
    assert (green == blue)[~moving].all()
    # The scene can still be seen through the marks.
    assert red[moving].std() > 5
