"""Camera-response models: how light becomes a pixel, and how a pixel looks in another exposure.

With E the relative exposure (irradiance × time), P the display-encoded pixel, f the camera
response and g the brightness transform, every model here obeys one identity:

    g(f(E), k) = f(k E)

multiplying the exposure by k is a pointwise map of the pixel, and k = 2**EV.

The models are those of Ren, Ying, Li, Li, "LECARM: Low-light image enhancement using the camera
response model", IEEE TCSVT 29(4), 2019; the pairs (f, g) are comparametric functions after Mann,
"Comparametric equations with practical applications in quantigraphic image processing", IEEE
TIP 9(8), 2000. A fifth model of theirs, Gamma, is left out: its published transform k^p P belongs
to Beta and does not fit its own response exp(E^p), which moreover is 1 in the dark.

Everything is computed in float64 and nothing is clipped: g(P, k) above 1 is light the picture
cannot hold, and only who makes a picture may cut it off. The formulas are written so that 0 and
infinity fall out of IEEE arithmetic as the limits they are; the warnings on the way are silenced.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from dmef_bench.errors import UsageError

Float64 = npt.NDArray[np.float64]
"""Values of f, f⁻¹ and g; a NumPy scalar where a scalar came in."""


class CameraResponse(Protocol):
    """A camera: what `Sigmoid`, `Beta`, `BetaGamma` and `Preferred` have in common."""

    def response(self, irradiance: npt.ArrayLike) -> Float64:
        """f: the pixel that a relative exposure E >= 0 gives."""
        ...

    def inverse(self, pixel: npt.ArrayLike) -> Float64:
        """f⁻¹: the relative exposure that gave a pixel."""
        ...

    def transform(self, pixel: npt.ArrayLike, k: npt.ArrayLike) -> Float64:
        """g: the pixel in [0, 1], had it received k times the exposure."""
        ...


@dataclass(frozen=True)
class Sigmoid:
    """The S-shaped response, dmef's default: f(E) = (1+σ) Eⁿ / (Eⁿ+σ).

    f(1) = 1, and no light brings more than 1+σ.

    Parameters
    ----------
    n : float
        Steepness, above 0.
    sigma : float
        Half-way exposure to the power n, above 0.

    Examples
    --------
    White turns grey two stops darker; what was that grey turns white two stops brighter:

    >>> camera = Sigmoid()
    >>> grey = camera.transform(1.0, 1 / 4)
    >>> f"{grey:.3f} {camera.transform(grey, 4):.3f}"
    '0.518 1.000'
    """

    n: float = 0.90
    sigma: float = 0.60

    def __post_init__(self) -> None:
        _require(0 < self.n < math.inf and 0 < self.sigma < math.inf, self, "n > 0 and sigma > 0")

    def response(self, irradiance: npt.ArrayLike) -> Float64:
        """f(E) = (1+σ) Eⁿ / (Eⁿ+σ).

        Parameters
        ----------
        irradiance : array_like
            Relative exposure E >= 0, any shape; infinity gives 1+σ.

        Returns
        -------
        ndarray, float64
            Display-encoded pixel in [0, 1+σ], unclipped.

        Raises
        ------
        UsageError
            An exposure that is negative or NaN.
        """
        e = _light(irradiance)
        with np.errstate(divide="ignore", over="ignore"):
            return (1 + self.sigma) / (1 + self.sigma * e**-self.n)

    def inverse(self, pixel: npt.ArrayLike) -> Float64:
        """f⁻¹(P) = (σP / (1+σ−P))^(1/n).

        Parameters
        ----------
        pixel : array_like
            Display-encoded pixel in [0, 1+σ], any shape; the pole 1+σ gives infinity.

        Returns
        -------
        ndarray, float64
            Relative exposure.

        Raises
        ------
        UsageError
            A pixel that no light can give, or NaN.
        """
        p = _pixel(pixel, brightest=1 + self.sigma)
        with np.errstate(divide="ignore"):
            return (self.sigma * p / (1 + self.sigma - p)) ** (1 / self.n)

    def transform(self, pixel: npt.ArrayLike, k: npt.ArrayLike) -> Float64:
        """g(P, k) = (1+σ) kⁿ P / ((kⁿ−1) P + 1+σ).

        Parameters
        ----------
        pixel : array_like
            Display-encoded pixel in [0, 1], any shape.
        k : array_like
            Exposure ratio 2**EV, finite, >= 0; a scalar, or of a shape that broadcasts.

        Returns
        -------
        ndarray, float64
            Display-encoded pixel, unclipped: up to (1+σ) kⁿ / (kⁿ+σ).

        Raises
        ------
        UsageError
            A pixel outside [0, 1]; a negative or non-finite k; NaN in either.
        """
        p, gain = _pixel(pixel), _ratio(k) ** self.n
        return (1 + self.sigma) * gain * p / ((gain - 1) * p + 1 + self.sigma)


@dataclass(frozen=True)
class Beta:
    """The power law: f(E) = E^β, so that an exposure ratio is a gain k^β.

    Parameters
    ----------
    beta : float
        Exponent, above 0.
    """

    beta: float = 0.8

    def __post_init__(self) -> None:
        _require(0 < self.beta < math.inf, self, "beta > 0")

    def response(self, irradiance: npt.ArrayLike) -> Float64:
        """f(E) = E^β; see `Sigmoid.response` for what goes in and what is refused."""
        return _light(irradiance) ** self.beta

    def inverse(self, pixel: npt.ArrayLike) -> Float64:
        """f⁻¹(P) = P^(1/β) for every P >= 0."""
        return _pixel(pixel, brightest=math.inf) ** (1 / self.beta)

    def transform(self, pixel: npt.ArrayLike, k: npt.ArrayLike) -> Float64:
        """g(P, k) = k^β P; see `Sigmoid.transform` for what goes in and what is refused."""
        return _ratio(k) ** self.beta * _pixel(pixel)


@dataclass(frozen=True)
class BetaGamma:
    """The two-parameter response f(E) = exp(b (1 − E^a)): f(1) = 1, and light brings at most e^b.

    Parameters
    ----------
    a : float
        Exponent, below 0.
    b : float
        Logarithm of the brightest pixel, above 0.
    """

    a: float = -0.3293
    b: float = 1.1258

    def __post_init__(self) -> None:
        _require(-math.inf < self.a < 0 < self.b < math.inf, self, "a < 0 and b > 0")

    def response(self, irradiance: npt.ArrayLike) -> Float64:
        """f(E) = exp(b (1 − E^a)); see `Sigmoid.response` for what is refused.

        With a < 0, E = 0 gives exp(−∞) = 0 and E = ∞ gives e^b.
        """
        e = _light(irradiance)
        with np.errstate(divide="ignore", over="ignore"):
            return np.exp(self.b * (1 - e**self.a))

    def inverse(self, pixel: npt.ArrayLike) -> Float64:
        """f⁻¹(P) = (1 − ln P / b)^(1/a) for P in [0, e^b]; e^b gives infinity."""
        p = _pixel(pixel, brightest=math.exp(self.b))
        with np.errstate(divide="ignore"):
            # At P = e^b rounding may leave -1e-16, whose fractional power is NaN.
            return np.maximum(1 - np.log(p) / self.b, 0) ** (1 / self.a)

    def transform(self, pixel: npt.ArrayLike, k: npt.ArrayLike) -> Float64:
        """g(P, k) = P^(k^a) exp(b (1 − k^a)); see `Sigmoid.transform` for what is refused."""
        p = _pixel(pixel)
        with np.errstate(divide="ignore"):
            exponent = _ratio(k) ** self.a
            return p**exponent * np.exp(self.b * (1 - exponent))


@dataclass(frozen=True)
class Preferred:
    """Mann's preferred saturation: f(E) = (e^b E^a / (e^b E^a + 1))^c.

    White stays white whatever k, so its bright exposure loses nothing: a weak choice for a
    benchmark. f(1) = 0.9665 with these constants. P^(1/c) underflows in float32.

    Parameters
    ----------
    a, c : float
        Exponents, above 0.
    b : float
        Logarithm of the sensitivity.
    """

    a: float = 4.35
    b: float = 1.29
    c: float = 0.14

    def __post_init__(self) -> None:
        positive = 0 < self.a < math.inf and 0 < self.c < math.inf
        _require(positive and math.isfinite(self.b), self, "a > 0 and c > 0")

    def response(self, irradiance: npt.ArrayLike) -> Float64:
        """f(E) = (e^b E^a / (e^b E^a + 1))^c; see `Sigmoid.response` for what is refused."""
        return self._saturate(math.exp(self.b) * _light(irradiance) ** self.a)

    def inverse(self, pixel: npt.ArrayLike) -> Float64:
        """f⁻¹(P) = (q/(1−q) e^(−b))^(1/a), q = P^(1/c), for P in [0, 1]; 1 gives infinity."""
        return (self._odds(_pixel(pixel)) * math.exp(-self.b)) ** (1 / self.a)

    def transform(self, pixel: npt.ArrayLike, k: npt.ArrayLike) -> Float64:
        """g(P, k) = (q k^a / (q (k^a − 1) + 1))^c; see `Sigmoid.transform` for what is refused."""
        p = _pixel(pixel)
        # Black and white stay for every k, even for k^a = 0 or ∞ where 0·∞ would say NaN.
        with np.errstate(invalid="ignore", over="ignore"):
            moved = self._saturate(self._odds(p) * _ratio(k) ** self.a)
        return np.where((p == 0) | (p == 1), p, moved)

    def _odds(self, p: Float64) -> Float64:
        q = p ** (1 / self.c)
        with np.errstate(divide="ignore"):
            return q / (1 - q)

    def _saturate(self, odds: Float64) -> Float64:
        # odds / (odds + 1), divided through so that infinite odds give 1 and none give 0.
        with np.errstate(divide="ignore", over="ignore"):
            return (1 / (1 + 1 / odds)) ** self.c


MODELS: dict[str, type[Sigmoid] | type[Beta] | type[BetaGamma] | type[Preferred]] = {
    model.__name__: model for model in (Sigmoid, Beta, BetaGamma, Preferred)
}
"""Every camera response by its name, as recipes and manifests write it."""


def _light(irradiance: npt.ArrayLike) -> Float64:
    e = np.asarray(irradiance, dtype=np.float64)
    _refuse(e, ~(e >= 0), "irradiance", "a relative exposure is at least 0")
    return e


def _pixel(pixel: npt.ArrayLike, brightest: float = 1.0) -> Float64:
    p = np.asarray(pixel, dtype=np.float64)
    _refuse(p, ~((p >= 0) & (p <= brightest)), "pixel", f"it must lie in [0, {brightest:.6g}]")
    return p


def _ratio(k: npt.ArrayLike) -> Float64:
    ratio = np.asarray(k, dtype=np.float64)
    wrong = ~((ratio >= 0) & np.isfinite(ratio))
    _refuse(ratio, wrong, "k", "an exposure ratio 2**EV is finite and at least 0")
    return ratio


def _refuse(values: Float64, wrong: npt.NDArray[np.bool_], name: str, rule: str) -> None:
    """Raise, naming the first of ``values`` that is ``wrong``."""
    if np.any(wrong):
        raise UsageError(f"{name} is {float(values[wrong].flat[0])!r}; {rule}.")


def _require(holds: bool, model: object, rule: str) -> None:
    if not holds:
        raise UsageError(f"{model} is no camera: it needs finite constants with {rule}.")
