"""Pictures of one scene as a section of the page: any two under a slider, windows side by side."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape

import cv2
import numpy as np
import numpy.typing as npt

REFERENCE, GROUND_TRUTH = "reference", "ground truth"

Codes = npt.NDArray[np.uint8]

PAGE_BYTES = 20_000_000
"""All pictures of a page together; a page that takes longer to open is not looked at."""
_WIDTH = 1280
"""Pixels of a whole picture under the slider."""
_GAIN = 4
"""Errors are shown so many times as large."""


@dataclass(frozen=True)
class Window:
    """A part of a picture, in pixels, and why it is shown."""

    left: int
    top: int
    width: int
    height: int
    why: str

    def of(self, picture: Codes) -> Codes:
        """The part of one picture."""
        return picture[self.top : self.top + self.height, self.left : self.left + self.width]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What there is to see of one scene.

    Parameters
    ----------
    scene_id : str
        Its name.
    pictures : mapping of str to ndarray, shape (H, W, 3), uint8
        RGB: `REFERENCE`, `GROUND_TRUTH`, and each method by its row.
    windows : tuple of Window
        Shown at native size.
    """

    scene_id: str
    pictures: Mapping[str, Codes]
    windows: tuple[Window, ...]


def sections(comparisons: Iterable[Comparison], limit: int = PAGE_BYTES) -> Iterator[str]:
    """One HTML section a scene, as many as the page may hold, then a word on the rest.

    Parameters
    ----------
    comparisons : iterable of Comparison
        From the most telling scene on.
    limit : int
        Bytes of all sections together.
    """
    taken, left_out = 0, 0
    for comparison in comparisons:
        section = _section(comparison)
        if taken + len(section) > limit:
            left_out += 1
            continue
        taken += len(section)
        yield section
    if left_out:
        yield (
            f"<p>{left_out} more scenes would make the page larger than {limit / 1e6:g} MB and are "
            "left out.</p>"
        )


def _section(comparison: Comparison) -> str:
    whole = "".join(
        _figure(name, _shrunk(picture)) for name, picture in comparison.pictures.items()
    )
    windows = "".join(_window(comparison, window) for window in comparison.windows)
    name = escape(comparison.scene_id)
    return (
        f'<section><h3>{name}</h3><div class="compare" data-scene="{name}">{whole}</div>'
        f"{windows}</section>"
    )


def _window(comparison: Comparison, window: Window) -> str:
    truth = window.of(comparison.pictures[GROUND_TRUTH])
    figures = []
    for name, picture in comparison.pictures.items():
        part = window.of(picture)
        error = "" if name == GROUND_TRUTH else _image(f"error of {name}", _heat(part, truth))
        figures.append(_figure(name, part, error))
    return (
        f"<h4>{window.width}x{window.height} at {window.left},{window.top}: {escape(window.why)}; "
        f"below, the error, {_GAIN} times as large</h4>"
        f'<div class="wide crops" role="region" aria-label="Windows" tabindex="0">'
        f"{''.join(figures)}</div>"
    )


def _figure(name: str, picture: Codes, below: str = "") -> str:
    return f"<figure><figcaption>{escape(name)}</figcaption>{_image(name, picture)}{below}</figure>"


def _image(name: str, picture: Codes) -> str:
    height, width = picture.shape[:2]
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    # 4:4:4: halved colour would show fringes that no method made.
    quality = [cv2.IMWRITE_JPEG_QUALITY, 90]
    quality += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    data = base64.b64encode(cv2.imencode(".jpg", bgr, quality)[1].tobytes()).decode()
    return (
        f'<img alt="{escape(name)}" width="{width}" height="{height}" '
        f'src="data:image/jpeg;base64,{data}">'
    )


def _shrunk(picture: Codes) -> Codes:
    height, width = picture.shape[:2]
    if width <= _WIDTH:
        return picture
    size = (_WIDTH, round(height * _WIDTH / width))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _heat(picture: Codes, truth: Codes) -> Codes:
    """The largest error of the three channels, dark to bright."""
    error = cv2.absdiff(picture, truth).max(axis=2)
    loud = np.minimum(error.astype(np.uint16) * _GAIN, 255).astype(np.uint8)
    heat = cv2.cvtColor(cv2.applyColorMap(loud, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    return heat.astype(np.uint8, copy=False)
