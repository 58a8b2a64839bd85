"""Fitting: full leaves the frame alone, downsample shrinks it once, and the oracle bounds it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import data

from dmef_bench.errors import ImageContractError
from dmef_bench.harness.fit import fuse_at, oracle_bound, resize_bilinear
from dmef_bench.metrics import psnr
from dmef_bench.scene import ExposureStack, to_float

PHOTO = data.coffee()
STACK = ExposureStack((PHOTO,) * 3, (-1.0, 1.0, 3.0))


class Middle:
    name, paper = "middle", "none"

    def __init__(self) -> None:
        self.saw: tuple[int, int] | None = None

    def fuse(self, stack):
        self.saw = stack.size
        return stack.images[1]


def test_full_hands_over_the_frame_as_it_is() -> None:
    method = Middle()
    fused = fuse_at(method, STACK, fit="full", size=(64, 64))
    assert method.saw == PHOTO.shape[:2]
    assert np.array_equal(fused, to_float(PHOTO))


def test_downsample_to_the_native_size_changes_nothing() -> None:
    fused = fuse_at(Middle(), STACK, fit="downsample", size=PHOTO.shape[:2])
    assert np.array_equal(fused, to_float(PHOTO))


def test_the_method_sees_the_shrunken_size_and_the_result_is_native() -> None:
    method = Middle()
    fused = fuse_at(method, STACK, fit="downsample", size=(100, 150))
    assert method.saw == (100, 150)
    assert fused.shape == PHOTO.shape


def test_shrinking_a_perfect_method_gives_exactly_the_oracle() -> None:
    # The exposures are the truth here, so the middle one fused at MR is the bound itself.
    fused = fuse_at(Middle(), STACK, fit="downsample", size=(100, 150))
    assert np.array_equal(fused, oracle_bound(PHOTO, (100, 150)))


def test_the_oracle_at_the_native_size_is_the_truth() -> None:
    assert psnr(oracle_bound(PHOTO, PHOTO.shape[:2]), PHOTO) == float("inf")


def test_the_oracle_falls_as_the_size_shrinks() -> None:
    sizes = [(300, 450), (200, 300), (100, 150), (50, 75)]
    scores = [psnr(oracle_bound(PHOTO, size), PHOTO) for size in sizes]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("size", [(100, 150), (333, 517), (800, 1200), (1, 1)])
def test_resizing_agrees_with_torch(size) -> None:
    image = to_float(PHOTO)
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(image).permute(2, 0, 1)[None],
        size=size,
        mode="bilinear",
        align_corners=False,
        antialias=False,
    )[0].permute(1, 2, 0)
    # A float32 sample position near 600 px is known to 3e-5 px, and so is the weight it gives.
    np.testing.assert_allclose(resize_bilinear(image, size), theirs.numpy(), atol=5e-5)


class Wrong:
    name, paper = "wrong", "none"

    def __init__(self, picture) -> None:
        self.picture = picture

    def fuse(self, _stack):
        return self.picture


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((10, 10, 3), np.float32),
        np.zeros(PHOTO.shape, np.float64),
        np.full(PHOTO.shape, 1.5, np.float32),
        np.full(PHOTO.shape, np.nan, np.float32),
        PHOTO,
        None,
    ],
)
def test_what_is_no_picture_is_refused_by_the_methods_name(picture) -> None:
    with pytest.raises(ImageContractError, match="fused by wrong"):
        fuse_at(Wrong(picture), STACK, fit="full", size=PHOTO.shape[:2])
