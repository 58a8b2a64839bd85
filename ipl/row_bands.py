"""Pictures by bands of rows: exposures filled up as the network does it, and convolutions."""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from dmef_bench.errors import ImageContractError, UnavailableError
from dmef_bench.method import RowReader
from dmef_bench.scene import ExposureStack, Image, check_layout, to_float
from ipl.network import IPLNetwork

NAMES = ("low", "medium", "high")


class StackRows:
    """A stack as a `RowReader`: float32 is made of one band at a time."""

    def __init__(self, stack: ExposureStack) -> None:
        self.size = stack.size
        self.evs = stack.evs
        self._pictures = stack.images if stack.encoded is None else stack.encoded

    def read(self, start: int, stop: int) -> tuple[Image, ...]:
        """Rows of every exposure."""
        return tuple(to_float(picture[start:stop]) for picture in self._pictures)


class PaddedRows:
    """The exposures as the network pads them, on its device and in its precision.

    Parameters
    ----------
    network : IPLNetwork
        Whose bricks they fill.
    reader : RowReader
        Where they come from.
    """

    def __init__(self, network: IPLNetwork, reader: RowReader) -> None:
        self._reader = reader
        self._like = network.up.gain.weight
        height, width = reader.size
        multiple = network.config.multiple
        bottom, right = -height % multiple, -width % multiple
        mirrored = network.config.pad == "reflect" and bottom < height and right < width
        self._rows = _filled(height, bottom, mirrored)
        self._columns = _filled(width, right, mirrored)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) with the padding."""
        return len(self._rows), len(self._columns)

    def band(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Rows ``[start, stop)`` as a convolution of 3x3 wants them, and their medium exposure.

        Returns
        -------
        exposures : Tensor, shape (1, 9, stop - start + 2, width + 2)
            With one pixel more on each side, zeros beyond the frame.
        medium : Tensor, shape (rows, W, 3)
            Of the rows and columns that the picture has.
        """
        top, bottom = max(start - 1, 0), min(stop + 1, len(self._rows))
        rows = self._rows[top:bottom]
        first, last = int(rows.min()), int(rows.max()) + 1
        height, width = self._reader.size
        joined = torch.from_numpy(np.concatenate(self._read(first, last), axis=2)).to(self._like)
        medium = joined[start - first : min(stop, height) - first, :, 3:6]
        if bottom > height:
            joined = joined[torch.from_numpy(rows - first)]
        if len(self._columns) > width:
            joined = joined[:, torch.from_numpy(self._columns)]
        around = (1, 1, 1 - (start - top), 1 - (bottom - stop))
        return functional.pad(joined.permute(2, 0, 1)[None], around), medium

    def _read(self, first: int, last: int) -> tuple[Image, ...]:
        exposures = self._reader.read(first, last)
        if len(exposures) != len(NAMES):
            raise UnavailableError(f"IPL fuses three exposures; there are {len(exposures)}.")
        size = last - first, self._reader.size[1]
        for name, exposure in zip(NAMES, exposures, strict=True):
            told = f"the {name} exposure, rows {first} to {last - 1},"
            check_layout(exposure, name=told, dtypes=(np.float32,), size=size)
            if not np.isfinite(exposure).all():
                raise ImageContractError(f"{told} holds NaN or infinity.")
        return exposures


def _filled(size: int, more: int, mirrored: bool) -> npt.NDArray[np.int64]:
    """Which pixel stands at each place of an axis that ``more`` places were added to."""
    places = np.arange(size + more)
    return np.minimum(places, 2 * (size - 1) - places if mirrored else size - 1)


class RowConvolution:
    """A convolution fed from the top down; its answer trails what came by its halo.

    Parameters
    ----------
    convolution : nn.Conv2d
        Of odd size, zero-padded to keep its input's.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        self._convolution = convolution
        self._kept: Tensor | None = None

    def push(self, rows: Tensor, *, last: bool) -> Tensor:
        """The rows of the whole answer that can be known now, (N, C, rows, w) to (N, D, ., w)."""
        halo, sides = cast(tuple[int, int], self._convolution.padding)
        if self._kept is None:
            rows = functional.pad(rows, (0, 0, halo, 0))
        else:
            rows = torch.cat((self._kept, rows), 2)
        if last:
            rows = functional.pad(rows, (0, 0, 0, halo))
        self._kept = rows[:, :, rows.shape[2] - 2 * halo :].clone()
        weight, bias = self._convolution.weight, self._convolution.bias
        return functional.conv2d(rows, weight, bias, padding=(0, sides))
