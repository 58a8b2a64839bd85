"""Response-fill: undo the camera response, and take what the reference lost from another frame."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial

import cv2
import numpy as np
import numpy.typing as npt

from baselines.colour_table import ColourTable, partly_lost
from baselines.exposure_pair import (
    ALL_ROWS,
    HALF_CODE,
    NEIGHBOURHOOD,
    Judged,
    Pair,
    at_ev_zero,
    better,
    copy_where,
    looked_up,
)
from baselines.noise_merge import REACH, merge, photon_noise
from baselines.response_estimate import estimate_response
from baselines.row_bands import at_once, in_bands, widened
from dmef_bench.errors import UnavailableError, UsageError
from dmef_bench.exposure.camera_response import MODELS, CameraResponse
from dmef_bench.scene import ExposureStack, Image

Mask = npt.NDArray[np.bool_]
Plane = npt.NDArray[np.float32]

ESTIMATE = "estimate"
_ENOUGH = 0.02
"""Least share of trusted pixels in a window whose mean is used."""
_DISBELIEF = 0.06
"""Difference of two aligned frames, of full scale, that noise and rounding do not explain."""
_DOUBT = 0.02
"""The same, from which colours that the donor knows are averaged with what it has there."""
_WORTH_MERGING = 1.2e-4
"""Photon noise per unit of exposure from which merging gains; below, grain is the truth's own."""


class ResponseFill:
    """The training-free method that every network must beat.

    Every exposure is brought to EV 0 by the inverse of the camera response. What the reference
    lost, clipped highlights above all, is filled from the neighbouring exposure: each pixel from
    where dense optical flow finds it, or from the same place where that agrees better, and where
    neither agrees with what the reference still tells, from trusted pixels around.

    Parameters
    ----------
    response : str or CameraResponse
        The camera: a model, its class name, or ``"estimate"``, which fits a `Sigmoid` to the
        stack's histograms (`baselines.response_estimate`).
    still : bool
        Consider the unmoved pixel beside the one that the flow finds.
    mend : bool
        Replace what contradicts the reference by trusted pixels around.
    denoise : bool
        Where sensor noise is seen, average what the reference kept with the neighbouring
        exposures, by their light (`baselines.noise_merge`).
    colour : bool
        Where the darker exposure contradicts the channels that the reference kept, go half way to
        the colour that goes with them elsewhere in it (`baselines.colour_table`).

    Notes
    -----
    Ours; nothing is trained and no ground truth is seen. The comparametric view of exposures is
    Mann's (IEEE TIP 9(8), 2000), the flow is DIS (Kroeger et al., ECCV 2016). A check of forward
    against backward flow was tried and left out: it distrusts flat highlights, which is where the
    fill is needed, and costs 1.5 dB.

    What the steps are worth, PSNR in dB over real training scenes, by leaving out one at a time
    (benchmarks/response_fill_steps.py): eleven with the known response and no noise, ten with drawn
    cameras, mild noise and the response estimated.

    ===========  ===============  =====================
    step         known, no noise  unknown, mild noise
    ===========  ===============  =====================
    ``still``    0.05             0.05
    ``mend``     0.76             0.24
    ``denoise``  0.00             1.36
    ``colour``   0.78             0.15; lost pixels 0.32
    ===========  ===============  =====================

    The threshold and the weight of ``colour`` were chosen on these scenes, not on test scenes.

    Tried beside it and left out: a feather of 3 px along the fills (-0.2 dB without noise, -0.02
    with), and smoothing what the flow sees (within 0.15 dB, either way).
    """

    name = "response-fill"
    paper = "dmef: inverse camera response and flow-aligned fill, no training"
    stride = 1
    # Things move as far as they move.
    is_global = True
    needs_evs = True

    def __init__(
        self,
        response: str | CameraResponse = ESTIMATE,
        still: bool = True,
        mend: bool = True,
        denoise: bool = True,
        colour: bool = True,
    ) -> None:
        if isinstance(response, str) and response not in (ESTIMATE, *MODELS):
            raise UsageError(
                f"response is {response!r}; give {ESTIMATE} or a model: {', '.join(MODELS)}."
            )
        self._response = response
        self._still, self._mend, self._denoise = still, mend, denoise
        self._colour = colour

    def fuse(self, stack: ExposureStack) -> Image:
        """Fuse a stack whose EVs are known.

        Parameters
        ----------
        stack : ExposureStack
            EVs relative to the picture that is wanted; two exposures or more.

        Raises
        ------
        UnavailableError
            Nobody states the EVs.
        """
        return self.fill(stack)[0]

    def fill(self, stack: ExposureStack) -> tuple[Image, Pair | None]:
        """`fuse`, and the pair that lost highlights came from; None where none were to be had."""
        if stack.evs is None:
            raise UnavailableError(
                "response-fill needs the exposures' EVs, and this stack states none."
            )
        camera, own = self.camera(stack), stack.reference
        level = cache(lambda index: at_ev_zero(stack, index, camera))
        pair = cache(lambda index: Pair(level(own), level(index)))
        reference, last = level(own), len(stack.evs) - 1
        neighbours = [index for index in (own - 1, own + 1) if 0 <= index <= last]
        fused = looked_up(reference.codes, reference.table)
        if self._denoise:
            seen = (photon_noise(level(index).codes, camera) for index in range(last + 1))
            # Texture can only add to it, and one exposure may be clipped too far to tell.
            noise = min((noise for noise in seen if noise is not None), default=0.0)
            if noise >= _WORTH_MERGING:
                # Both flows at once: one alone leaves two cores idle a seventh of the time.
                _average(fused, at_once(pair, neighbours), noise)
        darker = pair(own - 1) if own > 0 and reference.white.any() else None
        if darker is not None:
            filled, doubt = self._mended(darker, reference.white)
            np.maximum(filled, np.float32(reference.ceiling), out=filled)
            copy_where(filled, reference.white, fused)
            if self._colour:
                _recolour(fused, darker, doubt)
        # A floor that rounds to black leaves nothing to be filled.
        if own < last and reference.floor >= HALF_CODE and reference.black.any():
            filled, _ = self._mended(pair(own + 1), reference.black)
            np.minimum(filled, np.float32(reference.floor), out=filled)
            copy_where(filled, reference.black, fused)
        return np.clip(fused, 0, 1, out=fused), darker

    def camera(self, stack: ExposureStack) -> CameraResponse:
        """The response in use: as given, or estimated from ``stack``."""
        if isinstance(self._response, str):
            estimated = self._response == ESTIMATE
            return estimate_response(stack) if estimated else MODELS[self._response]()
        return self._response

    def aligned(self, pair: Pair) -> Judged:
        """The donor's light on the reference's pixels, and how far it contradicts them."""
        light = np.empty_like(pair.donor.light)
        doubt = np.empty(light.shape[:2], np.float32)

        def align(rows: slice) -> None:
            seen, inside = widened(rows, NEIGHBOURHOOD // 2)
            found = pair.judged(pair.fetch(pair.donor.light, seen), seen)
            if self._still:
                found = better(found, pair.judged(pair.donor.light[seen], seen))
            light[rows], doubt[rows] = (told[inside] for told in found)

        in_bands(len(light), align)
        return light, doubt

    def _mended(self, pair: Pair, lost: Mask) -> Judged:
        light, doubt = self.aligned(pair)
        if self._mend:
            mend(light, doubt, lost)
        return light, doubt


def _average(fused: Image, pairs: Sequence[Pair], noise: float) -> None:
    """Average what the reference kept with its neighbours' light."""
    reference = pairs[0].reference
    sights = [pair.donor.sight(ALL_ROWS, noise, reference.ev) for pair in pairs]

    def average(rows: slice) -> None:
        seen, inside = widened(rows, REACH)
        own = reference.sight(seen, noise, reference.ev)
        others = (
            sight.through(partial(pair.fetch, rows=seen))
            for sight, pair in zip(sights, pairs, strict=True)
        )
        fused[rows] = merge(own, others)[inside]

    in_bands(len(fused), average)


def _recolour(fused: Image, pair: Pair, doubt: Plane) -> None:
    """Where the donor contradicts the kept channels, go half way to the colours that it knows."""
    reference = pair.reference
    doubted = cv2.blur(doubt, (3, 3)) >= _DOUBT
    places = partly_lost(reference.white & doubted[..., None])
    if not places.size:
        return
    kept = looked_up(reference.codes.reshape(-1, 3)[places], reference.table)
    table = ColourTable(pair.donor.shown(0, 1), reference.ceiling)
    guess = table.guess(kept, reference.white.reshape(-1, 3)[places])
    pixels = fused.reshape(-1, 3)
    filled = pixels[places]
    pixels[places] = np.where(guess.told, (filled + guess.mean) / 2, filled)


def mend(light: Image, doubt: Plane, lost: Mask) -> None:
    """Replace what contradicts the reference by the mean of trusted pixels around, in place.

    From ever wider windows; at a quarter of the size, which blurs no more than they do.
    """
    wanted: Mask = lost[..., 0] | lost[..., 1] | lost[..., 2]
    doubted = wanted & (doubt >= _DISBELIEF)
    if not doubted.any():
        return
    trusted = (wanted & ~doubted).view(np.uint8)
    height, width = doubted.shape
    quarter = (max(1, width // 4), max(1, height // 4))
    shares = cv2.resize(trusted.astype(np.float32), quarter, interpolation=cv2.INTER_AREA)
    sums = cv2.resize(cv2.copyTo(light, trusted), quarter, interpolation=cv2.INTER_AREA)
    around = np.zeros_like(sums)
    todo = np.ones(shares.shape, bool)
    radius = 4
    while todo.any() and radius < 2 * max(quarter):
        window = (2 * radius + 1,) * 2
        share = cv2.blur(shares, window)
        found = todo & (share > _ENOUGH)
        around[found] = cv2.blur(sums, window)[found] / share[found][:, None]
        todo &= ~found
        radius *= 2
    # Where nothing at all is trusted, the doubted pixels are the best there is.
    mendable = doubted & (cv2.resize(todo.astype(np.uint8), (width, height)) == 0)
    copy_where(cv2.resize(around, (width, height)), mendable, light)
