"""Grey pictures, and exposures rendered like one another."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from dmef_bench.exposure.camera_response import Sigmoid
from dmef_bench.exposure.synthesis import expose
from dmef_bench.metrics.grey import grey_codes, render, stack_codes
from dmef_bench.scene import ExposureStack, to_float


def test_grey_is_the_luma_of_the_codes():
    photo = data.coffee()
    luma = photo @ np.array([0.299, 0.587, 0.114])
    # Weights of 14 bits, then rounding: half a code, and a little.
    assert np.abs(grey_codes(photo) - luma).max() < 0.51
    assert np.array_equal(grey_codes(photo[::-1]), grey_codes(photo)[::-1])


def test_exposures_of_any_type_have_the_same_codes():
    photo = data.rocket()
    stacks = (
        ExposureStack((photo,), None, reference=0),
        ExposureStack((photo.astype(np.uint16) * 257,), None, reference=0),
        ExposureStack.from_images([to_float(photo)], None, reference=0),
    )
    for stack in stacks:
        assert np.array_equal(stack_codes(stack)[0], photo)


@pytest.mark.parametrize("name", ["astronaut", "coffee", "rocket"])
@pytest.mark.parametrize(("ev", "brighter"), [(-1, 1), (-1, 3), (1, 3)])
def test_no_curve_renders_the_darker_exposure_more_like_the_brighter(name, ev, brighter):
    photo = getattr(data, name)()
    dark, bright = (expose(photo, stops, Sigmoid()) for stops in (ev, brighter))
    rendered = render(dark, bright)
    for channel in range(3):
        x, y = dark[..., channel], bright[..., channel].astype(int)
        # Of all curves, that of the medians has the least absolute error.
        medians = {code: int(np.median(y[x == code])) for code in np.unique(x)}
        least = sum(np.abs(y[x == code] - median).sum() for code, median in medians.items())
        assert np.abs(rendered[..., channel] - y).sum() == least


def test_the_way_back_finds_the_median_of_what_is_clipped():
    dark = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    bright = np.minimum(2 * dark.astype(int), 255).astype(np.uint8)
    back = render(bright, dark)
    assert np.array_equal(back[bright < 255], dark[bright < 255])
    assert np.abs(back[bright == 255].astype(int) - np.median(dark[bright == 255])).max() <= 1


def test_channels_are_rendered_one_by_one():
    photo = data.chelsea()
    tinted = np.minimum(photo * np.array([2, 1, 0.5]), 255).astype(np.uint8)
    error = render(photo, tinted).astype(int) - tinted
    # Two codes of blue meet in one, and the rest of the codes are exact.
    assert np.abs(error).max() == 0
