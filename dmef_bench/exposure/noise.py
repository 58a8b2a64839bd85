"""Seeded sensor noise, added where light is counted: to the exposure, before the response."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dmef_bench.errors import UsageError

STRIP_ROWS = 256
"""Noise is drawn this many rows at a time, top to bottom: bounded memory, one fixed order."""


@dataclass(frozen=True)
class SensorNoise:
    """Photon and read noise: ε ~ N(0, a E + b²) on a relative exposure E.

    Parameters
    ----------
    a : float
        Variance per unit of relative exposure (photons), >= 0.
    b : float
        Standard deviation in the dark (reading out), >= 0.

    Raises
    ------
    UsageError
        A negative or non-finite strength.

    Notes
    -----
    Frames of a phone are already denoised, sharpened, tone-mapped and compressed; this noise
    lies on top of all that.

    Examples
    --------
    >>> f"{SensorNoise(a=1e-3, b=2e-3).deviation(1.0):.4f}"
    '0.0317'
    """

    a: float
    b: float

    def __post_init__(self) -> None:
        if not (0 <= self.a < math.inf and 0 <= self.b < math.inf):
            raise UsageError(f"{self} is no noise: a and b are finite and at least 0.")

    def deviation(self, irradiance: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return √(a E + b²), the standard deviation.

        Infinite exposure, which `Preferred` reads out of white, gets that of the dark: no noise
        can change it, but infinite noise would make it NaN.
        """
        e = np.asarray(irradiance, dtype=np.float64)
        return np.sqrt(self.a * np.where(np.isinf(e), 0.0, e) + self.b**2)


LEVELS: dict[str, SensorNoise] = {
    "mild": SensorNoise(a=2e-4, b=5e-4),
    "strong": SensorNoise(a=1e-3, b=2e-3),
}
"""The strengths that have a name."""


def parse_noise(text: str) -> SensorNoise:
    """Read a strength: a key of `LEVELS`, or ``A,B`` for photon variance and dark deviation.

    Parameters
    ----------
    text : str
        For example ``"mild"`` or ``"2e-4,5e-4"``.

    Raises
    ------
    UsageError
        Neither.

    Examples
    --------
    >>> parse_noise("2e-4,5e-4") == parse_noise("mild")
    True
    """
    if text in LEVELS:
        return LEVELS[text]
    try:
        a, b = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(
            f"No noise is called {text!r}; choose {' or '.join(LEVELS)}, or give A,B: photon "
            "variance and standard deviation in the dark, like 2e-4,5e-4."
        ) from error
    return SensorNoise(a, b)


@dataclass(frozen=True)
class SeededNoise:
    """Sensor noise for one exposure of one scene: the same every time it is asked for.

    Parameters
    ----------
    model : SensorNoise
        How strong.
    key : str
        Names the draw; see `noise_key`.

    Notes
    -----
    NumPy does not promise the same normals for ever, so whoever stores noisy pictures stores
    NumPy's version with them.
    """

    model: SensorNoise
    key: str

    def generator(self) -> np.random.Generator:
        """Start PCG64 on the first 128 bits, big-endian, of the key's SHA-256."""
        digest = hashlib.sha256(self.key.encode("utf-8")).digest()
        return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))

    def add(
        self, irradiance: npt.NDArray[np.float64], generator: np.random.Generator
    ) -> npt.NDArray[np.float64]:
        """Return max(E + ε, 0) of one strip; takes one normal per value from the generator."""
        normals = generator.standard_normal(irradiance.shape)
        return np.maximum(irradiance + self.model.deviation(irradiance) * normals, 0.0)


def noise_key(seed: int, scene_id: str, sample: int, level: str) -> str:
    """Name the noise of one stored picture, so that no two pictures share their grain.

    Parameters
    ----------
    seed : int
        Seed of the whole data set.
    scene_id : str
        Scene the picture belongs to.
    sample : int
        Moment: 1, 2 or 3.
    level : str
        Exposure: ``"low"``, ``"medium"`` or ``"high"``.

    Examples
    --------
    >>> noise_key(0, "harbour-ea50dca2-000700", 2, "medium")
    '0|harbour-ea50dca2-000700|2|medium'
    """
    return f"{seed}|{scene_id}|{sample}|{level}"
