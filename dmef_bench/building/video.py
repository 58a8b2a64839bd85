"""Exact frames of a video by presentation time, with rotation, matrix and range stated."""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from dmef_bench.building.clip import SmallFrame, VideoInfo
from dmef_bench.building.colour import FrameU8, Look, ToRgb, half_luma
from dmef_bench.building.decoding import Pass
from dmef_bench.building.packets import (
    TruncatedError,
    check_complete,
    open_video,
    read_index,
    salvaged,
)
from dmef_bench.errors import VideoError

# Seeking throws away what the decoder holds back for reordering, rarely more than four frames.
_SEEK_PAYS_BEYOND = 4
_EARLIER_KEYFRAMES = 3


class HdrError(VideoError):
    """HDR video where none is wanted; ``hdr`` says which kind."""

    def __init__(self, name: str, hdr: str) -> None:
        super().__init__(
            f"{name}: {hdr}. 8-bit exposures from HDR need a tone curve: re-record in SDR, or "
            "convert the clip to SDR first."
        )
        self.name, self.hdr = name, hdr

    def __reduce__(self) -> tuple[type[HdrError], tuple[str, str]]:
        return HdrError, (self.name, self.hdr)


class VideoReader:
    """Reads frames of a video exactly: the one asked for, never the nearest.

    Frame ``n`` is the one with the n-th presentation time among the frames to be shown. Frames
    that an edit list hides do not count.

    Parameters
    ----------
    path : Path or str
        A video file.
    sha256 : str, optional
        Of its bytes, where the caller has it already; computed when `info` is first asked for.
    allow_hdr : bool
        Open HDR video too. Its frames then keep the HDR transfer, squeezed into eight bits: good
        for looking, not for building; `signals` keeps all of them.
    salvage : bool
        Open truncated video too, and show what comes before its last keyframe.
    undecoded : bool
        Believe what the stream states, where it states enough, instead of looking at a frame: for
        planning. Orientation and Dolby Vision are not known then.

    Raises
    ------
    TruncatedError, HdrError
        As they say.
    VideoError
        Not a video, interlaced, a pixel format or an orientation that is not
        read. The message says what, where, and how to mend it.

    Examples
    --------
    >>> with VideoReader("clip.mp4") as reader:  # doctest: +SKIP
    ...     reader.frame(12).shape, reader.time(12)
    ((2160, 3840, 3), Fraction(2, 5))
    """

    def __init__(
        self,
        path: Path | str,
        *,
        sha256: str | None = None,
        allow_hdr: bool = False,
        salvage: bool = False,
        undecoded: bool = False,
    ) -> None:
        self.path = Path(path)
        self._sha256 = sha256
        self._graphs: dict[tuple[tuple[int, int], bool], ToRgb] = {}
        self._container, self._stream = open_video(self.path, glance=undecoded)
        try:
            self._index = read_index(self._container, self._stream, self.path)
            self._count = self._completeness(salvage)
            stated = Look.stated(self._stream, self.path) if undecoded else None
            self._look = stated or self._first_look()
            if self._look.hdr != "none" and not allow_hdr:
                raise HdrError(self.path.name, self._look.hdr)
        except av.FFmpegError as error:
            self._container.close()
            raise self._unreadable(error) from error
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    @property
    def pts(self) -> tuple[int, ...]:
        """Presentation times of all frames to be shown, in ticks, rising."""
        return self._index.pts

    def __len__(self) -> int:
        return len(self._index.pts)

    def time(self, index: int) -> Fraction:
        """Presentation time of a frame, in seconds."""
        return self._index.pts[self._checked(index)] * self._time_base

    @cached_property
    def info(self) -> VideoInfo:
        """What the video is. The first look computes the file's hash."""
        look, index, stream = self._look, self._index, self._stream
        first, last = index.pts[0], index.pts[-1]
        height, width = look.size
        turned = look.rotation % 180 != 0
        span = (last - first) * self._time_base
        return VideoInfo(
            path=self.path,
            bytes=self.path.stat().st_size,
            sha256=self._sha256 or _sha256(self.path),
            container=self._container.format.name,
            stream=stream.index,
            codec=stream.codec_context.codec.canonical_name,
            profile=stream.codec_context.profile or "",
            pixel_format=look.pixel_format,
            coded_height=height,
            coded_width=width,
            height=width if turned else height,
            width=height if turned else width,
            rotation=look.rotation,
            time_base=self._time_base,
            frames=len(index.pts),
            packets=index.packets,
            discarded=index.discarded,
            stated_frames=stream.frames or None,
            count=self._count,
            index="decoded" if index.decoded else "packets",
            keyframes=len(index.keyframes),
            duration=(index.end - first) * self._time_base,
            average_rate=Fraction(len(index.pts) - 1) / span if span else Fraction(0),
            vfr=_varies(index.pts),
            colour=look.colour,
            hdr=look.hdr,
        )

    def frame(self, index: int) -> FrameU8:
        """One frame, exactly.

        Parameters
        ----------
        index : int
            From 0 to ``len(reader) - 1``.

        Returns
        -------
        ndarray, shape (H, W, 3), uint8
            RGB, upright, matrix and range converted, transfer and primaries as recorded.

        Raises
        ------
        VideoError
            No such frame, or it is damaged.
        """
        return next(self.frames([index]))

    def frames(self, indices: Iterable[int]) -> Iterator[FrameU8]:
        """Several frames, in one forward pass where they share a group of pictures.

        Parameters
        ----------
        indices : iterable of int
            Strictly rising.

        Yields
        ------
        ndarray, shape (H, W, 3), uint8
            As `frame`, one for each index, in the same order.

        Raises
        ------
        VideoError
            No such frame, a damaged one, or indices that do not rise.
        """
        to_rgb = self._to_rgb(self._look.size)
        return (to_rgb(frame).astype(np.uint8, copy=False) for frame in self._sound(indices))

    def signals(self, indices: Iterable[int]) -> Iterator[npt.NDArray[np.uint16]]:
        """Several frames as `frames`, but with sixteen bits a channel: for HDR.

        Yields
        ------
        ndarray, shape (H, W, 3), uint16
            RGB, upright; 65535 is a signal of 1.
        """
        to_rgb = self._to_rgb(self._look.size, deep=True)
        return (to_rgb(frame).astype(np.uint16, copy=False) for frame in self._sound(indices))

    def small_frames(
        self, indices: Iterable[int], long_side: int = 480, *, deep: bool = False
    ) -> Iterator[SmallFrame]:
        """Frames for analysis: small, cheap, damaged ones left out.

        Parameters
        ----------
        indices : iterable of int
            Strictly rising.
        long_side : int
            Pixels of the longer side; smaller video is not enlarged.
        deep : bool
            Sixteen bits a channel, as `signals`.

        Yields
        ------
        SmallFrame
            In the same order.
        """
        to_rgb = self._to_rgb(self._small_size(long_side), deep=deep)
        for index, frame in self._decoded(self._rising(indices)):
            if frame is not None:
                yield SmallFrame(index, to_rgb(frame), half_luma(frame))

    def _small_size(self, long_side: int) -> tuple[int, int]:
        height, width = self._look.size
        shrink = min(1.0, long_side / max(height, width))
        return max(1, round(height * shrink)), max(1, round(width * shrink))

    def _sound(self, indices: Iterable[int]) -> Iterator[VideoFrame]:
        for index, frame in self._decoded(self._rising(indices)):
            if frame is None:
                raise VideoError(
                    f"{self.path.name}: frame {index} ({float(self.time(index)):.3f} s) is "
                    "damaged. Copy the file again, or choose other frames."
                )
            yield frame

    def _completeness(self, salvage: bool) -> str:
        try:
            return check_complete(self._container, self._stream, self._index, self.path)
        except TruncatedError:
            if not salvage:
                raise
            self._index = salvaged(self._index, self._stream, self.path)
            return "salvaged"

    @property
    def _time_base(self) -> Fraction:
        return self._stream.time_base or Fraction(1)

    def _checked(self, index: int) -> int:
        if not 0 <= index < len(self):
            raise VideoError(
                f"{self.path.name}: frame {index} was asked for; "
                f"it has {len(self)} frames, 0..{len(self) - 1}."
            )
        return index

    def _rising(self, indices: Iterable[int]) -> list[int]:
        checked = [self._checked(int(index)) for index in indices]
        if any(a >= b for a, b in pairwise(checked)):
            raise VideoError(f"{self.path.name}: frames are read in rising order, not {checked}.")
        return checked

    def _to_rgb(self, size: tuple[int, int], *, deep: bool = False) -> ToRgb:
        if (size, deep) not in self._graphs:
            self._graphs[size, deep] = ToRgb(self._look, size, self.path.name, deep=deep)
        return self._graphs[size, deep]

    def _first_look(self) -> Look:
        for _, frame in Pass(self._container, self._stream, wanted=frozenset(self.pts[:1])):
            return Look.at(frame, self._stream.codec_context.field_order, self.path)
        raise VideoError(f"{self.path.name}: no frame can be decoded. Copy the file again.")

    def _decoded(self, indices: Sequence[int]) -> Iterator[tuple[int, VideoFrame | None]]:
        """The frames asked for, None for damaged ones; what seeking can skip is not decoded."""
        try:
            for run in self._runs(indices):
                yield from self._run(run)
        except av.FFmpegError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: av.FFmpegError) -> VideoError:
        return VideoError(
            f"{self.path.name}: cannot be read ({error.strerror}). Copy the file again."
        )

    def _runs(self, indices: Sequence[int]) -> Iterator[list[int]]:
        """Split rising indices where starting again at a keyframe decodes less."""
        run: list[int] = []
        for index in indices:
            if run and self._keyframe_index(index) - run[-1] > _SEEK_PAYS_BEYOND:
                yield run
                run = []
            run.append(index)
        if run:
            yield run

    def _keyframe_index(self, index: int) -> int:
        """Index of the first frame shown from the keyframe that ``index`` hangs on."""
        keyframes = self._index.keyframes
        before = bisect_right(keyframes, self.pts[index])
        if self._index.decoded or not before:
            return 0
        return bisect_left(self.pts, keyframes[before - 1])

    def _run(self, run: Sequence[int]) -> Iterator[tuple[int, VideoFrame | None]]:
        """Frames that one forward pass serves; begins again further back if it came too late."""
        waiting = deque(run)
        for start in self._starts(run[0]):
            wanted = frozenset(self.pts[index] for index in waiting)
            reading = Pass(self._container, self._stream, start, wanted)
            for pts, frame in self._ranked() if self._index.decoded else reading:
                while waiting and self.pts[waiting[0]] in reading.lost:
                    yield waiting.popleft(), None
                if waiting and pts == self.pts[waiting[0]]:
                    yield waiting.popleft(), frame
                if not waiting:
                    return
                if pts > self.pts[waiting[0]]:
                    break
            while waiting and self.pts[waiting[0]] in reading.lost:
                yield waiting.popleft(), None
            if not waiting:
                return
        for index in waiting:
            yield index, None

    def _starts(self, index: int) -> list[int | None]:
        """Times to seek to for a frame: itself, earlier keyframes, the beginning."""
        if self._index.decoded:
            return [None]
        pts = self.pts[index]
        before = bisect_right(self._index.keyframes, pts)
        earlier = self._index.keyframes[max(0, before - _EARLIER_KEYFRAMES) : before]
        return [pts, *reversed(earlier), None]

    def _ranked(self) -> Iterator[tuple[int, VideoFrame]]:
        """All frames, with their times by rank, where the container's own times are no good."""
        frames = (frame for _, frame in Pass(self._container, self._stream, ordered=False))
        return zip(self.pts, frames, strict=False)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _varies(pts: Sequence[int]) -> bool:
    """Whether frame intervals differ by more than one tick of rounding and one per cent."""
    intervals = np.diff(pts)
    if len(intervals) == 0:
        return False
    usual = float(np.median(intervals))
    return bool(np.abs(intervals - usual).max() > max(1.0, 0.01 * usual))
