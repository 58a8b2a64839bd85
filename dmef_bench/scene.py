"""What flows through dmef: pictures, triplets of frames, exposure stacks, scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from dmef_bench.errors import ImageContractError

Image = npt.NDArray[np.float32]
"""(H, W, 3), RGB, display-encoded, float32 in [0, 1]."""

Encoded = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""(H, W, 3), RGB, display-encoded, as stored: uint8 or uint16."""


def check_image(
    image: npt.NDArray[np.generic], *, name: str, size: tuple[int, int] | None = None
) -> Image:
    """Hand back ``image`` if it is a picture by dmef's contract, else say what is wrong.

    Parameters
    ----------
    image : ndarray
        Claimed to be float32, (H, W, 3), RGB, display-encoded, in [0, 1].
    name : str
        What to call the picture in the message.
    size : (height, width), optional
        The size it must have.

    Raises
    ------
    ImageContractError
        Another type, shape or size; NaN; a value outside [0, 1].

    Examples
    --------
    >>> check_image(np.zeros((2, 3, 3), np.float32), name="black").shape
    (2, 3, 3)
    """
    check_layout(image, name=name, dtypes=(np.float32,), size=size)
    lowest, highest = float(image.min()), float(image.max())
    # NaN makes either comparison false, so one test covers it.
    if not (lowest >= 0.0 and highest <= 1.0):
        if np.isnan(lowest) or np.isnan(highest):
            raise ImageContractError(f"{name} holds NaN; a picture has a value at every pixel.")
        raise ImageContractError(
            f"{name} reaches from {lowest:.6g} to {highest:.6g}; dmef images lie in [0, 1]: "
            "clip or rescale."
        )
    return cast(Image, image)


def check_layout(
    image: npt.NDArray[np.generic],
    *,
    name: str,
    dtypes: Sequence[type[np.generic]],
    size: tuple[int, int] | None = None,
) -> None:
    """Raise unless ``image`` is (H, W, 3) of one of ``dtypes`` and, if given, of ``size``."""
    if not isinstance(image, np.ndarray):
        raise ImageContractError(f"{name} is {type(image).__name__}; a picture is a numpy array.")
    if image.dtype not in [np.dtype(dtype) for dtype in dtypes]:
        raise ImageContractError(f"{name} is {image.dtype}; {_cast_advice(image.dtype, dtypes)}")
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ImageContractError(
            f"{name} has shape {image.shape}; dmef images are (height, width, 3), RGB, not empty."
        )
    if size is not None and image.shape[:2] != tuple(size):
        raise ImageContractError(
            f"{name} is {size_text(image.shape[:2])}; {size_text(size)} is expected here."
        )


def _cast_advice(dtype: np.dtype[np.generic], wanted: Sequence[type[np.generic]]) -> str:
    if np.float32 not in wanted:
        names = " or ".join(np.dtype(kind).name for kind in wanted)
        return f"{names} is expected here."
    if dtype == np.uint8:
        return "dmef images are float32 in [0, 1]: divide by 255 and cast."
    if dtype == np.uint16:
        return "dmef images are float32 in [0, 1]: divide by 65535 and cast."
    return "dmef images are float32 in [0, 1]: cast with .astype(numpy.float32)."


def size_text(size: Sequence[int]) -> str:
    """(height, width) as people read it: ``"3840x2160"``, width first.

    Examples
    --------
    >>> size_text((2160, 3840))
    '3840x2160'
    """
    height, width = size
    return f"{width}x{height}"


def to_float(picture: Encoded | Image) -> Image:
    """Stored codes as float32 in [0, 1], ``code / 255`` or ``code / 65535``; float32 as it is."""
    if picture.dtype == np.float32:
        return picture.astype(np.float32, copy=False)
    full = 255 if picture.dtype == np.uint8 else 65535
    return np.divide(picture, np.float32(full), dtype=np.float32)


def to_uint8(picture: Encoded | Image) -> npt.NDArray[np.uint8]:
    """Round a picture to 8-bit codes, half up: ``floor(v * 255 + 0.5)``.

    The rule of the metrics and of the data set's builder alike, so that
    ``to_uint8(to_float(codes)) == codes`` for all 256 codes. uint8 passes through untouched.
    """
    if picture.dtype == np.uint8:
        return picture.astype(np.uint8, copy=False)
    image = to_float(picture) if picture.dtype == np.uint16 else picture
    return np.floor(image * np.float32(255) + np.float32(0.5)).astype(np.uint8)


Array = TypeVar("Array", bound=npt.NDArray[Any])


def _frozen(array: Array) -> Array:
    """A read-only view: a method that writes into its input fails instead of cheating the next."""
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, eq=False)
class Triplet:
    """Three frames of one video, samples 1, 2, 3 in time order."""

    frames: tuple[Image, Image, Image]
    frame_times: tuple[Fraction, Fraction, Fraction]
    video: str


@dataclass(frozen=True, eq=False)
class ExposureStack:
    """Differently exposed pictures of one scene, darkest first.

    Parameters
    ----------
    encoded : tuple of ndarray, shape (H, W, 3), uint8 or uint16, or None
        As stored, darkest to brightest; None for float32 sources (see `from_images`).
    evs : tuple of float or None
        Exposure values in stops, strictly rising; None where nobody states them.
    reference : int
        Index of the exposure whose motion the fused picture must show.

    Raises
    ------
    ImageContractError
        Pictures of different sizes or types, or EVs that do not rise.

    Notes
    -----
    Arrays are handed out read-only: `encoded` and `images` are two views of one truth, and no
    method may change what the next one sees.
    """

    encoded: tuple[Encoded, ...] | None
    evs: tuple[float, ...] | None
    reference: int = 1

    def __post_init__(self) -> None:
        if self.encoded is not None:
            _check_alike(self.encoded, (np.uint8, np.uint16))
            frozen = tuple(_frozen(exposure) for exposure in self.encoded)
            object.__setattr__(self, "encoded", frozen)
            self._check_evs(len(frozen))

    def _check_evs(self, count: int) -> None:
        evs = self.evs
        rises = evs is None or all(a < b for a, b in pairwise(evs))
        if evs is not None and (len(evs) != count or not rises):
            raise ImageContractError(
                f"{count} images carry evs {evs}; "
                "give one EV per image, strictly rising from dark to bright."
            )
        if not 0 <= self.reference < count:
            raise ImageContractError(
                f"reference is {self.reference}, but the stack has {count} images, 0..{count - 1}."
            )

    @classmethod
    def from_images(
        cls, images: Sequence[Image], evs: tuple[float, ...] | None, reference: int = 1
    ) -> ExposureStack:
        """Stack of float32 pictures, a resized one above all; nothing is quantised."""
        _check_alike(images, (np.float32,))
        for index, image in enumerate(images):
            check_image(image, name=f"exposure {index}")
        stack = cls(encoded=None, evs=evs, reference=reference)
        stack._check_evs(len(images))
        # cached_property looks here first, so the pictures are simply already made.
        stack.__dict__["images"] = tuple(_frozen(image) for image in images)
        return stack

    @cached_property
    def images(self) -> tuple[Image, ...]:
        """The exposures as float32 in [0, 1], made when first asked for and kept."""
        if self.encoded is None:
            raise ImageContractError(
                "The stack holds no pictures; build it with ExposureStack.from_images."
            )
        return tuple(_frozen(to_float(exposure)) for exposure in self.encoded)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of every exposure."""
        first = self.images[0] if self.encoded is None else self.encoded[0]
        return first.shape[0], first.shape[1]

    def three(self) -> ExposureStack:
        """The darkest exposure, the one nearest the middle, and the brightest (`arrange`).

        By EVs, or where nobody states them by the logarithm of mean brightness; a stack of three
        is returned as it is.
        """
        pictures = self.images if self.encoded is None else self.encoded
        if len(pictures) <= 3:
            return self
        light = self.evs or [float(np.log2(picture.mean() + 1e-6)) for picture in pictures]
        chosen, reference = arrange(light, takes=3)
        evs = None if self.evs is None else tuple(self.evs[index] for index in chosen)
        if self.encoded is None:
            return ExposureStack.from_images([self.images[i] for i in chosen], evs, reference)
        return ExposureStack(tuple(self.encoded[i] for i in chosen), evs, reference)

    @property
    def exposure_ratios(self) -> tuple[float, ...] | None:
        """k = 2**EV of each exposure, None where EVs are unknown."""
        return None if self.evs is None else tuple(2.0**ev for ev in self.evs)


def arrange(light: Sequence[float], takes: int | None = None) -> tuple[tuple[int, ...], int]:
    """Order exposures by their light, and find the reference.

    The reference lies nearest the middle between the darkest and the brightest, neither of which
    it is; the darker one of two that are equally near, which clips less. Of two exposures it is
    the brighter one, whose highlights the other holds. A method that takes three gets the darkest,
    the reference and the brightest.

    Parameters
    ----------
    light : sequence of float
        In stops; its order is that of the files.
    takes : int or None
        3, or None for all.

    Returns
    -------
    order : tuple of int
        Indices into ``light``, darkest first.
    reference : int
        Index into ``order``.

    Examples
    --------
    >>> arrange([2.0, -3.0, 0.0, -1.0])
    ((1, 3, 2, 0), 1)
    >>> arrange([2.0, -3.0, 0.0, -1.0], takes=3)
    ((1, 3, 0), 1)
    """
    order = sorted(range(len(light)), key=lambda index: light[index])
    middle = (light[order[0]] + light[order[-1]]) / 2
    inner = range(1, max(len(order) - 1, 2))
    reference = min(inner, key=lambda place: (abs(light[order[place]] - middle), place))
    if takes == 3:
        return (order[0], order[reference], order[-1]), 1
    return tuple(order), reference


def _check_alike(
    images: Sequence[npt.NDArray[np.generic]], dtypes: Sequence[type[np.generic]]
) -> None:
    if not images:
        raise ImageContractError("An exposure stack needs at least one picture.")
    for index, image in enumerate(images):
        check_layout(image, name=f"exposure {index}", dtypes=dtypes, size=images[0].shape[:2])
        if image.dtype != images[0].dtype:
            raise ImageContractError(
                f"exposure {index} is {image.dtype}, exposure 0 is {images[0].dtype}; "
                "the exposures of a stack share one type."
            )


@dataclass(frozen=True, eq=False)
class Scene:
    """One task: an exposure stack and, where known, the picture it should become."""

    scene_id: str
    stack: ExposureStack
    ground_truth: Encoded | Image | None
    digest: str = ""
    """SHA-256 over the decoded pixels of stack and truth; empty where nobody computed it."""
    group: str | None = None
    """The clip or place that it was cut from, with others like it; None where nobody names it."""
