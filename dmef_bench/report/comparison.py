"""Pictures of one scene as a section of the page: any two under a slider, windows side by side."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
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
GAIN = 4
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

    def __str__(self) -> str:
        return f"{self.width}x{self.height} at {self.left},{self.top}"


@dataclass(frozen=True, eq=False)
class Comparison:
    """What there is to see of one scene.

    Parameters
    ----------
    scene_id : str
        Its name.
    pictures : mapping of str to ndarray, shape (H, W, 3), uint8
        RGB, in the order in which they are shown: each method by its row, `GROUND_TRUTH`, the
        exposures, `REFERENCE` among them.
    windows : tuple of Window
        Shown at native size.
    methods : tuple of str
        Which of the pictures were fused, the best first.
    scores : mapping of str to str
        What each of them scored on this scene, in words.
    options : mapping of str to str
        What each of them was told, in words.
    why : str
        Why this scene is shown.
    missing : tuple of str
        Sentences on what is not shown.
    """

    scene_id: str
    pictures: Mapping[str, Codes]
    windows: tuple[Window, ...]
    methods: tuple[str, ...] = ()
    scores: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    why: str = ""
    missing: tuple[str, ...] = ()


def sections(comparisons: Iterable[Comparison], limit: int = PAGE_BYTES) -> Iterator[str]:
    """One HTML section a scene, as many as the page may hold, then a word on the rest.

    Windows are left out before scenes are.

    Parameters
    ----------
    comparisons : iterable of Comparison
        From the most telling scene on.
    limit : int
        Bytes of all sections together.
    """
    taken, scenes, windows = 0, 0, 0
    for comparison in comparisons:
        head = _head(comparison)
        if taken + len(head) > limit:
            scenes += 1
            continue
        taken += len(head)
        parts = [head]
        for window in comparison.windows:
            part = _window(comparison, window)
            if taken + len(part) > limit:
                windows += 1
                continue
            taken += len(part)
            parts.append(part)
        yield f"<section>{''.join(parts)}</section>"
    counts = ((scenes, "scene"), (windows, "window"))
    left_out = " and ".join(f"{n} {noun}{'s' * (n != 1)}" for n, noun in counts if n)
    if left_out:
        yield (f"<p>Left out, as the page would be larger than {limit / 1e6:g} MB: {left_out}.</p>")


def _head(comparison: Comparison) -> str:
    """The scene's name, why it is here, what is missing, and its pictures as a whole."""
    name = escape(comparison.scene_id)
    sides = [*comparison.methods[:1], GROUND_TRUTH]
    whole = "".join(
        _figure(name, _shrunk(picture), comparison.scores.get(name, ""))
        for name, picture in comparison.pictures.items()
    )
    words = [comparison.why, *comparison.missing]
    return (
        f"<h3>{name}</h3>{''.join(f'<p>{escape(word)}</p>' for word in words if word)}"
        f'<div class="compare" data-scene="{name}" data-left="{escape(sides[0])}" '
        f'data-right="{escape(sides[-1])}">{whole}</div>'
    )


def _window(comparison: Comparison, window: Window) -> str:
    truth = window.of(comparison.pictures[GROUND_TRUTH])
    figures = []
    for name, picture in comparison.pictures.items():
        part = window.of(picture)
        shows_error = name == REFERENCE or name in comparison.methods
        error = _image(f"error of {name}", heat(part, truth)) if shows_error else ""
        figures.append(_figure(name, part, comparison.scores.get(name, ""), error))
    return (
        f"<h4>{window}: {escape(window.why)}; "
        f"below, the error, {GAIN} times as large, from black over red to yellow</h4>"
        f'<div class="wide crops" role="region" aria-label="Windows" tabindex="0">'
        f"{''.join(figures)}</div>"
    )


def _figure(name: str, picture: Codes, words: str = "", below: str = "") -> str:
    words = f" <small>{escape(words)}</small>" if words else ""
    return (
        f"<figure><figcaption>{escape(name)}{words}</figcaption>"
        f"{_image(name, picture)}{below}</figure>"
    )


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
    size = (_WIDTH, max(1, round(height * _WIDTH / width)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def heat(picture: Codes, truth: Codes) -> Codes:
    """The largest error of the three channels, `GAIN` times as large, dark to bright."""
    error = cv2.absdiff(picture, truth).max(axis=2)
    loud = np.minimum(error.astype(np.uint16) * GAIN, 255).astype(np.uint8)
    shown = cv2.cvtColor(cv2.applyColorMap(loud, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    return shown.astype(np.uint8, copy=False)
