"""A bracket of picture files: their order, the stops between them, and whose motion is kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import mode

import cv2
import numpy as np

from dmef_bench.errors import ImageFileError, UsageError
from dmef_bench.harness.bands import PictureRows, Scratch
from dmef_bench.photo.exposure_tags import stops_between
from dmef_bench.photo.header import Header, read_header
from dmef_bench.photo.orientation import turned_size
from dmef_bench.photo.pixels import read_pixels
from dmef_bench.scene import Encoded, ExposureStack, arrange, size_text

MOST = 9
"""Exposures of one bracket."""

STATED, EXIF, BRIGHTNESS = "the EVs given", "EXIF", "mean brightness"
"""What an order can be taken from."""

_SAME_STOPS = 0.01
_BLACK = 1e-6
_BAND_ROWS = 512


@dataclass(frozen=True)
class Bracket:
    """Picture files of one scene, whose pixels are not read yet.

    Parameters
    ----------
    headers : tuple of Header
        In the order in which they were given.
    orientations : tuple of int
        How each is turned.
    stops : tuple of float or None
        Light of each, where somebody states it; None where only the pixels tell.
    rule : str
        What the order is taken from: `STATED`, `EXIF` or `BRIGHTNESS`.
    remarks : tuple of str
        What a person should know.
    """

    headers: tuple[Header, ...]
    orientations: tuple[int, ...]
    stops: tuple[float, ...] | None
    rule: str
    remarks: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of every exposure as seen."""
        return turned_size(self.headers[0].coded_size, self.orientations[0])

    @property
    def bits(self) -> int:
        """16 if any exposure has them."""
        return max(header.bits for header in self.headers)

    def read(self, takes: int | None = None, scratch: Scratch | None = None) -> Exposures:
        """Decode the pictures, and put them in order.

        Parameters
        ----------
        takes : int or None
            How many exposures the method wants; None for all there are.
        scratch : Scratch, optional
            Where the pixels go instead of into memory.

        Raises
        ------
        ImageFileError
            A file that cannot be decoded.
        UsageError
            Fewer exposures than the method wants, or more and it is not three that it wants.
        """
        count = len(self.headers)
        if takes is not None and count != takes and (count < takes or takes != 3):
            raise UsageError(
                f"the method fuses {takes} exposures, and there are {count}; give it as many, or "
                "choose a method that takes any number, such as mertens or gdc."
            )
        pictures = [
            read_pixels(header, orientation=turn)
            if scratch is None
            else read_pixels(header, orientation=turn, empty=scratch.empty, each=scratch.release)
            for header, turn in zip(self.headers, self.orientations, strict=True)
        ]
        light = self.stops or [_brightness(picture, scratch) for picture in pictures]
        order, reference = arrange(light, takes)
        return Exposures(
            headers=tuple(self.headers[index] for index in order),
            pictures=tuple(pictures[index] for index in order),
            evs=self.stops and anchored([self.stops[index] for index in order], reference),
            reference=reference,
        )


@dataclass(frozen=True, eq=False)
class Exposures:
    """A bracket's pictures, darkest first.

    Parameters
    ----------
    headers : tuple of Header
        Of the files.
    pictures : tuple of ndarray, shape (H, W, 3), uint8 or uint16
        As stored.
    evs : tuple of float or None
        Stops relative to the picture that is wanted, rising.
    reference : int
        Index of the exposure whose motion is kept.
    """

    headers: tuple[Header, ...]
    pictures: tuple[Encoded, ...]
    evs: tuple[float, ...] | None
    reference: int

    @property
    def names(self) -> tuple[str, ...]:
        """File names, darkest first."""
        return tuple(header.path.name for header in self.headers)

    @property
    def icc(self) -> bytes | None:
        """Colour profile of the reference."""
        return self.headers[self.reference].icc

    def stack(self) -> ExposureStack:
        """The exposures as methods take them; 8 bits become 16 where some have 16."""
        depths = {picture.dtype.itemsize for picture in self.pictures}
        pictures = self.pictures if len(depths) == 1 else tuple(map(_widened, self.pictures))
        return ExposureStack(pictures, self.evs, self.reference)

    def rows(self, scratch: Scratch) -> PictureRows:
        """The exposures as streaming methods take them."""
        return PictureRows(self.pictures, self.evs, scratch.release)


def read_bracket(paths: Sequence[Path], evs: Sequence[float] | None = None) -> Bracket:
    """Read what the files of a bracket state; their pixels stay where they are.

    Parameters
    ----------
    paths : sequence of Path
        Two to nine pictures of one size, in any order.
    evs : sequence of float, optional
        Stops of each, in the order of ``paths``. Without them EXIF is asked for time, aperture
        and sensitivity, and where it does not tell, the mean brightness gives the order.

    Raises
    ------
    ImageFileError
        A file that cannot be read, or sizes that differ.
    UsageError
        Too few or too many pictures, or EVs that do not fit them.
    """
    if not 2 <= len(paths) <= MOST:
        raise UsageError(
            f"{len(paths)} picture{'' if len(paths) == 1 else 's'} given; a bracket has two to "
            f"{MOST}, of one scene, exposed differently. (A video goes with --stream.)"
        )
    headers = tuple(read_header(path) for path in paths)
    orientations, turning = _orientations(headers)
    stops, rule, ordering = _stops(headers, evs)
    return Bracket(
        headers=headers,
        orientations=orientations,
        stops=stops,
        rule=rule,
        remarks=(
            *(remark for header in headers for remark in header.remarks),
            *turning,
            *ordering,
            *_profiles(headers),
        ),
    )


def anchored(stops: Sequence[float], reference: int) -> tuple[float, ...]:
    """EVs relative to the picture that is wanted, from EVs as a camera counts them.

    A camera calls its metered exposure 0, which is no wish: a picture as bright as the reference
    is the reference. Where the reference stands at 0, EV 0 is laid midway between it and the
    darkest, as in the preset ``clipped-reference``; other EVs are taken as they are.

    Examples
    --------
    >>> anchored([-2, 0, 2], 1), anchored([-1, 1, 3], 1)
    ((-1.0, 1.0, 3.0), (-1, 1, 3))
    """
    if stops[reference] != 0:
        return tuple(stops)
    wanted = (stops[0] + stops[reference]) / 2
    return tuple(stop - wanted for stop in stops)


def _stops(
    headers: Sequence[Header], evs: Sequence[float] | None
) -> tuple[tuple[float, ...] | None, str, tuple[str, ...]]:
    """Stops, what they are taken from, and a remark where EXIF was no help."""
    if evs is not None:
        if len(evs) != len(headers) or not _differ(evs):
            given = ",".join(f"{ev:g}" for ev in evs)
            raise UsageError(
                f"EV {given}: give one for each of the {len(headers)} pictures, in their order, "
                "all different."
            )
        return tuple(evs), STATED, ()
    stops = stops_between([header.tags.exposure for header in headers])
    if stops is None:
        return None, BRIGHTNESS, ()
    if not _differ(stops):
        return None, BRIGHTNESS, ("EXIF states one exposure for several pictures: not used",)
    _, reference = arrange(stops)
    at_reference = sorted(stops)[reference]
    return tuple(stop - at_reference for stop in stops), EXIF, ()


def _differ(stops: Sequence[float]) -> bool:
    finite = all(map(math.isfinite, stops))
    return finite and all(b - a > _SAME_STOPS for a, b in pairwise(sorted(stops)))


def _orientations(headers: Sequence[Header]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """How each picture is turned: as it states, but all alike where their pixels lie alike."""
    stated = tuple(header.tags.orientation for header in headers)
    if len({header.coded_size for header in headers}) == 1:
        usual = mode(stated)
        # A camera that points up or down changes its mind within a bracket; its sensor does not.
        doubt = () if len(set(stated)) == 1 else (f"orientations differ: all turned as {usual}",)
        return (usual,) * len(headers), doubt
    if len({header.size for header in headers}) > 1:
        sizes = ", ".join(f"{header.path.name} {size_text(header.size)}" for header in headers)
        raise ImageFileError(
            f"the exposures of a bracket share one size: {sizes}. Crop or export them alike."
        )
    return stated, ()


def _profiles(headers: Sequence[Header]) -> tuple[str, ...]:
    if len({header.icc for header in headers}) == 1:
        return ()
    return ("colour profiles differ: the reference's is kept, no colours are converted",)


def _brightness(picture: Encoded, scratch: Scratch | None) -> float:
    """Mean of all codes, as stops below full scale."""
    total = 0.0
    for top in range(0, len(picture), _BAND_ROWS):
        total += sum(cv2.sumElems(picture[top : top + _BAND_ROWS]))
        if scratch is not None:
            scratch.release()
    return math.log2(max(total / picture.size / np.iinfo(picture.dtype).max, _BLACK))


def _widened(picture: Encoded) -> Encoded:
    """8-bit codes as 16-bit codes of the same brightness: 255 * 257 = 65535."""
    if picture.dtype == np.uint16:
        return picture
    return picture.astype(np.uint16) * np.uint16(257)
