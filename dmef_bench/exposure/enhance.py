"""LECARM on one picture: a dark photograph, each pixel exposed as it needs."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.ndimage import convolve1d
from scipy.sparse.linalg import LinearOperator, cg

from dmef_bench.errors import UsageError
from dmef_bench.exposure.bicubic import Float64, resize_bicubic
from dmef_bench.exposure.camera_response import CameraResponse, Sigmoid
from dmef_bench.scene import Encoded, Image, to_float

SMOOTHNESS = 0.15
"""λ: how much a smooth illumination counts against one that follows the picture."""

SHARPNESS = 1e-3
"""What keeps the weights finite where nothing changes."""

MOST = 7.0
"""The largest exposure ratio, 2.8 stops."""

# The published taps: a Gaussian of sigma 2 over offsets that are squared already.
_TAPS = np.exp(-(np.array([4.0, 1.0, 0.0, 1.0, 4.0]) ** 2) / (2 * 2**2))

_RESIDUAL = 1e-10
_STRIP_ROWS = 64


def enhance(picture: Encoded | Image, response: CameraResponse | None = None) -> Image:
    """Expose every pixel by what its illumination lacks: g(P, min(1/T, 7)).

    A picture can only get brighter, so this makes no "low" exposure, and `dmef build` never uses
    it: the benchmark's exposures are global, the same ratio for every pixel.

    Parameters
    ----------
    picture : ndarray, shape (H, W, 3), uint8, uint16 or float32 in [0, 1]
        Display-encoded RGB.
    response : CameraResponse, optional
        The camera; `Sigmoid` as published.

    Returns
    -------
    ndarray, shape (H, W, 3), float32
        In [0, 1]; what lies above is clipped.

    References
    ----------
    Ren, Ying, Li, Li, "LECARM: Low-light image enhancement using the camera response model", IEEE
    TCSVT 29(4), 2019, sections III-B and III-C.
    """
    camera = response or Sigmoid()
    pixels = to_float(picture)
    ratio = exposure_ratio(pixels)
    enhanced = np.empty_like(pixels)
    for top in range(0, len(pixels), _STRIP_ROWS):
        rows = slice(top, top + _STRIP_ROWS)
        enhanced[rows] = np.clip(camera.transform(pixels[rows], ratio[rows, :, None]), 0, 1)
    return enhanced


def exposure_ratio(pixels: Image) -> Float64:
    """K = min(1/T, 7) of every pixel, T being the illumination of the picture.

    Parameters
    ----------
    pixels : ndarray, shape (H, W, 3), float32
        In [0, 1].

    Returns
    -------
    ndarray, shape (H, W), float64
        About 1 where the picture is bright, 7 at most where it is dark.

    Raises
    ------
    UsageError
        A picture with NaN.
    """
    brightest = pixels.max(axis=2).astype(np.float64)
    height, width = brightest.shape
    half = (math.ceil(height / 2), math.ceil(width / 2))
    lit = resize_bicubic(illumination(resize_bicubic(brightest, half)), (height, width))
    # Where the cubic kernel undershoots to no light at all, the cap alone holds.
    return 1 / np.maximum(lit, 1 / MOST)


def illumination(brightest: Float64) -> Float64:
    """Smooth a map of brightness but for the edges of its objects: (I + λL) t = t₀.

    Parameters
    ----------
    brightest : ndarray, shape (H, W), float64
        t₀, the largest channel of every pixel.

    Returns
    -------
    ndarray, shape (H, W), float64

    Raises
    ------
    UsageError
        A map with NaN or infinity.

    Notes
    -----
    L is a weighted Laplacian of circular differences: what joins the last column to the first
    stays on its diagonal and is dropped beside it, so both edges are held to the dark a little,
    as published. Solved by conjugate gradients to a residual of 1e-10, where the published
    program stops at 0.1 on large pictures.
    """
    if not np.isfinite(brightest).all():
        raise UsageError("The picture holds NaN or infinity; an illumination cannot be found.")
    system, diagonal = _system(brightest)
    start = brightest.ravel()
    jacobi = LinearOperator(system.shape, matvec=lambda values: values.ravel() / diagonal)
    solved, _ = cg(system, start, x0=start, rtol=_RESIDUAL, atol=0.0, M=jacobi)
    return np.asarray(solved).reshape(brightest.shape)


def _system(brightest: Float64) -> tuple[sparse.csr_array, Float64]:
    """I + λL and its diagonal."""
    height, width = brightest.shape
    down, right = (SMOOTHNESS * _weights_of(brightest, axis) for axis in (0, 1))
    diagonal = 1 + down + np.roll(down, 1, axis=0) + right + np.roll(right, 1, axis=1)
    # The neighbour below lies one row of pixels further, the one to the right the next pixel.
    down[-1], right[:, -1] = 0, 0
    sides = [-down.ravel()[: max(0, (height - 1) * width)], -right.ravel()[:-1]]
    offsets = [width, 1]
    if width == 1:  # then both are the same diagonal, and nothing lies to the right
        sides, offsets = sides[:1], offsets[:1]
    if height == 1:
        sides, offsets = sides[1:], offsets[1:]
    size = height * width
    bands: list[npt.NDArray[np.float64]] = [diagonal.ravel(), *sides, *sides]
    system = sparse.diags_array(
        bands, offsets=[0, *offsets, *(-offset for offset in offsets)], shape=(size, size)
    )
    return system.tocsr(), diagonal.ravel()


def _weights_of(brightest: Float64, axis: int) -> Float64:
    """Small across edges, large over texture: Σ taps / (|taps ∗ d| |d| + 0.001).

    The filter runs along rows for the differences of both directions, as published.
    """
    step = np.roll(brightest, -1, axis=axis) - brightest
    around = convolve1d(step, _TAPS, axis=1, mode="constant")
    return _TAPS.sum() / (np.abs(around) * np.abs(step) + SHARPNESS)
