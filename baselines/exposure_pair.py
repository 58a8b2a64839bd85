"""An exposure as seen at EV 0, and a pair of them: where the one shows what the other does."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from baselines.noise_merge import Sight, light_variance
from dmef_bench.exposure.camera_response import CameraResponse
from dmef_bench.scene import Encoded, ExposureStack, Image

Mask = npt.NDArray[np.bool_]
Grey = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float32]
Places = npt.NDArray[np.float32]
"""(H, W, 2): columns and rows."""
Judged = tuple[Image, Plane]
"""A picture, and how far it contradicts the reference at each pixel."""
Table = npt.NDArray[np.float32]
"""One number for each code."""

HALF_CODE = 0.5 / 255
"""Light below which an 8-bit picture is black."""
NEIGHBOURHOOD = 7
"""Pixels a side of the window in which two pictures are compared."""
ALL_ROWS = slice(None)
_FINE_FLOW_LONG_SIDE = 2048
_LEAST_WHITE = 250
"""8-bit code below which nothing is taken for clipped."""
_SHARE = 12
"""A code that holds less than this part of all above it is no spread of theirs."""
_CROWDED, _HANDFUL = 3, 30
"""How many times a usual bright code, and how many values more, such a code holds."""


@dataclass(frozen=True, eq=False)
class Level:
    """One exposure, to be seen as at EV 0.

    Parameters
    ----------
    codes : ndarray, shape (H, W, 3), uint8 or uint16
        As stored.
    ev : float
        How it was exposed.
    camera : CameraResponse
        The camera.
    """

    codes: Encoded
    ev: float
    camera: CameraResponse

    @property
    def full(self) -> int:
        """The largest code."""
        return int(np.iinfo(self.codes.dtype).max)

    @cached_property
    def table(self) -> Table:
        """The light of each code at EV 0: the brightness transform g(P, 2^-EV)."""
        pixels = np.arange(self.full + 1) / self.full
        return self.camera.transform(pixels, 2.0**-self.ev).astype(np.float32)

    @cached_property
    def light(self) -> Image:
        """Display-encoded as at EV 0; above 1 where the exposure held more than the truth can."""
        return looked_up(self.codes, self.table)

    @cached_property
    def lowest_white(self) -> int:
        """The lowest code that may be clipped.

        The largest one, as 8 bits show it. In a photograph that was coded with loss, which spreads
        what was clipped over its neighbours, those below it too: as long as a code holds a good
        share of all above it, and far more than bright codes that cannot be clipped.
        """
        half = self._half_code
        few = self.codes[:: max(1, len(self.codes) // 1024)]
        counts = np.bincount(
            (few.ravel().astype(np.uint32) + half) // (2 * half + 1), minlength=256
        )
        lowest = 255
        while lowest > _LEAST_WHITE:
            below = counts[lowest - 1]
            spread = below * _SHARE >= counts[lowest:].sum()
            crowded = below > _CROWDED * np.median(counts[lowest - 13 : lowest - 5]) + _HANDFUL
            if not (spread and crowded):
                break
            lowest -= 1
        return lowest * (2 * half + 1) - half

    @cached_property
    def white(self) -> Mask:
        """Where a channel is at its maximum: all that is known is that it is no less."""
        return self.codes >= self.lowest_white

    @cached_property
    def black(self) -> Mask:
        """Where a channel is at zero: all that is known is that it is no more."""
        return self.codes <= self._half_code

    @property
    def _half_code(self) -> int:
        # Half an 8-bit code: a picture of more bits is clipped where its 8-bit rounding would be.
        return self.full // 255 // 2

    @property
    def ceiling(self) -> float:
        """The light of what is white, at least."""
        # As 8 bits show it: of 65535 codes the last 128 are one.
        return float(self.table[min(self.lowest_white + self._half_code, self.full)])

    @cached_property
    def floor(self) -> float:
        """The light of what is black, at most."""
        return float(self.camera.transform(HALF_CODE, 2.0**-self.ev))

    def shown(self, floor: float, ceiling: float) -> Image:
        """Its light, clipped: what another exposure of these bounds can show of it."""
        return looked_up(self.codes, np.clip(self.table, floor, ceiling))

    def grey(self, floor: float, ceiling: float) -> Grey:
        """What both of two exposures can show, as 8-bit grey for the optical flow."""
        shown = cv2.cvtColor(self.shown(floor, ceiling), cv2.COLOR_RGB2GRAY)
        gain = 255 / max(ceiling - floor, 1e-6)
        return cv2.convertScaleAbs(shown, alpha=gain, beta=-floor * gain)

    def sight(self, rows: slice, noise: float, own_ev: float) -> Sight:
        """What some rows tell, for averaging with an exposure of ``own_ev``."""
        codes, levels = self.codes[rows], np.arange(self.full + 1)
        clipped = (levels <= self._half_code) | (levels >= self.lowest_white)
        return Sight(
            light=looked_up(codes, self.table),
            variance=looked_up(codes, light_variance(self.camera, self.full, 2.0**self.ev, noise)),
            lost=looked_up(codes, clipped.astype(np.float32)),
            weight=2.0 ** (self.ev - own_ev),
        )


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
    places: Places = field(init=False)
    """Where each of the reference's pixels lies in the donor, by optical flow."""

    def __post_init__(self) -> None:
        # Now, and not when first asked for: threads share a pair.
        places = _flow(self.reference.grey(*self.bounds), self.donor.grey(*self.bounds))
        height, width = places.shape[:2]
        places[..., 0] += np.arange(width, dtype=np.float32)
        places[..., 1] += np.arange(height, dtype=np.float32)[:, None]
        object.__setattr__(self, "places", places)

    @property
    def bounds(self) -> tuple[float, float]:
        """Between which values both can show the scene."""
        return (
            max(self.reference.floor, self.donor.floor),
            min(self.reference.ceiling, self.donor.ceiling),
        )

    def fetch(self, picture: Image, rows: slice = ALL_ROWS) -> Image:
        """Bring a picture of the donor onto the reference's pixels, or onto some rows of them."""
        places, border = self.places[rows], cv2.BORDER_REPLICATE
        return cv2.remap(picture, places, None, cv2.INTER_LINEAR, borderMode=border)

    def disagreement(self, light: Image, rows: slice = ALL_ROWS) -> Plane:
        """How far a picture contradicts what the reference still tells: the worst channel."""
        told = looked_up(self.reference.codes[rows], np.clip(self.reference.table, *self.bounds))
        red, green, blue = cv2.split(cv2.absdiff(between(light, *self.bounds), told))
        return cv2.max(cv2.max(red, green), blue)

    def judged(self, light: Image, rows: slice = ALL_ROWS) -> Judged:
        """A picture together with its disagreement."""
        return light, self.disagreement(light, rows)


def at_ev_zero(stack: ExposureStack, index: int, camera: CameraResponse) -> Level:
    """An exposure of a stack, to be seen as at EV 0."""
    return Level(codes(stack, index), stack.evs[index] if stack.evs else 0.0, camera)


def codes(stack: ExposureStack, index: int) -> Encoded:
    """An exposure as stored; float32 pictures as 16-bit codes."""
    if stack.encoded is not None:
        return stack.encoded[index]
    scaled = stack.images[index] * np.float32(65535) + np.float32(0.5)
    return np.floor(scaled).astype(np.uint16)


def looked_up(codes: Encoded, table: Table) -> Image:
    """What a table says of each code."""
    return cv2.LUT(codes, table) if codes.dtype == np.uint8 else table[codes]


def between(picture: Image, floor: float, ceiling: float) -> Image:
    """Clip; numpy's own takes ten times as long on a 4K picture.

    As one channel: to OpenCV a number beside three channels is (number, 0, 0).
    """
    flat = picture.reshape(len(picture), -1)
    return cv2.max(cv2.min(flat, ceiling), floor).reshape(picture.shape)


def _flow(reference: Grey, donor: Grey) -> Places:
    """How far each reference pixel has moved in the donor: (H, W, 2) of x and y shifts."""
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    # Full resolution is worth 0.4 dB; at 4K half of it shows as much of the scene, in a quarter
    # of the time.
    dis.setFinestScale(0 if max(reference.shape) <= _FINE_FLOW_LONG_SIDE else 1)
    smallest = 16  # pixels a side, below which DIS has no pyramid to stand on
    if min(reference.shape) < smallest:
        return np.zeros((*reference.shape, 2), np.float32)
    return dis.calc(reference, donor, None)


def better(first: Judged, second: Judged) -> Judged:
    """Pixel by pixel the picture that agrees better with the reference around that pixel."""
    window = (NEIGHBOURHOOD, NEIGHBOURHOOD)
    # Half a code of advantage for the first: where both agree, moved pixels are the sharper ones.
    margin = np.float32(0.5 / 255)
    costs = [cv2.blur(disagreement, window) for _, disagreement in (first, second)]
    wins = costs[1] + margin < costs[0]
    light, disagreement = first[0].copy(), first[1].copy()
    copy_where(second[0], wins, light)
    copy_where(second[1], wins, disagreement)
    return light, disagreement


def copy_where(source: npt.NDArray[np.float32], where: Mask, into: npt.NDArray[np.float32]) -> None:
    """np.copyto; OpenCV's takes a sixth of the time."""
    cv2.copyTo(source, where.view(np.uint8), into)
