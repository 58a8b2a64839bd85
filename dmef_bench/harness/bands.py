"""Pictures as rows: scratch arrays on disk, a reader of exposures, a sink of the fused picture."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dmef_bench.errors import ImageContractError, UnavailableError
from dmef_bench.scene import Encoded, Image, check_image, to_float
from dmef_bench.units import bytes_text


class Scratch:
    """Arrays that live in a folder and not in memory; the files have no names and leave no trace.

    Parameters
    ----------
    folder : Path
        On a disk with room.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._maps: list[mmap.mmap] = []

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """An array of zeros.

        Raises
        ------
        UnavailableError
            The disk is too small for it.
        """
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        with tempfile.TemporaryFile(dir=self._folder) as file:
            try:
                _reserve(file.fileno(), size)
            except OSError as error:
                raise UnavailableError(
                    f"{self._folder}: no room for {bytes_text(size)} of scratch "
                    f"({error.strerror}). Write to another disk, or use --streaming no."
                ) from error
            mapped = mmap.mmap(file.fileno(), size)
        self._maps.append(mapped)
        return np.frombuffer(mapped, dtype).reshape(shape)

    def release(self) -> None:
        """Hand the memory of all pages back; what they hold stays on disk."""
        for mapped in self._maps:
            mapped.madvise(mmap.MADV_DONTNEED)


def _reserve(descriptor: int, size: int) -> None:
    """Take the room now: a disk that fills up under a mapped file ends the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.ftruncate(descriptor, size)


class PictureRows:
    """Exposures, any band of rows at a time: a `dmef_bench.method.RowReader`.

    Parameters
    ----------
    exposures : sequence of ndarray, shape (H, W, 3), uint8 or uint16
        Darkest first.
    evs : tuple of float or None
        Stops, rising.
    release : callable
        Called after every band, for exposures that lie in a `Scratch`.
    """

    def __init__(
        self,
        exposures: Sequence[Encoded],
        evs: tuple[float, ...] | None,
        release: Callable[[], None] = lambda: None,
    ) -> None:
        self.size: tuple[int, int] = exposures[0].shape[:2]
        self.evs = evs
        self._exposures, self._release = tuple(exposures), release

    def read(self, start: int, stop: int) -> tuple[Image, ...]:
        """Rows ``[start, stop)`` of every exposure, darkest first, float32 (rows, W, 3).

        Raises
        ------
        ImageContractError
            Rows that the pictures do not have.
        """
        if not 0 <= start < stop <= self.size[0]:
            raise ImageContractError(
                f"rows [{start}, {stop}) were asked for; the exposures have rows 0 to "
                f"{self.size[0] - 1}."
            )
        rows = tuple(to_float(exposure[start:stop]) for exposure in self._exposures)
        self._release()
        return rows


class PictureSink:
    """Takes a fused picture from the top down and hands it on as codes: a `RowSink`.

    Parameters
    ----------
    write : callable
        Takes the next rows, (rows, W, 3), uint8 or uint16.
    size : (height, width)
        Of the whole picture.
    bits : int
        8 or 16.
    method : str
        Who makes the rows, for messages.
    """

    def __init__(
        self, write: Callable[[Encoded], None], size: tuple[int, int], bits: int, method: str
    ) -> None:
        self._write, self._size, self._bits, self._method = write, size, bits, method
        self._next = 0

    def write(self, start: int, rows: Image) -> None:
        """Keep rows from ``start`` on, float32 (rows, W, 3) in [0, 1]; from the top down, once.

        Raises
        ------
        ImageContractError
            Not the next rows, not a picture's, or of another width.
        """
        name = f"rows from {start} of the picture fused by {self._method}"
        check_image(rows, name=name, size=(len(rows), self._size[1]))
        stop = start + len(rows)
        if start != self._next or stop > self._size[0]:
            raise ImageContractError(
                f"{name} came where row {self._next} of {self._size[0]} was due; "
                "rows are written from the top down, each once."
            )
        self._next = stop
        self._write(to_codes(rows, self._bits))

    def close(self) -> None:
        """Say so if rows are missing.

        Raises
        ------
        ImageContractError
            The method stopped early.
        """
        if self._next != self._size[0]:
            raise ImageContractError(
                f"{self._method} wrote {self._next} of {self._size[0]} rows of the fused picture."
            )


def to_codes(picture: Image, bits: int) -> Encoded:
    """Round a float32 picture in [0, 1] to codes of 8 or 16 bits, half up.

    Examples
    --------
    >>> to_codes(np.full((1, 1, 3), 0.5, np.float32), 16).tolist()
    [[[32768, 32768, 32768]]]
    """
    full = np.float32(2**bits - 1)
    return np.floor(picture * full + np.float32(0.5)).astype(f"uint{bits}")
