"""Mertens exposure fusion: that OpenCV computes what was published, and that we ask it rightly."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from skimage import data

from baselines.mertens import Mertens
from dmef_bench.method import Method, traits
from dmef_bench.scene import ExposureStack


def exact_mertens(images: Sequence[np.ndarray], well_exposedness: float = 1.0) -> np.ndarray:
    """The published method in float64: three quality measures, Laplacian pyramids."""
    images = [image.astype(np.float64) for image in images]
    qualities = [quality(image, well_exposedness) for image in images]
    levels = int(np.log2(min(images[0].shape[:2])))
    fused = [0.0] * (levels + 1)
    for image, own in zip(images, qualities, strict=True):
        weight = own / sum(qualities)
        for level in range(levels):
            smaller = cv2.pyrDown(image)
            detail = image - cv2.pyrUp(smaller, dstsize=image.shape[1::-1])
            fused[level] += detail * weight[..., None]
            image, weight = smaller, cv2.pyrDown(weight)
        fused[levels] += image * weight[..., None]
    result = fused[levels]
    for detail in reversed(fused[:levels]):
        result = detail + cv2.pyrUp(result, dstsize=detail.shape[1::-1])
    return result


def quality(image: np.ndarray, well_exposedness: float) -> np.ndarray:
    """Contrast x saturation x well-exposedness, of RGB in [0, 1]."""
    grey = np.pad(image @ [0.299, 0.587, 0.114], 1, mode="reflect")
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    contrast = np.abs(around - 4 * grey[1:-1, 1:-1])
    exposedness = np.exp(-((image - 0.5) ** 2) / (2 * 0.2**2)).prod(axis=2)
    return contrast * image.std(axis=2) * exposedness**well_exposedness


def grainy_stack() -> ExposureStack:
    """A photograph at three gains with grain, so that no quality vanishes and no sum is noise."""
    grain = np.random.default_rng(3)
    photograph = 0.1 + 0.8 * data.chelsea()[:201, :310] / 255
    images = [
        (photograph * gain + grain.uniform(0, 0.04, photograph.shape)).astype(np.float32)
        for gain in (0.3, 0.6, 0.95)
    ]
    return ExposureStack.from_images(images, None)


def clipped_codes(gains: Sequence[float] = (0.4, 1.0, 2.5)) -> tuple[np.ndarray, ...]:
    photograph = data.coffee()[100:300, 200:500]
    return tuple(np.clip(np.rint(photograph * gain), 0, 255).astype(np.uint8) for gain in gains)


def clipped_stack(gains: Sequence[float] = (0.4, 1.0, 2.5)) -> ExposureStack:
    return ExposureStack(clipped_codes(gains), None, reference=0)


def test_it_is_a_method_with_global_sight():
    assert isinstance(Mertens(), Method)
    assert traits(Mertens()).is_global
    assert traits(Mertens()).stride == 1


def test_it_is_the_published_method_with_all_exponents_one():
    stack = grainy_stack()
    fused = Mertens().fuse(stack)
    # Float32 against float64 through seven levels and a division: some hundred roundings.
    np.testing.assert_allclose(fused, exact_mertens(stack.images).clip(0, 1), atol=1e-4)
    assert np.abs(fused - exact_mertens(stack.images, well_exposedness=0.0)).max() > 0.05


def test_opencv_leaves_well_exposedness_out_unless_told():
    defaults = cv2.createMergeMertens()
    assert defaults.getExposureWeight() == 0
    codes = clipped_codes()
    without = defaults.process(codes).clip(0, 1)
    assert np.abs(Mertens().fuse(clipped_stack()) - without).max() > 0.05


def test_sixteen_bits_fuse_like_eight():
    eight = clipped_codes()
    sixteen = tuple(codes.astype(np.uint16) * 257 for codes in eight)
    fused = Mertens().fuse(ExposureStack(eight, None))
    # 257 c / 65535 = c / 255 up to a rounding, and OpenCV's own 8-bit path agrees as closely.
    np.testing.assert_allclose(Mertens().fuse(ExposureStack(sixteen, None)), fused, atol=2e-6)
    bytes_path = cv2.createMergeMertens(1.0, 1.0, 1.0).process(eight).clip(0, 1)
    np.testing.assert_allclose(bytes_path, fused, atol=2e-6)


def test_channels_are_read_as_rgb():
    codes = clipped_codes()
    swapped = Mertens().fuse(ExposureStack(tuple(c[..., ::-1] for c in codes), None))
    assert np.abs(Mertens().fuse(ExposureStack(codes, None)) - swapped[..., ::-1]).max() > 0.01


def test_the_overshoot_of_the_pyramids_is_clipped():
    stack = clipped_stack()
    raw = cv2.createMergeMertens(1.0, 1.0, 1.0).process(list(clipped_codes()))
    assert raw.min() < -0.01
    fused = Mertens().fuse(stack)
    assert (fused.dtype, fused.shape) == (np.float32, (*stack.size, 3))
    assert fused.min() == 0
    assert fused.max() <= 1


def test_one_exposure_and_equal_exposures_come_back():
    for gains in ((1.0,), (1.0, 1.0, 1.0)):
        stack = clipped_stack(gains)
        # A pyramid taken apart and put together again, in float32.
        np.testing.assert_allclose(Mertens().fuse(stack), stack.images[0], atol=2e-6)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_black_white_and_constant_exposures_stay(value):
    images = [np.full((40, 50, 3), value, np.float32)] * 3
    fused = Mertens().fuse(ExposureStack.from_images(images, None))
    np.testing.assert_allclose(fused, value, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (2, 2), (17, 4000)])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_it_fuses_any_number_of_pictures_of_any_size(size, count):
    codes = np.random.default_rng(5).integers(0, 256, (count, *size, 3), np.uint8)
    fused = Mertens().fuse(ExposureStack(tuple(codes), None, reference=0))
    assert fused.shape == (*size, 3)
    assert fused.min() >= 0
    assert fused.max() <= 1


def test_every_run_gives_the_same_bits():
    # With two threads OpenCV gives several results in a dozen runs, some 4e-7 apart.
    stack = clipped_stack((0.3, 0.6, 1.2, 2.4))
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(2)
        results = {Mertens().fuse(stack).tobytes() for _ in range(12)}
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(threads)
    assert len(results) == 1


def test_the_input_stays():
    stack = clipped_stack()
    before = [image.copy() for image in stack.images]
    Mertens().fuse(stack)[:] = 0
    for image, was in zip(stack.images, before, strict=True):
        np.testing.assert_array_equal(image, was)
