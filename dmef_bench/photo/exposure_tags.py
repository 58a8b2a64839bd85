"""How long, how wide, how sensitive: what EXIF states of an exposure, and the stops between."""

from __future__ import annotations

import math
import struct
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import Any

from PIL import Image

ORIENTATION_TAG, EXIF_IFD = 0x0112, 0x8769
TIME_TAG, F_NUMBER_TAG, ISO_TAG = 0x829A, 0x829D, 0x8827

_DAMAGE = (OSError, SyntaxError, LookupError, ValueError, TypeError, ArithmeticError, struct.error)
"""What Pillow raises at EXIF that breaks its own rules."""


@dataclass(frozen=True)
class ExposureTags:
    """What a file states of its exposure; None where it does not.

    Parameters
    ----------
    time_s : float or None
        Exposure time in seconds.
    f_number : float or None
        Focal length over aperture.
    iso : float or None
        Sensitivity.
    """

    time_s: float | None = None
    f_number: float | None = None
    iso: float | None = None


@dataclass(frozen=True)
class Tags:
    """The little that is kept of a file's EXIF: nothing of where, when, by whom or with what."""

    orientation: int = 1
    exposure: ExposureTags = ExposureTags()


def parse_exif(block: bytes) -> Tags:
    r"""Orientation and exposure from an EXIF block; a damaged one states nothing.

    Parameters
    ----------
    block : bytes
        A TIFF structure, with or without ``Exif\0\0`` before it.
    """
    exif = Image.Exif()
    with no_warnings():
        try:
            exif.load(block)
            return tags_from(exif.get(ORIENTATION_TAG), exif.get_ifd(EXIF_IFD))
        except _DAMAGE:
            return Tags()


@contextmanager
def no_warnings() -> Iterator[None]:
    """Keep Pillow from warning of damaged EXIF, which it does wherever it opens a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def tags_from(orientation: Any, exif: Mapping[int, Any]) -> Tags:
    """The tags from values as parsers hand them out: numbers, fractions, lists of them."""
    stands = int(_positive(orientation) or 1)
    return Tags(
        orientation=stands if stands <= 8 else 1,
        exposure=ExposureTags(
            *(_positive(exif.get(tag)) for tag in (TIME_TAG, F_NUMBER_TAG, ISO_TAG))
        ),
    )


def _positive(value: Any) -> float | None:
    """A finite number above zero, or None: cameras write 0/0 where they do not know."""
    if isinstance(value, (tuple, list)):
        value = value[0] if value else None
    try:
        number = float(value)
    except (TypeError, ValueError, ArithmeticError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def stops_between(exposures: Sequence[ExposureTags]) -> tuple[float, ...] | None:
    """How much more light each exposure took than the darkest, in stops.

    Parameters
    ----------
    exposures : sequence of ExposureTags
        Of one camera and one scene.

    Returns
    -------
    tuple of float or None
        ``log2(t ISO / N^2)``, less the smallest. None where a time is missing, or where some
        state aperture or sensitivity and others do not. What none states has not changed: an old
        lens tells no aperture.

    Examples
    --------
    >>> stops_between([ExposureTags(1 / 60, 8, 100), ExposureTags(1 / 15, 8, 200)])
    (0.0, 3.0)
    """
    stated = [[value is not None for value in astuple(tags)] for tags in exposures]
    if not exposures or not stated[0][0] or any(row != stated[0] for row in stated):
        return None
    light = [
        math.log2(tags.time_s * (tags.iso or 1) / (tags.f_number or 1) ** 2)
        for tags in exposures
        if tags.time_s is not None
    ]
    return tuple(round(stops - min(light), 3) for stops in light)
