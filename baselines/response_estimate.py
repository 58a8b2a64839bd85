"""The camera's response from a bracket alone: the curve that carries each histogram to the next."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from dmef_bench.errors import UnavailableError
from dmef_bench.exposure.camera_response import Sigmoid
from dmef_bench.scene import Encoded, ExposureStack, Image, to_float

Quantiles = npt.NDArray[np.floating]

_PROBABILITIES = np.linspace(0.002, 0.998, 499)
_N = (0.35, 1.05)
_SIGMA = (0.3, 0.95)
_STEPS = 9
_ROUNDS = 5
_CLEAR_OF_ENDS = (4 / 255, 250 / 255)


def estimate_response(stack: ExposureStack) -> Sigmoid:
    """Fit a `Sigmoid` to a stack of known EVs.

    Moving things hardly change a histogram, so no alignment is needed: the quantiles of an
    exposure, sent through g(P, k), must be the quantiles of the next brighter one. Grid search
    over (n, sigma), refined around the best; mean absolute error.

    Parameters
    ----------
    stack : ExposureStack
        Two exposures or more.

    Returns
    -------
    Sigmoid
        The best fit; the default where nothing speaks for any other, as in black pictures.

    Raises
    ------
    UnavailableError
        The stack states no EVs.
    """
    if stack.evs is None:
        raise UnavailableError("A response can be estimated only from exposures of known EVs.")
    pictures = stack.images if stack.encoded is None else stack.encoded
    quantiles = [_quantiles(picture) for picture in pictures]
    pairs = [
        (dark, bright, 2.0 ** (ev_bright - ev_dark))
        for (dark, ev_dark), (bright, ev_bright) in pairwise(zip(quantiles, stack.evs, strict=True))
    ]
    best = Sigmoid()
    least = _error(best, pairs)
    if not np.isfinite(least):
        return best
    n_span, sigma_span = _N, _SIGMA
    for _ in range(_ROUNDS):
        for n in np.linspace(*n_span, _STEPS):
            for sigma in np.linspace(*sigma_span, _STEPS):
                candidate = Sigmoid(float(n), float(sigma))
                error = _error(candidate, pairs)
                if error < least:
                    best, least = candidate, error
        n_span = _around(best.n, n_span, _N)
        sigma_span = _around(best.sigma, sigma_span, _SIGMA)
    return best


def _quantiles(picture: Encoded | Image) -> Quantiles:
    """Quantiles of each channel, (3, 499); every fourth pixel each way tells as much as all."""
    step = 4 if min(picture.shape[:2]) >= 256 else 1
    # Codes are sorted by counting them, in a tenth of the time of np.quantile.
    ordered: npt.NDArray[Any] = np.sort(
        picture[::step, ::step].reshape(-1, 3).T, axis=1, kind="stable"
    )
    last = ordered.shape[1] - 1
    below = (_PROBABILITIES * last).astype(np.intp)
    share = _PROBABILITIES * last - below
    low, high = (to_float(ordered[:, place]) for place in (below, np.minimum(below + 1, last)))
    return low + (high - low) * share


def _error(camera: Sigmoid, pairs: list[tuple[Quantiles, Quantiles, float]]) -> float:
    """Mean absolute difference of quantiles over those that neither exposure cut off."""
    low, high = _CLEAR_OF_ENDS
    errors = []
    for dark, bright, k in pairs:
        predicted = camera.transform(dark, k)
        told = (bright > low) & (bright < high) & (dark > low) & (dark < high)
        errors.append(np.abs(predicted - bright)[told])
    seen = np.concatenate(errors)
    return float(seen.mean()) if seen.size else np.inf


def _around(
    value: float, span: tuple[float, float], limits: tuple[float, float]
) -> tuple[float, float]:
    """A third of the span, about the value, inside the limits."""
    half = (span[1] - span[0]) / 6
    return max(limits[0], value - half), min(limits[1], value + half)
