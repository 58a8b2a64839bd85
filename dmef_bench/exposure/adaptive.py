"""Exposures that follow the scene: stops at which a chosen share of the reference clips."""

from __future__ import annotations

import math

import numpy as np

from dmef_bench.errors import UsageError
from dmef_bench.exposure.camera_response import CameraResponse
from dmef_bench.scene import Encoded, check_layout

CLIP_SHARE = 0.30
"""Share of the reference's pixels that clip, unless another is chosen."""
STEP_EV = 2.0
"""Stops from medium to low and to high: a quarter of its light, and four times as much."""
MEDIUM_EV = (0.5, 4.0)
"""Range of the medium. Below it, returning the medium is nearly right; above it, high is white."""


def adaptive_evs(
    reference: Encoded, crf: CameraResponse, share: float = CLIP_SHARE
) -> tuple[float, float, float]:
    """Solve the stops at which a share of the reference's pixels clips in some channel.

    A pixel clips once its brightest channel P reaches white: f(k f⁻¹(P)) = 1, hence
    k = f⁻¹(1) / f⁻¹(P*) with P* the code that the wanted share of pixels reaches.

    Parameters
    ----------
    reference : ndarray, shape (H, W, 3), uint8
        Sample 2 as it was.
    crf : CameraResponse
        The camera.
    share : float
        Wanted share, between 0 and 1.

    Returns
    -------
    tuple of float
        Stops of low, medium and high to a thousandth: the medium within `MEDIUM_EV`, the others
        `STEP_EV` away. The share that clips is the nearest that whole codes can give.

    Raises
    ------
    UsageError
        A share outside (0, 1), or a camera that never clips.
    ImageContractError
        A reference that is no uint8 picture.

    Examples
    --------
    Of a horizontal ramp, 30 % of the pixels lie at code 179 and above:

    >>> from dmef_bench.exposure.camera_response import Sigmoid
    >>> ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    >>> adaptive_evs(ramp, Sigmoid())
    (-0.786, 1.214, 3.214)
    """
    check_share(share)
    check_layout(reference, name="reference", dtypes=(np.uint8,))
    white = float(crf.inverse(1.0))
    if math.isinf(white):
        raise UsageError(
            f"{type(crf).__name__} never clips, so no exposure clips {share:.0%} of a picture. "
            "Choose another camera model, or fixed stops."
        )
    code = _code_reached_by(reference.max(axis=2), share)
    lowest, highest = MEDIUM_EV
    ratio = white / float(crf.inverse(code / 255)) if code else math.inf
    medium = round(min(max(math.log2(ratio), lowest), highest), 3)
    return round(medium - STEP_EV, 3), medium, round(medium + STEP_EV, 3)


def _code_reached_by(brightest: Encoded, share: float) -> int:
    """The code that as nearly as possible this share of pixels reaches; the brighter of two."""
    counts = np.bincount(brightest.ravel(), minlength=256)
    reaching = counts[::-1].cumsum()[::-1] / counts.sum()
    codes = np.flatnonzero(counts)
    if codes[-1] < 255:
        codes = np.append(codes, codes[-1] + 1)  # just beyond all of them
    distance = np.abs(reaching[codes] - share)
    return int(codes[distance == distance.min()][-1])


def check_share(share: float) -> float:
    """Hand back a share that lies between 0 and 1; raise `UsageError` at any other."""
    if not 0 < share < 1:
        raise UsageError(f"A share of {share} cannot clip; choose one between 0 and 1, like 0.3.")
    return share
