"""Sensor noise from a bracket alone, and its cure: the exposures of a pixel averaged by light."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from dmef_bench.exposure.camera_response import CameraResponse
from dmef_bench.scene import Encoded, Image

Plane = npt.NDArray[np.float32]

_TILE = 16
_FEWEST_TILES = 20
_QUIETEST = 10
"""Per cent of the tiles: the flat ones, whose differences are noise and no texture."""
_QUIETEST_SHARE = 0.8
"""Of the noise's variance: what that percentile of 64 squared normals comes to."""
REACH = 2
"""Rows and columns beside a pixel that decide what joins it."""
_WINDOW = (2 * REACH + 1,) * 2
_CLEAR = 0.02
"""Largest share of lost pixels in a window that is merged."""


def photon_noise(codes: Encoded, camera: CameraResponse) -> float | None:
    """Variance of the noise per unit of exposure, as the quietest tiles of one picture show it.

    Where light is counted, 2 √E has the same noise everywhere (Anscombe, Biometrika 35, 1948). Its
    diagonal differences hold no smooth shading. Rounding to 8-bit codes adds 5e-6.

    Parameters
    ----------
    codes : ndarray, shape (H, W, 3), uint8 or uint16
        One exposure.
    camera : CameraResponse
        Turns codes into exposure E.

    Returns
    -------
    float or None
        ``a`` of `dmef_bench.exposure.noise.SensorNoise`; None where too little can be seen.
    """
    full = int(np.iinfo(codes.dtype).max)
    root = 2 * np.sqrt(_finite(camera.inverse(np.arange(full + 1) / full)))
    tiles = _tiles(codes)
    clear = ((tiles > 0.03 * full) & (tiles < 0.97 * full)).all(axis=(1, 2))  # (tiles, 3)
    if clear.sum() < _FEWEST_TILES:
        return None
    seen = root[tiles]
    diagonal = seen[:, ::2, ::2] - seen[:, 1::2, ::2] - seen[:, ::2, 1::2] + seen[:, 1::2, 1::2]
    variance = (diagonal**2).mean(axis=(1, 2)) / 4
    return float(np.percentile(variance[clear], _QUIETEST)) / _QUIETEST_SHARE


def _tiles(codes: Encoded) -> Encoded:
    """Tiles of a picture, (tiles, 16, 16, 3), about a thousand of a large one."""
    apart = _TILE * max(1, min(codes.shape[:2]) // 512)
    rows, columns = codes.shape[0] // apart, codes.shape[1] // apart
    grid = codes[: rows * apart, : columns * apart].reshape(rows, apart, columns, apart, 3)
    return grid[:, :_TILE, :, :_TILE].swapaxes(1, 2).reshape(-1, _TILE, _TILE, 3)


def light_variance(camera: CameraResponse, full: int, k: float, noise: float) -> Plane:
    """Variance of a pixel brought to EV 0, for each code: photons counted, and rounding.

    Parameters
    ----------
    camera : CameraResponse
        The camera.
    full : int
        The largest code.
    k : float
        Exposure ratio 2**EV of the exposure.
    noise : float
        What `photon_noise` found.
    """
    pixels = np.arange(full + 1) / full
    exposure = _finite(camera.inverse(pixels))
    of_code = noise * exposure / np.maximum(np.gradient(exposure), 1e-9) ** 2 + 1 / 12
    slope = np.gradient(camera.transform(pixels, 1 / k))
    return (of_code * slope**2).astype(np.float32)


def _finite(exposure: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Exposure as it is, but that which `Preferred` reads out of white: the next one below."""
    return np.where(np.isinf(exposure), exposure[-2], exposure)


@dataclass(frozen=True, eq=False)
class Sight:
    """What one exposure tells of each pixel of the reference.

    Parameters
    ----------
    light : ndarray, shape (H, W, 3), float32
        Display-encoded at EV 0.
    variance : ndarray, shape (H, W, 3), float32
        Of ``light``, by noise.
    lost : ndarray, shape (H, W, 3), float32
        1 where the exposure is clipped, 0 where it is not; the reference keeps such pixels.
    weight : float
        How much light it had over the reference's: photons counted, so the inverse variance.
    """

    light: Image
    variance: Image
    lost: Image
    weight: float

    def through(self, fetch: Callable[[Image], Image]) -> Sight:
        """The same exposure, its pictures as ``fetch`` hands them on."""
        return Sight(fetch(self.light), fetch(self.variance), fetch(self.lost), self.weight)


def merge(reference: Sight, others: Iterable[Sight]) -> Image:
    """Average of the exposures by their light, where they agree but for noise.

    An exposure joins with ``weight * min(1, s² / d²)²``: d² its mean squared difference from the
    reference in a window, s² what noise explains of that. In the manner of HDR+ (Hasinoff et al.,
    ACM TOG 35(6), 2016), which merges the frames of a burst so, frequency by frequency. Without
    the outer square a twentieth of what moved shows through strong noise, and 0.3 dB are lost.

    Pixels up to `REACH` rows and columns away count.
    """
    total, weights = reference.light.copy(), np.ones_like(reference.light)
    for other in others:
        weight = _joining(reference, other)
        weight *= other.weight
        weights += weight
        total += weight * other.light
    return np.divide(total, weights, out=total)


def _joining(reference: Sight, other: Sight) -> Image:
    """Between 0, no part of it, and 1, all of it."""
    squared = cv2.blur((other.light - reference.light) ** 2, _WINDOW)
    explained = cv2.blur(reference.variance + other.variance, _WINDOW)
    joining = (explained / np.maximum(squared, explained)) ** 2
    unclear = (cv2.blur(other.lost, _WINDOW) > _CLEAR) | (reference.lost > 0)
    np.copyto(joining, 0, where=unclear)
    return joining
