"""Exposures made from a frame: look-up tables, `expose`, presets and the canonical triple."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from dmef_bench.errors import ImageContractError, UsageError
from dmef_bench.exposure.camera_response import CameraResponse, Float64
from dmef_bench.exposure.noise import LEVELS, STRIP_ROWS, SeededNoise, SensorNoise
from dmef_bench.scene import Encoded, ExposureStack, Triplet, check_image, to_uint8

Picture = TypeVar("Picture", bound=npt.NDArray[Any])
"""A uint8, uint16 or float32 picture; what goes in comes out."""

EV_LIMIT = 6.0
"""Stops either way that a data set may be built with."""


@dataclass(frozen=True)
class Preset:
    """Named exposures of the canonical triple.

    Parameters
    ----------
    evs : tuple of float
        Stops of low, medium and high, relative to the ground truth.
    note : str
        What the preset asks of a method.
    noise : SensorNoise or None
        The noise that belongs to it.
    """

    evs: tuple[float, float, float]
    note: str
    noise: SensorNoise | None = None


PRESETS: dict[str, Preset] = {
    "clipped-reference": Preset(
        evs=(-1.0, 1.0, 3.0),
        note="the reference clips highlights that only the misaligned low still holds",
    ),
    "noisy-reference": Preset(
        evs=(-3.0, -1.0, 1.0),
        note="the reference is dark and noisy; the misaligned high is cleaner but clips",
        noise=LEVELS["mild"],
    ),
    "community-bracket": Preset(
        evs=(-2.0, 0.0, 2.0),
        note="the usual bracket; its medium is the ground truth, so nothing is left to fuse",
    ),
}
"""Exposure presets by name. Exposures chosen freely pass through `check_evs` alone."""

DEFAULT_PRESET = "clipped-reference"


def find_preset(name: str = DEFAULT_PRESET, *, allow_identity: bool = False) -> Preset:
    """Look a preset up, unless it gives the answer away.

    Parameters
    ----------
    name : str
        A key of `PRESETS`.
    allow_identity : bool
        Accept a medium exposure that equals the ground truth.

    Raises
    ------
    UsageError
        No such preset; or its medium is the ground truth and ``allow_identity`` is False.

    Examples
    --------
    >>> find_preset().evs
    (-1.0, 1.0, 3.0)
    """
    if name not in PRESETS:
        raise UsageError(f"No exposure preset is called {name!r}; there are {', '.join(PRESETS)}.")
    preset = PRESETS[name]
    check_evs(preset.evs, allow_identity=allow_identity)
    return preset


def check_evs(evs: Sequence[float], *, allow_identity: bool = False) -> tuple[float, float, float]:
    """Hand back low, medium and high EV if a data set may be built with them.

    Parameters
    ----------
    evs : sequence of 3 float
        Stops relative to the ground truth.
    allow_identity : bool
        Accept EV 0 for the medium.

    Raises
    ------
    UsageError
        Not three, not strictly increasing, beyond six stops, or EV 0 for the medium.
    """
    stated = ",".join(f"{ev:g}" for ev in evs)
    if len(evs) != 3 or not evs[0] < evs[1] < evs[2]:
        raise UsageError(f"EV {stated}: give low, medium and high, strictly increasing.")
    if not all(abs(ev) <= EV_LIMIT for ev in evs):
        raise UsageError(
            f"EV {stated}: beyond {EV_LIMIT:g} stops an 8-bit frame turns black or white; "
            f"choose within -{EV_LIMIT:g}..{EV_LIMIT:g}."
        )
    if evs[1] == 0 and not allow_identity:
        default = ",".join(f"{ev:g}" for ev in PRESETS[DEFAULT_PRESET].evs)
        raise UsageError(
            "EV 0 for the medium exposure makes it equal to the ground truth: returning it would "
            f"score infinite PSNR. Choose another EV (the default is {default}), or pass "
            "--allow-identity to build it anyway."
        )
    return float(evs[0]), float(evs[1]), float(evs[2])


def exposure_lut(crf: CameraResponse, k: float, bits: int = 8) -> Encoded:
    """Tabulate the brightness transform: ``lut[i] = round(clip(g(i / full, k), 0, 1) * full)``.

    A global k and a pointwise g make an exposure a table. It is computed in float64 and quantised
    once, half up (``floor(v + 0.5)``), so that k = 1 changes nothing.

    Parameters
    ----------
    crf : CameraResponse
        The camera.
    k : float
        Exposure ratio 2**EV.
    bits : int
        Depth of the codes, 1 to 16; ``full`` is 2**bits - 1.

    Returns
    -------
    ndarray, shape (2**bits,), uint8 up to 8 bits, else uint16

    Raises
    ------
    UsageError
        A depth outside 1 to 16, or a k that ``crf`` refuses.

    Examples
    --------
    >>> from dmef_bench.exposure.camera_response import Sigmoid
    >>> exposure_lut(Sigmoid(), k=2)[[0, 64, 128, 192, 255]].tolist()
    [0, 105, 188, 255, 255]
    """
    if not 1 <= bits <= 16:
        raise UsageError(f"bits is {bits}; codes have 1 to 16 bits.")
    full = 2**bits - 1
    exposed = crf.transform(np.arange(full + 1) / full, k)
    return _encode(exposed, full, np.dtype(np.uint8 if bits <= 8 else np.uint16))


def expose(
    image: Picture, ev: float, crf: CameraResponse, noise: SeededNoise | None = None
) -> Picture:
    """Take the picture again with ``ev`` stops more light: clip(g(P, 2**EV)).

    Codes go through a table, float32 through the transform in float64; after rounding to codes
    both are the same picture. With noise the exposure itself is undone, disturbed and taken
    again: E = f⁻¹(P), E' = max(kE + ε, 0), P' = clip(f(E')).

    Parameters
    ----------
    image : ndarray, uint8, uint16, or float32 in [0, 1]
        Display-encoded; any shape, a picture being (H, W, 3).
    ev : float
        Stops; k = 2**ev.
    crf : CameraResponse
        The camera.
    noise : SeededNoise, optional
        Sensor noise, drawn anew from its key at every call. Never for a ground truth.

    Returns
    -------
    ndarray
        Of the shape and type of ``image``, clipped to its range.

    Raises
    ------
    ImageContractError
        Another type, no pixel, NaN, or float32 outside [0, 1].
    UsageError
        An EV for which 2**EV is not finite and above 0.

    Examples
    --------
    >>> from dmef_bench.exposure.camera_response import Beta
    >>> grey = np.full((1, 1, 3), 100, np.uint8)
    >>> expose(grey, 1.0, Beta()).tolist()
    [[[174, 174, 174]]]
    """
    k = _exposure_ratio(ev)
    _check_pixels(image)
    if noise is not None:
        return _expose_noisy(image, k, crf, noise)
    if image.dtype == np.float32:
        exposed = np.empty_like(image)
        for rows in _strips(len(image)):
            exposed[rows] = np.clip(crf.transform(image[rows], k), 0, 1)
        return exposed
    return apply_curve(image, exposure_lut(crf, k, bits=8 * image.itemsize))


def apply_curve(image: Picture, curve: Encoded) -> Picture:
    """Replace every code by its entry in a table.

    Parameters
    ----------
    image : ndarray, uint8 or uint16
        Codes, any shape.
    curve : ndarray, shape (256,) or (65536,), dtype of ``image``
        One entry a code, shared by the channels.

    Returns
    -------
    ndarray
        Of the shape and type of ``image``.

    Raises
    ------
    ImageContractError
        A curve of another type, or with too few or too many entries.
    """
    if image.dtype != curve.dtype or curve.shape != (1 << 8 * image.itemsize,):
        raise ImageContractError(
            f"a curve of {curve.shape} {curve.dtype} does not fit a picture of {image.dtype}; "
            "give one entry per code, of the picture's type."
        )
    if image.dtype == np.uint8:
        # A quarter of the time of NumPy's take, a ninth of its memory (benchmarks/expose_4k.py).
        return cv2.LUT(image.reshape(len(image), -1), curve).reshape(image.shape)
    looked_up = np.empty_like(image)
    for strip in _strips(len(image)):
        looked_up[strip] = curve[image[strip]]
    return looked_up


def synthesize_stack(
    triplet: Triplet, crf: CameraResponse, evs: Sequence[float] = (-1.0, 1.0, 3.0)
) -> ExposureStack:
    """Make the canonical triple: low of sample 1, medium of sample 2, high of sample 3.

    The frames are rounded to 8-bit codes first and exposed through the table, as the builder does
    with decoded video: the stack is byte for byte the one it would store.

    Parameters
    ----------
    triplet : Triplet
        Three frames, float32 in [0, 1].
    crf : CameraResponse
        The camera.
    evs : sequence of 3 float
        Stops of low, medium and high. EV 0 for the medium makes it the ground truth; that is
        refused where a data set is built (`check_evs`), not here.

    Returns
    -------
    ExposureStack
        uint8, the medium its reference.

    Raises
    ------
    ImageContractError
        A frame that breaks the contract, or frames of different sizes.
    UsageError
        Not three EVs, not strictly increasing, or beyond six stops.
    """
    stops = check_evs(evs, allow_identity=True)
    exposures = tuple(
        expose(to_uint8(check_image(frame, name=f"sample {number}")), ev, crf)
        for number, (frame, ev) in enumerate(zip(triplet.frames, stops, strict=True), start=1)
    )
    return ExposureStack(encoded=exposures, evs=stops, reference=1)


def _expose_noisy(image: Picture, k: float, crf: CameraResponse, noise: SeededNoise) -> Picture:
    exposed = np.empty_like(image)
    generator = noise.generator()
    coded = image.dtype != np.float32
    full = np.iinfo(image.dtype).max if coded else 1
    light = k * crf.inverse(np.arange(full + 1) / full)
    for rows in _strips(len(image)):
        irradiance = light[image[rows]] if coded else k * crf.inverse(image[rows])
        pixels = crf.response(noise.add(irradiance, generator))
        exposed[rows] = _encode(pixels, full, image.dtype) if coded else np.clip(pixels, 0, 1)
    return exposed


def _encode(pixels: Float64, full: int, dtype: np.dtype[Any]) -> Any:
    """Codes of unclipped pixels, rounded half up; never banker's rounding."""
    return np.floor(np.clip(pixels, 0, 1) * full + 0.5).astype(dtype)


def _strips(rows: int) -> Iterator[slice]:
    """Slices of `STRIP_ROWS` rows: float64 temporaries of a 4K picture would take 200 MB each."""
    return (slice(top, top + STRIP_ROWS) for top in range(0, rows, STRIP_ROWS))


def _exposure_ratio(ev: float) -> float:
    with np.errstate(over="ignore", under="ignore"):
        k = float(np.exp2(np.float64(ev)))
    if not 0 < k < math.inf:
        raise UsageError(f"EV is {ev}; give stops for which 2**EV is finite and above 0.")
    return k


def _check_pixels(image: npt.NDArray[Any]) -> None:
    if image.dtype not in (np.uint8, np.uint16, np.float32) or 0 in (image.ndim, image.size):
        raise ImageContractError(
            f"image is {image.dtype} of shape {image.shape}; "
            "an exposure is made from uint8, uint16, or float32 in [0, 1], not empty."
        )
    if image.dtype == np.float32 and not (image.min() >= 0 and image.max() <= 1):
        raise ImageContractError(
            f"image reaches from {image.min():.6g} to {image.max():.6g}; "
            "float32 images lie in [0, 1]: clip or rescale."
        )
