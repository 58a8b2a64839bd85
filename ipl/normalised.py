"""Exposures brought to EV 0 by the camera response: what ``inputs="normalised"`` means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dmef_bench.errors import UnavailableError, UsageError
from dmef_bench.exposure.camera_response import MODELS, CameraResponse
from dmef_bench.method import RowReader
from dmef_bench.scene import Encoded, Image

# Rows of a picture that are float64 at a time.
STRIP_ROWS = 64


def find_response(response: str | CameraResponse) -> CameraResponse:
    """A camera response, or the one of that name (`MODELS`) with its default parameters."""
    if not isinstance(response, str):
        return response
    if response not in MODELS:
        raise UsageError(
            f"No camera response is called {response!r}; there are {', '.join(MODELS)}."
        )
    return MODELS[response]()


def stated_evs(evs: Sequence[float] | None) -> Sequence[float]:
    """The EVs; UnavailableError where nobody states them."""
    if evs is None:
        raise UnavailableError(
            "inputs='normalised' brings the exposures to EV 0, and nobody states their EVs: "
            "give them, or use a network that was trained with inputs='display'."
        )
    return evs


def normalised(picture: Image, ev: float, response: CameraResponse) -> Image:
    """The picture as if taken at EV 0: g(P, 2**-ev), not clipped, as light lost is lost.

    Parameters
    ----------
    picture : ndarray, shape (H, W, 3), float32 in [0, 1]
        Taken at ``ev``.
    ev : float
        Stops.
    response : CameraResponse
        The camera.

    Returns
    -------
    ndarray, shape (H, W, 3), float32
        In [0, g(1, 2**-ev)]: a dark exposure reaches above 1.
    """
    moved = np.empty_like(picture)
    for start in range(0, len(picture), STRIP_ROWS):
        rows = slice(start, start + STRIP_ROWS)
        moved[rows] = response.transform(picture[rows], 2.0**-ev)
    return moved


def normalising_table(
    codes: Encoded, ev: float, response: CameraResponse
) -> npt.NDArray[np.float32]:
    """`normalised` for every code that pictures of this type can hold, (256,) or (65536,)."""
    full = np.iinfo(codes.dtype).max
    # The codes as the float32 pictures that they stand for, so that both ways agree to the bit.
    pixels = np.arange(full + 1, dtype=np.float32) / np.float32(full)
    return response.transform(pixels, 2.0**-ev).astype(np.float32)


class NormalisedRows:
    """A `RowReader` of the same exposures, brought to EV 0.

    Parameters
    ----------
    rows : RowReader
        The exposures, with EVs.
    response : CameraResponse
        The camera.
    """

    def __init__(self, rows: RowReader, response: CameraResponse) -> None:
        self.size = rows.size
        self.evs = rows.evs
        self._rows = rows
        self._response = response
        self._stated = stated_evs(rows.evs)

    def read(self, start: int, stop: int) -> tuple[Image, ...]:
        """Rows of every exposure at EV 0, not clipped."""
        return tuple(
            normalised(exposure, ev, self._response)
            for exposure, ev in zip(self._rows.read(start, stop), self._stated, strict=True)
        )
