"""From linear radiance to what is compared or seen: the mu-law, and a plain display gamma."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dmef_bench.scene import Image

Radiance = npt.NDArray[np.float32]
"""(H, W, 3), RGB, proportional to light, float32; 1 is the brightest that is compared."""

MU = 5000.0
"""How strongly the mu-law lifts the dark."""
DISPLAY_GAMMA = 2.2


def mu_law(radiance: Radiance) -> npt.NDArray[np.float32]:
    """Compress radiance as the eye does: T(h) = ln(1 + μh) / ln(1 + μ), with μ = 5000.

    The tone curve of Kalantari, Ramamoorthi, "Deep high dynamic range imaging of dynamic scenes",
    SIGGRAPH 2017.

    Parameters
    ----------
    radiance : ndarray
        h, linear; clipped to [0, 1] here.

    Returns
    -------
    ndarray of the same shape, float32
        From 0 for no light to 1.

    Examples
    --------
    >>> mu_law(np.array([0.0, 0.01, 1.0, 7.0], np.float32)).round(3)
    array([0.   , 0.462, 1.   , 1.   ], dtype=float32)
    """
    scaled = np.float32(MU) * np.clip(radiance, 0, 1)
    scaled += 1  # log1p would save a digit below 1e-7 of the scale, and take four times as long
    return np.log(scaled, out=scaled) / np.float32(np.log1p(MU))


def to_display(radiance: Radiance) -> Image:
    """Radiance as a picture: clipped to [0, 1], then h^(1/2.2)."""
    return np.clip(radiance, 0, 1) ** np.float32(1 / DISPLAY_GAMMA)


def to_radiance(picture: Image) -> Radiance:
    """A picture back to radiance, P^2.2: what `to_display` undoes where nothing was clipped."""
    return picture ** np.float32(DISPLAY_GAMMA)
