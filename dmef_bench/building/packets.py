"""The coded side of a video: its main stream, its packets, and whether all of them are there."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from dmef_bench.building.decoding import Pass
from dmef_bench.errors import VideoError

_STATING = {".mp4", ".mov", ".m4v"}
# Four-letter names a QuickTime or MP4 file may begin with.
_QUICKTIME_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")

SALVAGE_S = 1
"""The least readable part, in seconds, that is worth salvaging."""


class TruncatedError(VideoError):
    """A video that ends early; ``present`` says how much of it is there."""

    def __init__(self, name: str, present: str) -> None:
        super().__init__(
            f"{name}: truncated, {present} present. Copy it again from where it was recorded."
        )
        self.name, self.present = name, present

    def __reduce__(self) -> tuple[type[TruncatedError], tuple[str, str]]:
        return TruncatedError, (self.name, self.present)


def open_video(path: Path, *, glance: bool = False) -> tuple[InputContainer, VideoStream]:
    """Open a file and choose its main video stream, set up for exact decoding.

    Parameters
    ----------
    path : Path
        A video file.
    glance : bool
        Decode as little as FFmpeg can be talked into, for planning.

    Returns
    -------
    container, stream
        The caller closes the container.

    Raises
    ------
    VideoError
        Nothing there, a folder, no video, or a file that ends before its index.
    """
    if not path.is_file():
        what = "is a folder; give video files" if path.is_dir() else "does not exist"
        raise VideoError(f"{path}: {what}.")
    try:
        container = _opened(path, glance=glance)
    except av.FFmpegError as error:
        raise VideoError(f"{path.name}: {_why_unopened(path)}") from error
    try:
        stream = _main_stream(container, path)
    except VideoError:
        container.close()
        raise
    stream.codec_context.thread_count = 1
    if stream.codec_context.codec.canonical_name != "h264":
        # A damaged slice is to be an error, not a patched-up picture. FFmpeg marks patched-up
        # H.264 as corrupt without this, and with it, takes a seek into an open group of pictures
        # for damage.
        stream.codec_context.options = {"err_detect": "explode"}
    return container, stream


def _opened(path: Path, *, glance: bool) -> InputContainer:
    # FFmpeg decodes up to twenty frames of H.264 to guess how the decoder will order them: 0.2 CPU
    # s at 4K. These containers state all that a plan needs. Of several video streams, though, it
    # takes that for the best of which it saw the most.
    if glance and path.suffix.lower() in _STATING:
        container = av.open(str(path), metadata_errors="replace", options={"probesize": "32"})
        if len(container.streams.video) == 1:
            return container
        container.close()
    return av.open(str(path), metadata_errors="replace")


def _why_unopened(path: Path) -> str:
    with path.open("rb") as file:
        begins_like_quicktime = file.read(8)[4:] in _QUICKTIME_BOXES
    if begins_like_quicktime:
        return "cannot be opened; the file ends before its index (interrupted copy?)."
    return "not a video (no streams recognised). Skipped."


def _main_stream(container: InputContainer, path: Path) -> VideoStream:
    """The best video stream that is no cover picture."""
    films = [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic
    ]
    if not films:
        kinds = " and ".join(sorted({stream.type for stream in container.streams}))
        raise VideoError(f"{path.name}: not a video (it holds {kinds or 'no streams'}).")
    best = container.streams.best("video")
    stream = best if best in films else films[0]
    if getattr(stream, "codec_context", None) is None:  # PyAV: unknown to FFmpeg
        raise VideoError(
            f"{path.name}: its video is coded in a way that is not known here. "
            "Copy it again, or convert it to H.264 first."
        )
    return stream


@dataclass(frozen=True)
class PacketIndex:
    """The coded frames of a stream, found without decoding.

    Parameters
    ----------
    pts : tuple of int
        Presentation times of the frames to be shown, in ticks, rising: frame n has ``pts[n]``.
    end : int
        When the last of them ends.
    keyframes : tuple of int
        Presentation times a decoder can start from, rising, hidden ones included.
    packets, discarded : int
        All coded frames, and those of them that are never shown (edit lists).
    last_group : int
        Time from which on frames hang on the last keyframe.
    cut_short : bool
        Whether the last packet in the file is incomplete.
    decoded : bool
        Whether the times had to be found by decoding: the container has none worth the name.
    """

    pts: tuple[int, ...]
    end: int
    keyframes: tuple[int, ...]
    packets: int
    discarded: int
    last_group: int
    cut_short: bool
    decoded: bool = False

    def without_last_group(self) -> PacketIndex:
        """What is left when nothing that hangs on the last keyframe is trusted."""
        kept = tuple(pts for pts in self.pts if pts < self.last_group)
        return replace(self, pts=kept, end=self.last_group, cut_short=False)


class _Coded(NamedTuple):
    """What the index needs of a packet; the packet itself would keep its bytes in memory."""

    pts: int
    duration: int
    is_keyframe: bool
    is_discard: bool
    is_corrupt: bool


def read_index(container: InputContainer, stream: VideoStream, path: Path) -> PacketIndex:
    """List the packets of a stream; one without presentation times is decoded once.

    Parameters
    ----------
    container, stream
        As `open_video` returned them, not read from yet.
    path : Path
        For messages.

    Raises
    ------
    VideoError
        Unreadable packets, no frame to show, or two frames at one time.
    """
    packets = _packets(container, stream, path)
    shown = [packet for packet in packets if not packet.is_discard]
    decoded = _lacks_presentation_times(container, stream, packets)
    if decoded:
        times = sorted(pts for pts, _ in Pass(container, stream, ordered=False))
        if len(times) < len(shown):
            raise VideoError(
                f"{path.name}: {len(shown) - len(times)} of {len(shown)} frames are damaged, and "
                "its container does not say when the others are shown. Copy the file again."
            )
    else:
        times = sorted(packet.pts for packet in shown)
    if not times:
        raise VideoError(f"{path.name}: holds no frame that is shown. Copy the file again.")
    if len(set(times)) < len(times):
        raise VideoError(
            f"{path.name}: two frames have one presentation time. "
            "Remux it (ffmpeg -i IN -c copy OUT.mp4) or record it again."
        )
    return PacketIndex(
        pts=tuple(times),
        end=times[-1] + shown[-1].duration,
        keyframes=tuple(sorted(packet.pts for packet in packets if packet.is_keyframe)),
        packets=len(packets),
        discarded=len(packets) - len(shown),
        last_group=_last_group(packets),
        cut_short=packets[-1].is_corrupt,
        decoded=decoded,
    )


def _last_group(packets: list[_Coded]) -> int:
    """Earliest time among the last keyframe and all that is stored after it."""
    last = max((n for n, packet in enumerate(packets) if packet.is_keyframe), default=0)
    return min(packet.pts for packet in packets[last:])


def _packets(container: InputContainer, stream: VideoStream, path: Path) -> list[_Coded]:
    coded = []
    try:
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if packet.pts is None:
                raise VideoError(
                    f"{path.name}: its frames carry no presentation times. "
                    "Remux it (ffmpeg -fflags +genpts -i IN -c copy OUT.mp4)."
                )
            flags = packet.is_keyframe, packet.is_discard, packet.is_corrupt
            coded.append(_Coded(packet.pts, packet.duration or 0, *flags))
    except av.FFmpegError as error:
        raise VideoError(
            f"{path.name}: cannot be read to its end ({error.strerror}). Copy the file again."
        ) from error
    return coded


def _lacks_presentation_times(
    container: InputContainer, stream: VideoStream, packets: list[_Coded]
) -> bool:
    """AVI stores times of decoding only, and FFmpeg hands them on as if they were of showing."""
    reorders = stream.codec_context.has_b_frames
    in_order = all(before.pts < after.pts for before, after in pairwise(packets))
    return bool(container.format.name == "avi" and reorders and in_order)


def check_complete(
    container: InputContainer, stream: VideoStream, index: PacketIndex, path: Path
) -> str:
    """Compare what is there with what the container states.

    Cut files often read without any error: only the count, or the duration, betrays them.

    Returns
    -------
    str
        ``verified``, or ``unverified`` where the container states nothing to compare with.

    Raises
    ------
    TruncatedError
        Frames are missing.
    VideoError
        There are more than the container states.
    """
    if stream.frames:
        present = index.packets - index.cut_short
        if present < stream.frames:
            # An edit list may keep packets from being handed out at all: count without it.
            present = _count_without_edit_list(path, stream.index)
        if present > stream.frames:
            raise VideoError(
                f"{path.name}: states {stream.frames} frames and holds {present}; its index is "
                "damaged. Copy it again, or remux it (ffmpeg -i IN -c copy OUT.mp4)."
            )
        if present < stream.frames:
            raise TruncatedError(path.name, f"{present} of {stream.frames} frames")
        return "verified"
    if index.cut_short:
        raise TruncatedError(path.name, f"{index.packets - 1} whole frames")
    stated_s = _stated_seconds(container, stream)
    if stated_s is None:
        return "unverified"
    present_s = float(index.end * (stream.time_base or 1))
    # The statement is rounded, and may be that of a slightly longer sound track.
    tolerance_s = max(2 / float(stream.average_rate or 1), 0.01 * stated_s)
    if present_s < stated_s - tolerance_s:
        raise TruncatedError(path.name, f"{present_s:.1f} of {stated_s:.1f} s")
    return "verified"


def salvaged(index: PacketIndex, stream: VideoStream, path: Path) -> PacketIndex:
    """The part of a truncated video that can be trusted: all but its last group of pictures.

    Raises
    ------
    VideoError
        Less than `SALVAGE_S` of it.
    """
    rest = index.without_last_group()
    span = (rest.end - rest.pts[0]) * (stream.time_base or Fraction(1)) if rest.pts else Fraction()
    if span < SALVAGE_S:
        raise VideoError(
            f"{path.name}: truncated, and only {float(span):.1f} s before its last keyframe can be "
            f"trusted; {SALVAGE_S} s is needed. Copy it again from where it was recorded."
        )
    return rest


def _count_without_edit_list(path: Path, stream_index: int) -> int:
    with av.open(
        str(path), options={"ignore_editlist": "1"}, metadata_errors="replace"
    ) as container:
        packets = container.demux(container.streams[stream_index])
        return sum(packet.size > 0 and not packet.is_corrupt for packet in packets)


def _stated_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """Duration that the header states; other containers' durations are read off what is there."""
    if "matroska" not in container.format.name:
        return None
    tag = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", stream.metadata.get("DURATION", ""))
    if tag:
        hours, minutes, seconds = tag.groups()
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    return None if container.duration is None else container.duration / av.time_base
