"""Fit a method into memory: full size, shrunken or in tiles, and the bound that shrinking sets."""

from __future__ import annotations

import cv2
import numpy as np

from dmef_bench.harness.tiles import TileMemo, Tiling, fuse_tiles
from dmef_bench.method import Method
from dmef_bench.protocol import Fit
from dmef_bench.scene import Encoded, ExposureStack, Image, check_image, to_float


def resize_bilinear(image: Image, size: tuple[int, int]) -> Image:
    """``resize/bilinear``: half-pixel centres, two taps, no antialiasing, float32.

    Parameters
    ----------
    image : ndarray, shape (H, W, 3), float32
        Not clipped and not quantised, before or after.
    size : (height, width)
        Equal sizes hand the picture back untouched.
    """
    if image.shape[:2] == tuple(size):
        return image
    height, width = size
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def fuse_at(
    method: Method,
    stack: ExposureStack,
    *,
    fit: Fit,
    size: tuple[int, int],
    overlap: int = 64,
    blend: str = "cosine",
    memo: TileMemo | None = None,
) -> Image:
    """Fuse a stack at ``size`` and bring the result back to the stack's own size.

    Parameters
    ----------
    method : Method
        Any fusion method.
    stack : ExposureStack
        At native size.
    fit : {"full", "downsample", "tile"}
        Under ``"full"`` the method gets the native pictures whatever ``size`` says.
    size : (height, width)
        The fused size under ``"downsample"``, the size of a tile under ``"tile"``.
    overlap, blend, memo
        Of tiles; see `Tiling` and `fuse_tiles`.

    Returns
    -------
    ndarray, shape (H, W, 3), float32
        At native size, in [0, 1].

    Raises
    ------
    ImageContractError
        The method returned something that is no picture of the size it was given.
    """
    native = stack.size
    if fit == "tile" and any(side < whole for side, whole in zip(size, native, strict=True)):
        return fuse_tiles(method, stack, Tiling(size, overlap, blend), memo)
    shrink = fit == "downsample" and tuple(size) != native
    given = at_size(stack, size) if shrink else stack
    fused = method.fuse(given)
    check_image(fused, name=f"the picture fused by {method.name}", size=given.size)
    # Bilinear weights sum to one only up to rounding, so the last bit may leave [0, 1].
    return np.clip(resize_bilinear(fused, native), 0, 1) if shrink else fused


def at_size(stack: ExposureStack, size: tuple[int, int]) -> ExposureStack:
    """The stack with every exposure resized (`resize_bilinear`); itself where it has that size."""
    if tuple(size) == stack.size:
        return stack
    images = [resize_bilinear(image, size) for image in stack.images]
    return ExposureStack.from_images(images, stack.evs, stack.reference)


def oracle_bound(ground_truth: Encoded | Image, size: tuple[int, int]) -> Image:
    """The ground truth shrunk to ``size`` and enlarged again: the ceiling of that size.

    The very functions of ``--fit downsample``, so no method run at ``size`` can keep more detail.

    Parameters
    ----------
    ground_truth : ndarray, shape (H, W, 3), uint8, uint16 or float32
        Display-encoded.
    size : (height, width)
        The fused size; the truth's own size gives the truth itself.
    """
    truth = to_float(ground_truth)
    native = truth.shape[0], truth.shape[1]
    return np.clip(resize_bilinear(resize_bilinear(truth, size), native), 0, 1)
