"""The moments of a stream: triples of a video's frames, or brackets of a folder in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dmef_bench.building.video import VideoReader
from dmef_bench.errors import VideoError
from dmef_bench.exposure.camera_response import Sigmoid
from dmef_bench.exposure.synthesis import check_evs, expose, find_preset
from dmef_bench.harness.bracket import read_bracket
from dmef_bench.harness.folder import check_apart, find_brackets
from dmef_bench.scene import Encoded, ExposureStack


@dataclass(frozen=True, eq=False)
class Frame:
    """One moment of a stream.

    Parameters
    ----------
    name : str
        Of its picture.
    stack : ExposureStack
        Its exposures.
    bits : int
        8 or 16 of a channel.
    truth : ndarray, shape (H, W, 3), uint8, or None
        What it should become, where that is known.
    icc : bytes or None
        Colour profile.
    """

    name: str
    stack: ExposureStack
    bits: int = 8
    truth: Encoded | None = None
    icc: bytes | None = None


class VideoFrames:
    """Every frame but the first and the last, with exposures of itself and its neighbours.

    The frame before is exposed low, the frame itself medium, the frame after high, by the camera
    with which data sets are built, without noise; the frame itself is the truth.

    Parameters
    ----------
    video : Path
        The file.
    evs : sequence of 3 float, optional
        Stops relative to the truth; by default those of the default preset.

    Raises
    ------
    VideoError
        No video, or one of fewer than three frames.
    UsageError
        EVs that are not three, or do not rise.
    """

    evs_known = True
    remarks: tuple[str, ...] = ()

    def __init__(self, video: Path, evs: Sequence[float] | None = None) -> None:
        self._evs = check_evs(find_preset().evs if evs is None else evs, allow_identity=True)
        self._reader = VideoReader(video)
        if len(self) < 1:
            self._reader.close()
            raise VideoError(f"{video.name}: {len(self) + 2} frames; a stream needs three or more.")

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def __len__(self) -> int:
        return len(self._reader) - 2

    def read(self, count: int, takes: int | None = None) -> Iterator[Frame]:  # noqa: ARG002 - three
        """The first ``count`` moments; ``takes`` is for brackets of more than three."""
        camera = Sigmoid()
        window: deque[Encoded] = deque(maxlen=3)
        for index, picture in enumerate(self._reader.frames(range(count + 2))):
            window.append(picture)
            if len(window) == 3:
                exposures = tuple(
                    expose(frame, ev, camera) for frame, ev in zip(window, self._evs, strict=True)
                )
                stack = ExposureStack(exposures, self._evs)
                yield Frame(f"frame-{index - 1:06d}", stack, truth=window[1])


class BracketFrames:
    """The brackets of a folder, in the order of their names.

    Parameters
    ----------
    folder : Path
        See `find_brackets`.
    out : Path
        Where the fused pictures go: not among the exposures.
    evs : sequence of float, optional
        Stops of each bracket's pictures, in the order of their names.

    Raises
    ------
    UsageError
        No bracket, or EVs that do not fit.
    ImageFileError
        A picture that cannot be read.
    """

    def __init__(self, folder: Path, out: Path, evs: Sequence[float] | None = None) -> None:
        check_apart(folder, out)
        found = find_brackets(folder)
        self._brackets = {name: read_bracket(paths, evs) for name, paths in found.brackets.items()}
        self.remarks = tuple(f"{name} is no bracket: left out" for name in found.left_out)
        self.evs_known = all(bracket.stops is not None for bracket in self._brackets.values())

    def close(self) -> None:
        """Nothing is open."""

    def __len__(self) -> int:
        return len(self._brackets)

    def read(self, count: int, takes: int | None = None) -> Iterator[Frame]:
        """The first ``count`` brackets, each cut down to what a method ``takes``."""
        for name, bracket in list(self._brackets.items())[:count]:
            exposures = bracket.read(takes)
            yield Frame(name, exposures.stack(), bracket.bits, icc=exposures.icc)
