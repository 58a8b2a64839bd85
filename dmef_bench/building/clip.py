"""What a clip is to those who use it: frames in order of time, each reachable exactly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dmef_bench.building.colour import Colour, FrameU8


class Clip(Protocol):
    """An open video, or a folder of pictures that counts as one."""

    path: Path

    @property
    def pts(self) -> tuple[int, ...]:
        """Presentation times of all frames to be shown, in ticks, rising."""
        ...

    @property
    def info(self) -> VideoInfo:
        """What the clip is."""
        ...

    def __len__(self) -> int: ...

    def time(self, index: int) -> Fraction:
        """Presentation time of a frame, in seconds."""
        ...

    def frames(self, indices: Iterable[int]) -> Iterator[FrameU8]:
        """Frames of rising indices, exactly; `VideoError` where one is damaged."""
        ...

    def small_frames(self, indices: Iterable[int], long_side: int = 480) -> Iterator[SmallFrame]:
        """Frames of rising indices for analysis; damaged ones are left out."""
        ...

    def close(self) -> None:
        """Let go of the files."""
        ...


@dataclass(frozen=True)
class VideoInfo:
    """What a video is; nothing of where, by whom or with which camera it was made.

    Parameters
    ----------
    path : Path
        The file.
    bytes : int
        Its size.
    sha256 : str
        Of its bytes.
    container, codec, profile, pixel_format : str
        As FFmpeg names them.
    stream : int
        Index of the video stream in the container.
    coded_height, coded_width : int
        Size of a decoded frame, before rotation.
    height, width : int
        Size of a frame as shown and as `VideoReader.frame` returns it.
    rotation : int
        Degrees, a multiple of 90; positive turns the decoded frame counter-clockwise.
    time_base : Fraction
        Seconds of one tick of ``pts``.
    frames : int
        Frames to be shown, each reachable by index.
    packets, discarded : int
        Coded frames in the file, and those of them an edit list hides.
    stated_frames : int or None
        What the container claims; None where it claims nothing.
    count : str
        ``verified`` where the claim holds, ``unverified`` where there is none, ``salvaged`` where
        the video is cut short and only its readable part is shown.
    index : str
        ``packets``, or ``decoded`` where the container has no presentation times.
    keyframes : int
        Packets a decoder can start from.
    duration : Fraction
        Seconds from the first frame's start to the last one's end.
    average_rate : Fraction
        Frames a second over the frames to be shown.
    vfr : bool
        Whether frame intervals differ by more than rounding.
    colour : Colour
        Matrix, range, transfer, primaries.
    hdr : str
        ``none``, or what kind.
    """

    path: Path
    bytes: int
    sha256: str
    container: str
    stream: int
    codec: str
    profile: str
    pixel_format: str
    coded_height: int
    coded_width: int
    height: int
    width: int
    rotation: int
    time_base: Fraction
    frames: int
    packets: int
    discarded: int
    stated_frames: int | None
    count: str
    index: str
    keyframes: int
    duration: Fraction
    average_rate: Fraction
    vfr: bool
    colour: Colour
    hdr: str

    def to_record(self) -> dict[str, Any]:
        """The fields as the manifest keeps them: file name instead of path, fractions as text."""
        record = asdict(self)
        record["name"] = record.pop("path").name
        record["duration"] = round(float(self.duration), 6)
        for key in ("time_base", "average_rate"):
            numerator, denominator = record[key].as_integer_ratio()
            record[key] = f"{numerator}/{denominator}"
        return record


@dataclass(frozen=True, eq=False)
class SmallFrame:
    """A frame as analysis needs it, made without the accurate conversion.

    Parameters
    ----------
    index : int
        Which frame.
    rgb : ndarray, shape (h, w, 3), uint8
        Shrunk by area, upright.
    half_luma : ndarray, shape (H / 2, W / 2), uint8
        Coded luma at half size, not rotated, in the stream's own range: for sharpness.
    """

    index: int
    rgb: FrameU8
    half_luma: npt.NDArray[np.uint8]


def seconds(clip: Clip) -> npt.NDArray[np.float64]:
    """Presentation times of all frames."""
    return np.array([float(clip.time(index)) for index in range(len(clip))])


def nearest(times: npt.NDArray[np.float64], wanted: float) -> int:
    """Index of the time nearest to the wanted one; the earlier of two."""
    after = min(int(np.searchsorted(times, wanted)), len(times) - 1)
    before = max(after - 1, 0)
    return before if wanted - times[before] <= times[after] - wanted else after
