"""A camera drawn anew for every scene: the track on which no method may know the response."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from dmef_bench.exposure.camera_response import Sigmoid


@dataclass(frozen=True)
class Drawn:
    """One constant of the response: normal, and held within bounds.

    Parameters
    ----------
    mean, deviation : float
        Of the normal distribution.
    lowest, highest : float
        What lies beyond is moved to the bound.
    """

    mean: float
    deviation: float
    lowest: float
    highest: float

    def at(self, normal: float) -> float:
        """The constant that a standard normal stands for, to a millionth."""
        value = self.mean + self.deviation * normal
        return round(min(max(value, self.lowest), self.highest), 6)


# As one published method of HDR video draws the responses it trains on.
STEEPNESS = Drawn(0.65, 0.1, 0.4, 0.9)
SIGMA = Drawn(0.6, 0.1, 0.4, 0.8)


def drawn_response(seed: int, scene_id: str) -> Sigmoid:
    """Draw the camera of a scene: n ~ N(0.65, 0.1) in [0.4, 0.9], σ ~ N(0.6, 0.1) in [0.4, 0.8].

    Parameters
    ----------
    seed : int
        Seed of the whole data set.
    scene_id : str
        The scene; its draw depends on no other.

    Returns
    -------
    Sigmoid
        The same for the same seed and scene. NumPy does not promise the same normals for ever,
        so whoever stores exposures stores the constants with them.

    Examples
    --------
    >>> drawn_response(0, "harbour-ea50dca2-000700") == drawn_response(0, "harbour-ea50dca2-000700")
    True
    """
    digest = hashlib.sha256(f"{seed}|{scene_id}|response".encode()).digest()
    generator = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))
    n, sigma = generator.standard_normal(2)
    return Sigmoid(n=STEEPNESS.at(float(n)), sigma=SIGMA.at(float(sigma)))
