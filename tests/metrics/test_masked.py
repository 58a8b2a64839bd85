"""PSNR over part of a picture: exact sums over exactly the pixels meant, or no value."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage import data

from dmef_bench.errors import ImageContractError
from dmef_bench.metrics import psnr
from dmef_bench.metrics.masked import lost_mask, psnr_clipped, psnr_moving
from dmef_bench.metrics.motion_mask import moving_mask
from dmef_bench.metrics.psnr import squared_error
from dmef_bench.scene import ExposureStack, to_float


def two_noises(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (2, *shape), dtype=np.uint8)


def around(reference):
    """A stack whose reference is this one."""
    return ExposureStack((reference // 4, reference, reference // 2), None)


def counted(fused, truth, mask):
    """Sum of squares and samples in integers, which cannot round."""
    return int(((fused.astype(np.int64) - truth)[mask] ** 2).sum()), 3 * int(mask.sum())


@pytest.mark.parametrize("shape", [(2160, 3840, 3), (301, 203, 3)])
def test_the_sums_over_the_lost_pixels_are_exact(shape):
    fused, truth = two_noises(shape)
    reference = np.minimum(truth, 200)
    reference[::3, ::2, 1] = 255
    reference[1::5] = 0
    lost = lost_mask(around(reference))
    found = psnr_clipped(fused, truth, around(reference))
    assert (found.sse, found.samples) == counted(fused, truth, lost)
    assert found.value == 10 * math.log10(255**2 * found.samples / found.sse)


def test_all_pixels_lost_is_the_whole_picture():
    photo = data.coffee()
    white = around(np.full_like(photo, 255))
    worse = np.flip(photo, 1)
    found = psnr_clipped(worse, photo, white)
    assert found.value == psnr(worse, photo)
    assert (found.sse, found.samples) == squared_error(worse, photo)
    assert psnr_clipped(photo, photo, white).value == math.inf


def test_what_the_reference_shows_does_not_count():
    photo = data.coffee()
    reference = np.minimum(photo, 254)
    reference[:50] = 255
    spoiled = photo.copy()
    spoiled[50:] = 0
    assert psnr_clipped(spoiled, photo, around(reference)).value == math.inf


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_lost_is_the_end_of_the_scale_of_any_type(kind):
    reference = np.full((4, 5, 3), 100, np.uint8)
    reference[0, 0] = 0, 0, 0
    reference[0, 1] = 0, 0, 1
    reference[0, 2] = 255, 0, 0
    reference[0, 3] = 0, 254, 0
    of_kind = {"uint8": reference, "uint16": reference.astype(np.uint16) * 257}
    if kind == "float32":
        stack = ExposureStack.from_images([to_float(reference)], None, reference=0)
    else:
        stack = ExposureStack((of_kind[kind],), None, reference=0)
    assert np.argwhere(lost_mask(stack)).tolist() == [[0, 0], [0, 2]]


@pytest.mark.parametrize(("pixels", "has_value"), [(0, False), (999, False), (1000, True)])
def test_fewer_than_a_thousand_pixels_have_no_value_and_keep_their_sums(pixels, has_value):
    photo = np.clip(data.rocket(), 1, 254)
    reference = photo.copy()
    reference.reshape(-1, 3)[:pixels] = 255
    found = psnr_clipped(photo + np.uint8(1), photo, around(reference))
    assert (found.sse, found.samples) == (3 * pixels, 3 * pixels)
    assert (found.value is not None) == has_value
    assert (f"lost {pixels} pixels, fewer than 1,000" in found.reason) != has_value


def test_moving_pixels_are_those_of_the_mask():
    photo = data.astronaut()
    frames = [np.roll(photo, 40, axis=1) // 2, photo, photo]
    frames[0][:, :300] = photo[:, :300] // 2  # the right part alone moves
    stack = ExposureStack(tuple(frames), None)
    worse = np.flip(photo, 0)
    found = psnr_moving(worse, photo, stack)
    assert (found.sse, found.samples) == counted(worse, photo, moving_mask(stack))
    assert found.samples > 3 * 20_000
    still = psnr_moving(worse, photo, ExposureStack((photo // 2, photo), None))
    assert still.value is None
    assert still.reason == "psnr-moving: there moved 0 pixels, fewer than 1,000."


def test_a_stack_of_another_size_is_refused():
    photo = data.rocket()
    with pytest.raises(ImageContractError, match=r"exposures are 640x400.*ground truth is 640x427"):
        psnr_clipped(photo, photo, around(photo[:400]))
