"""Response-fill: undo the camera response, and take what the reference lost from another frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

import cv2
import numpy as np
import numpy.typing as npt

from baselines.colour_table import complete_colours
from baselines.noise_merge import Sight, light_variance, merge, photon_noise
from baselines.response_estimate import estimate_response
from dmef_bench.errors import UnavailableError, UsageError
from dmef_bench.exposure.camera_response import MODELS, CameraResponse
from dmef_bench.scene import Encoded, ExposureStack, Image

Mask = npt.NDArray[np.bool_]
Grey = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float32]
Flow = npt.NDArray[np.float32]
"""(H, W, 2): shifts along x and y."""

ESTIMATE = "estimate"
_HALF_CODE = 0.5 / 255
_NEIGHBOURHOOD = 7
_ENOUGH = 0.02
"""Least share of trusted pixels in a window whose mean is used."""
_DISBELIEF = 0.06
"""Difference of two aligned frames, of full scale, that noise and rounding do not explain."""
_DOUBT = 0.02
"""The same, from which colours that the donor knows are averaged with what it has there."""
_FINE_FLOW_LONG_SIDE = 2048
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

    What ``denoise`` is worth, mean PSNR of fourteen triples from seven clips (at most 800 px, five
    frames apart, known Sigmoid response), in dB:

    ==================  =======  =======
    exposures, noise    without  with
    ==================  =======  =======
    -1, +1, +3, none    43.14    43.14
    -1, +1, +3, mild    39.90    40.37
    -1, +1, +3, strong  35.88    36.95
    -3, -1, +1, mild    38.53    41.50
    -3, -1, +1, strong  31.37    35.51
    ==================  =======  =======

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
        if stack.evs is None:
            raise UnavailableError(
                "response-fill needs the exposures' EVs, and this stack states none."
            )
        camera, own = self.camera(stack), stack.reference
        reference = _at_ev_zero(stack, own, camera)
        pair = cache(lambda index: Pair(reference, _at_ev_zero(stack, index, camera)))
        fused = self._kept(stack, camera, reference, pair)
        if own > 0 and reference.white.any():
            filled, doubt = self._aligned(pair(own - 1), reference.white)
            np.copyto(
                fused, np.maximum(filled, np.float32(reference.ceiling)), where=reference.white
            )
            if self._colour:
                _recolour(fused, pair(own - 1), doubt)
        # A floor that rounds to black leaves nothing to be filled.
        if own + 1 < len(stack.evs) and reference.floor >= _HALF_CODE and reference.black.any():
            filled, _ = self._aligned(pair(own + 1), reference.black)
            np.copyto(fused, np.minimum(filled, np.float32(reference.floor)), where=reference.black)
        return np.clip(fused, 0, 1, out=fused)

    def camera(self, stack: ExposureStack) -> CameraResponse:
        """The response in use: as given, or estimated from ``stack``."""
        if isinstance(self._response, str):
            estimated = self._response == ESTIMATE
            return estimate_response(stack) if estimated else MODELS[self._response]()
        return self._response

    def _kept(
        self,
        stack: ExposureStack,
        camera: CameraResponse,
        reference: Level,
        pair: Callable[[int], Pair],
    ) -> Image:
        """The reference's own light; averaged with its neighbours' where noise is seen."""
        evs, own = stack.evs or (), stack.reference
        noise = _noise(stack, camera) if self._denoise else 0.0
        if noise < _WORTH_MERGING:
            return reference.light.copy()

        def sight(index: int, level: Level, fetch: Callable[[Image], Image]) -> Sight:
            codes, full = _codes(stack, index)
            variance = light_variance(camera, full, 2.0 ** evs[index], noise)
            return Sight(
                light=fetch(level.light),
                variance=fetch(_looked_up(codes, variance)),
                lost=fetch((level.white | level.black).astype(np.float32)),
                weight=2.0 ** (evs[index] - evs[own]),
            )

        neighbours = (index for index in (own - 1, own + 1) if 0 <= index < len(evs))
        others = (sight(index, pair(index).donor, pair(index).fetch) for index in neighbours)
        return merge(sight(own, reference, lambda picture: picture), others)

    def _aligned(self, pair: Pair, lost: Mask) -> tuple[Image, Plane]:
        """The donor's light on the reference's pixels, and how far it had to be doubted."""
        light = pair.fetch(pair.donor.light)
        if self._still:
            light = _better(light, pair.donor.light, pair.disagreement)
        doubt = pair.disagreement(light)
        if self._mend:
            wanted: Mask = lost[..., 0] | lost[..., 1] | lost[..., 2]
            _mend(light, wanted & (doubt >= _DISBELIEF), wanted)
        return light, doubt


@dataclass(frozen=True, eq=False)
class Level:
    """One exposure at EV 0.

    Parameters
    ----------
    light : ndarray, shape (H, W, 3), float32
        Display-encoded as at EV 0; above 1 where the exposure held more than the truth can.
    white, black : ndarray of bool, shape (H, W, 3)
        Where a channel is at its maximum, and at zero: all that is known is a bound.
    ceiling, floor : float
        Those bounds, at EV 0.
    """

    light: Image
    white: Mask
    black: Mask
    ceiling: float
    floor: float

    def grey(self, floor: float, ceiling: float) -> Grey:
        """What both of two exposures can show, as 8-bit grey for the optical flow."""
        shown = cv2.cvtColor(_between(self.light, floor, ceiling), cv2.COLOR_RGB2GRAY)
        gain = 255 / max(ceiling - floor, 1e-6)
        return cv2.convertScaleAbs(shown, alpha=gain, beta=-floor * gain)


@dataclass(frozen=True, eq=False)
class Pair:
    """The reference and a neighbouring exposure, both at EV 0, and the way from one to the other.

    Parameters
    ----------
    reference, donor : Level
        Of one size.
    """

    reference: Level
    donor: Level

    @property
    def bounds(self) -> tuple[float, float]:
        """Between which values both can show the scene."""
        return (
            max(self.reference.floor, self.donor.floor),
            min(self.reference.ceiling, self.donor.ceiling),
        )

    @cached_property
    def flow(self) -> Flow:
        """Where each of the reference's pixels lies in the donor."""
        return _flow(self.reference.grey(*self.bounds), self.donor.grey(*self.bounds))

    @cached_property
    def told(self) -> Image:
        """What the reference still tells, of what the donor can show."""
        return _between(self.reference.light, *self.bounds)

    def fetch(self, picture: Image) -> Image:
        """Bring a picture of the donor onto the reference's pixels."""
        return _warp(picture, self.flow)

    def disagreement(self, light: Image) -> Plane:
        """How far a picture contradicts what the reference still tells: the worst channel."""
        red, green, blue = cv2.split(cv2.absdiff(_between(light, *self.bounds), self.told))
        return cv2.max(cv2.max(red, green), blue)


def _noise(stack: ExposureStack, camera: CameraResponse) -> float:
    """Photon noise of the exposure that shows least; texture can only add to it."""
    return min(photon_noise(_codes(stack, index)[0], camera) for index in range(len(stack.images)))


def _between(picture: Image, floor: float, ceiling: float) -> Image:
    """Clip; numpy's own takes ten times as long on a 4K picture.

    As one channel: to OpenCV a number beside three channels is (number, 0, 0).
    """
    flat = picture.reshape(len(picture), -1)
    return cv2.max(cv2.min(flat, ceiling), floor).reshape(picture.shape)


def _at_ev_zero(stack: ExposureStack, index: int, camera: CameraResponse) -> Level:
    """Undo an exposure by the brightness transform g(P, 2^-EV), as a table over its codes."""
    codes, full = _codes(stack, index)
    ev = stack.evs[index] if stack.evs else 0.0
    table = camera.transform(np.arange(full + 1) / full, 2.0**-ev).astype(np.float32)
    # Half an 8-bit code: a picture of more bits is clipped where its 8-bit rounding would be.
    half = full // 255 // 2
    return Level(
        light=_looked_up(codes, table),
        white=codes >= full - half,
        black=codes <= half,
        ceiling=float(table[full]),
        floor=float(camera.transform(_HALF_CODE, 2.0**-ev)),
    )


def _looked_up(codes: Encoded, table: npt.NDArray[np.float32]) -> Image:
    return cv2.LUT(codes, table) if codes.dtype == np.uint8 else table[codes]


def _codes(stack: ExposureStack, index: int) -> tuple[Encoded, int]:
    """An exposure as stored, and its largest code; float32 pictures as 16-bit codes."""
    if stack.encoded is not None:
        codes = stack.encoded[index]
        return codes, int(np.iinfo(codes.dtype).max)
    return np.floor(stack.images[index] * np.float32(65535) + np.float32(0.5)).astype(
        np.uint16
    ), 65535


def _flow(reference: Grey, donor: Grey) -> Flow:
    """Where each reference pixel lies in the donor: (H, W, 2) of x and y shifts."""
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    # Full resolution is worth 0.4 dB; at 4K half of it shows as much of the scene, in a quarter
    # of the time.
    dis.setFinestScale(0 if max(reference.shape) <= _FINE_FLOW_LONG_SIDE else 1)
    smallest = 16  # pixels a side, below which DIS has no pyramid to stand on
    if min(reference.shape) < smallest:
        return np.zeros((*reference.shape, 2), np.float32)
    return dis.calc(reference, donor, None)


def _warp(picture: Image, flow: Flow) -> Image:
    """Fetch every pixel from where the flow says it lies, bilinear, borders replicated."""
    height, width = flow.shape[:2]
    columns = flow[..., 0] + np.arange(width, dtype=np.float32)
    rows = flow[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    return cv2.remap(picture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _better(first: Image, second: Image, disagreement: Callable[[Image], Plane]) -> Image:
    """Pixel by pixel the picture that agrees better with the reference around that pixel."""
    window = (_NEIGHBOURHOOD, _NEIGHBOURHOOD)
    # Half a code of advantage for the first: where both agree, moved pixels are the sharper ones.
    margin = np.float32(0.5 / 255)
    costs = [cv2.blur(disagreement(picture), window) for picture in (first, second)]
    return np.where((costs[1] + margin < costs[0])[..., None], second, first)


def _recolour(fused: Image, pair: Pair, doubt: Plane) -> None:
    """Where the donor contradicts the kept channels, go half way to the colours that it knows."""
    reference = pair.reference
    donor = np.clip(pair.donor.light, 0, 1)
    guessed, told = complete_colours(reference.light, reference.white, donor, reference.ceiling)
    told &= (cv2.blur(doubt, (3, 3)) >= _DOUBT)[..., None]
    np.copyto(fused, (fused + guessed) / 2, where=told)


def _mend(light: Image, doubted: Mask, wanted: Mask) -> None:
    """Replace doubted pixels by the mean of trusted ones around, from ever wider windows.

    At a quarter of the size, which blurs no more than the windows do.
    """
    trusted = (wanted & ~doubted).astype(np.float32)
    height, width = doubted.shape
    quarter = (max(1, width // 4), max(1, height // 4))
    shares = cv2.resize(trusted, quarter, interpolation=cv2.INTER_AREA)
    sums = cv2.resize(light * trusted[..., None], quarter, interpolation=cv2.INTER_AREA)
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
    np.copyto(light, cv2.resize(around, (width, height)), where=mendable[..., None])
