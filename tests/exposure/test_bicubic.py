"""Bicubic resizing: the published kernel, against Pillow's and by its properties."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from skimage.data import coffee

from dmef_bench.errors import UsageError
from dmef_bench.exposure.bicubic import resize_bicubic


@pytest.mark.parametrize("size", [(200, 300), (150, 231), (800, 1200), (533, 999)])
def test_the_inside_of_a_photograph_is_what_pillow_makes(size: tuple[int, int]) -> None:
    # The same kernel and the same antialiasing; Pillow cuts off at edges, where we mirror.
    grey = coffee()[..., 1].astype(np.float32) / 255
    ours = resize_bicubic(grey.astype(np.float64), size)
    theirs = np.asarray(Image.fromarray(grey).resize(size[::-1], Image.Resampling.BICUBIC))
    inside = (slice(8, -8), slice(8, -8))
    # Pillow rounds to float32 after each direction.
    np.testing.assert_allclose(ours[inside], theirs[inside], atol=1e-6)


def test_the_same_size_is_the_same_picture() -> None:
    values = np.random.default_rng(1).random((7, 5))
    np.testing.assert_allclose(resize_bicubic(values, (7, 5)), values, atol=1e-15)


@pytest.mark.parametrize("old", [(1, 1), (1, 9), (2, 3), (6, 1)])
@pytest.mark.parametrize("new", [(1, 1), (3, 2), (11, 13)])
def test_grey_stays_grey_at_any_size(old: tuple[int, int], new: tuple[int, int]) -> None:
    np.testing.assert_allclose(
        resize_bicubic(np.full(old, 0.3), new), np.full(new, 0.3), rtol=1e-14
    )


def test_edges_are_mirrored_with_the_edge_itself() -> None:
    values = np.random.default_rng(2).random((10, 12))
    mirrored = np.pad(values, 8, mode="symmetric")
    halved = resize_bicubic(mirrored, (13, 14))[4:-4, 4:-4]
    np.testing.assert_allclose(resize_bicubic(values, (5, 6)), halved, rtol=1e-12)


def test_no_picture_has_no_pixels() -> None:
    with pytest.raises(UsageError, match="cannot become"):
        resize_bicubic(np.ones((3, 3)), (0, 3))
