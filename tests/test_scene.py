"""What flows: pictures are checked at the door, stacks are read-only, codes survive."""

from __future__ import annotations

import numpy as np
import pytest

from dmef_bench.errors import ImageContractError
from dmef_bench.scene import ExposureStack, check_image, size_text, to_float, to_uint8

GREY = np.full((4, 6, 3), 0.5, np.float32)


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (GREY.astype(np.float64), "cast"),
        ((GREY * 255).astype(np.uint8), "divide by 255"),
        ((GREY * 65535).astype(np.uint16), "divide by 65535"),
        (GREY[..., :2], "shape"),
        (GREY[..., 0], "shape"),
        (GREY[:0], "empty"),
        (GREY + 0.6, r"\[0, 1\]"),
        (GREY - 0.6, r"\[0, 1\]"),
        (GREY * np.float32(np.nan), "NaN"),
        ([[0.5]], "numpy array"),
    ],
)
def test_what_breaks_the_contract_is_told_how_to_mend_it(image, told) -> None:
    with pytest.raises(ImageContractError, match=told):
        check_image(image, name="low.png")


def test_one_nan_among_good_pixels_is_found() -> None:
    image = GREY.copy()
    image[3, 5, 2] = np.nan
    with pytest.raises(ImageContractError, match="NaN"):
        check_image(image, name="fused")


def test_another_size_is_refused_with_both_sizes() -> None:
    with pytest.raises(ImageContractError, match="6x4; 3840x2160 is expected"):
        check_image(GREY, name="fused", size=(2160, 3840))


def test_every_code_survives_the_way_to_float_and_back() -> None:
    codes = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    assert np.array_equal(to_uint8(to_float(codes)), codes)


def test_halves_round_up_not_to_even() -> None:
    # 0.5 / 255 lies half-way between codes 0 and 1; banker's rounding would say 0.
    halves = np.full((1, 1, 3), 0.5 / 255, np.float32)
    assert to_uint8(halves).max() == 1


def test_sixteen_bits_come_down_to_the_nearest_of_eight() -> None:
    codes = np.array([[[0, 257, 65535]]], np.uint16)
    assert to_uint8(codes).tolist() == [[[0, 1, 255]]]


def test_a_stack_cannot_be_written_to() -> None:
    stack = ExposureStack((np.zeros((2, 2, 3), np.uint8),) * 3, (-1.0, 1.0, 3.0))
    for picture in (*stack.images, *(stack.encoded or ())):
        with pytest.raises(ValueError, match="read-only"):
            picture[0, 0, 0] = 1


def test_images_are_the_encoded_codes_over_255() -> None:
    codes = np.random.default_rng(0).integers(0, 256, (3, 5, 7, 3), np.uint8)
    stack = ExposureStack(tuple(codes), None)
    for image, code in zip(stack.images, codes, strict=True):
        assert image.dtype == np.float32
        np.testing.assert_allclose(image, code / 255.0, atol=6e-8)  # half a float32 step at 1
    assert stack.images is stack.images


@pytest.mark.parametrize("evs", [(0.0, 2.0, 1.0), (0.0, 0.0, 1.0), (0.0, 1.0)])
def test_evs_rise_strictly_one_per_image(evs) -> None:
    with pytest.raises(ImageContractError, match="strictly rising"):
        ExposureStack((np.zeros((2, 2, 3), np.uint8),) * 3, evs)


def test_exposures_of_unequal_size_are_refused() -> None:
    pictures = (np.zeros((2, 2, 3), np.uint8), np.zeros((2, 3, 3), np.uint8))
    with pytest.raises(ImageContractError, match="exposure 1 is 3x2; 2x2 is expected"):
        ExposureStack(pictures, None, reference=0)


def test_exposures_of_unequal_depth_are_refused() -> None:
    pictures = (np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2, 3), np.uint16))
    with pytest.raises(ImageContractError, match="share one type"):
        ExposureStack(pictures, None, reference=0)


def test_a_reference_outside_the_stack_is_refused() -> None:
    with pytest.raises(ImageContractError, match="reference is 1"):
        ExposureStack((np.zeros((2, 2, 3), np.uint8),), None)


def test_a_float_stack_keeps_its_pictures_unquantised() -> None:
    third = np.full((2, 2, 3), 1 / 3, np.float32)
    stack = ExposureStack.from_images([third] * 3, (-1.0, 1.0, 3.0))
    assert stack.encoded is None
    assert np.array_equal(stack.images[1], third)
    assert stack.size == (2, 2)
    assert stack.exposure_ratios == (0.5, 2.0, 8.0)


def test_sizes_are_read_width_first() -> None:
    assert size_text((2160, 3840)) == "3840x2160"
