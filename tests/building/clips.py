"""Small clips for tests, written with PyAV: what moves in them, and how they are coded."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
from skimage import data

Picture = npt.NDArray[np.uint8]

OPEN_GOP = {"x264-params": "open-gop=1:keyint=10:min-keyint=10:scenecut=0:bframes=3:b-adapt=0"}
CLOSED_GOP = {"g": "12", "bf": "2"}
LOSSLESS = {"qp": "0", "preset": "ultrafast"}


def write_clip(
    path: Path,
    pictures: Iterable[Picture | av.VideoFrame],
    *,
    codec: str = "libx264",
    fps: int = 30,
    pts: Sequence[int] | None = None,
    pixel_format: str = "yuv420p",
    codec_options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    tags: dict[str, int] | None = None,
    display_matrix: Sequence[int] | None = None,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Encode pictures; ``pts`` in units of 1 / fps, ``tags`` as attributes of the codec."""
    frames = iter(pictures)
    first = _video_frame(next(frames))
    with av.open(str(path), "w", options=container_options or {}) as container:
        container.metadata.update(metadata or {})
        stream = container.add_stream(codec, rate=fps, options=codec_options or {})
        stream.width, stream.height, stream.pix_fmt = first.width, first.height, pixel_format
        stream.codec_context.time_base = Fraction(1, fps)
        for name, value in (tags or {}).items():
            setattr(stream.codec_context, name, value)
        if display_matrix is not None:
            stream.set_display_matrix(display_matrix)
        for number, picture in enumerate([first, *frames]):
            frame = _video_frame(picture)
            frame.pts = number if pts is None else pts[number]
            frame.time_base = Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _video_frame(picture: Picture | av.VideoFrame) -> av.VideoFrame:
    if isinstance(picture, av.VideoFrame):
        return picture
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")


def photograph(height: int = 216, width: int = 384) -> Picture:
    """A photograph with detail everywhere."""
    return cv2.resize(data.coffee(), (width, height), interpolation=cv2.INTER_AREA)


def subject_moves(
    count: int, *, height: int = 216, width: int = 384, step: float = 3
) -> list[Picture]:
    """A cat's face crosses a still room, ``step`` pixels a frame."""
    room = photograph(height, width)
    face = cv2.resize(data.chelsea()[40:240, 120:320], (height // 3, height // 3))
    pictures = []
    for number in range(count):
        picture = room.copy()
        left = 10 + round(number * step) % (width - height // 3 - 20)
        picture[height // 3 : height // 3 + face.shape[0], left : left + face.shape[1]] = face
        pictures.append(picture)
    return pictures


def camera_moves(
    count: int, *, height: int = 216, width: int = 384, step: float = 2
) -> list[Picture]:
    """The same room, panned over; nothing in it moves."""
    room = photograph(2 * height, 2 * width)
    pictures = []
    for number in range(count):
        left = round(number * step) % width
        pictures.append(room[height // 2 : height // 2 + height, left : left + width])
    return pictures


def numbered(count: int, *, height: int = 96, width: int = 128) -> Iterator[Picture]:
    """Pictures that all differ from one another, cheap to encode."""
    for number in range(count):
        picture = np.full((height, width, 3), 60, np.uint8)
        left = (3 * number) % (width - 20)
        picture[20:50, left : left + 20] = [200, 80, 20]
        picture[60:90, 10:40] = 40 + (5 * number) % 200
        yield picture


def decoded_in_order(path: Path) -> list[av.VideoFrame]:
    """All frames as FFmpeg shows them when it plays the file from start to end."""
    with av.open(str(path)) as container:
        return list(container.decode(container.streams.best("video")))


def trim_by_edit_list(path: Path, trimmed: Path, *, first: int, count: int, fps: int = 30) -> Path:
    """Copy an MP4 whose edit list shows ``count`` frames from ``first`` on, as phones trim."""
    content = bytearray(path.read_bytes())
    entry = content.index(b"elst") + 12  # after the name, version and flags, and the entry count
    duration, media_time = struct.unpack(">Ii", content[entry : entry + 8])
    frames = len(decoded_in_order(path))
    with av.open(str(path)) as container:
        ticks = container.streams.video[0].time_base.denominator // fps
    content[entry : entry + 8] = struct.pack(
        ">Ii", duration * count // frames, media_time + first * ticks
    )
    trimmed.write_bytes(content)
    return trimmed


def cut(path: Path, copy: Path, share: float) -> Path:
    """Copy the first part of a file, as an interrupted transfer does."""
    content = path.read_bytes()
    copy.write_bytes(content[: int(share * len(content))])
    return copy


def damage(path: Path, copy: Path, *, packet: int) -> Path:
    """Copy a file with bytes overwritten in the middle of one coded frame."""
    with av.open(str(path)) as container:
        packets = container.demux(container.streams.best("video"))
        place, size = [(each.pos, each.size) for each in packets if each.size][packet]
    content = bytearray(path.read_bytes())
    middle = place + size // 2
    content[middle : place + size - 2] = bytes([0xA5]) * (place + size - 2 - middle)
    copy.write_bytes(content)
    return copy
