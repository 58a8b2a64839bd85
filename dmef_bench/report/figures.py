"""What all figures share: one look whatever a reader's own settings, and the same bytes twice."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

from matplotlib import style
from matplotlib.figure import Figure

KINDS = ("svg", "png")
"""Every figure is written as both."""

_LOOK: dict[str, str | float | bool] = {
    "svg.hashsalt": "dmef",  # names of shapes in the file, drawn anew each time otherwise
    "svg.fonttype": "none",  # words stay words: to be searched, read aloud, set in another face
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in the look of dmef: nobody's own settings may change a published figure."""
    with style.context(["default", _LOOK]):
        yield


def figure_bytes(figure: Figure, kind: str, *, dpi: int = 150) -> bytes:
    """A figure as a file, without a date or the version of the library.

    Parameters
    ----------
    figure : Figure
        Drawn within `drawing`.
    kind : {"svg", "png"}
        See `KINDS`.
    dpi : int
        Pixels an inch, of a PNG and of what is a picture in an SVG.
    """
    stream = io.BytesIO()
    metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    figure.savefig(stream, format=kind, metadata=metadata, dpi=dpi)
    return stream.getvalue()
