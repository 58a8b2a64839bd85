"""Three exact frames of a 4K clip against the least that decoding them can cost.

The peer opens the clip, seeks to the keyframe before each wanted frame and decodes up to it, with
PyAV and one thread; it checks nothing and converts nothing. Ours opens the clip, indexes it, looks
for truncation, HDR and rotation, decodes exactly, and converts to RGB. Two clips: as phones record
them (every picture a reference), and with B-frames, where ours leaves unused pictures undecoded.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from side_by_side import compare, report
from skimage import data

from dmef_bench.building.video import VideoReader

SIZE = (2160, 3840)
FRAMES = 60
TRIPLE = (20, 25, 30)
PHONE = {"preset": "superfast", "g": "60", "bf": "0", "b": "67M"}
B_FRAMES = {"preset": "superfast", "g": "60", "bf": "3", "b-pyramid": "none", "b": "67M"}


def write_clip(path: Path, options: dict[str, str]) -> Path:
    """Pan over a photograph under fresh sensor noise, at the bit rate of a phone."""
    height, width = SIZE
    photo = cv2.resize(data.coffee(), (width + 4 * FRAMES, height), interpolation=cv2.INTER_CUBIC)
    noise = np.random.default_rng(4).integers(0, 9, photo.shape, np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 30)
        for number in range(FRAMES):
            pan = slice(4 * number, 4 * number + width)
            picture = cv2.add(photo[:, pan], np.roll(noise, 97 * number, axis=0)[:, :width])
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def ours(path: Path) -> list[np.ndarray]:
    """Read the triple as a build does, its hash known already."""
    with VideoReader(path, sha256="0" * 64) as reader:
        return list(reader.frames(TRIPLE))


def floor(path: Path, pts: Sequence[int]) -> None:
    """Decode up to the last wanted frame: all three lie in one group of pictures."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        container.seek(pts[0], stream=stream)
        for frame in container.decode(stream):
            if frame.pts >= pts[-1]:
                return


def measure(folder: Path, name: str, options: dict[str, str]) -> dict:
    """Both on one clip."""
    path = write_clip(folder / f"{name}.mp4", options)
    with VideoReader(path) as reader:
        pts = [reader.pts[index] for index in TRIPLE]
        megabits = 8e-6 * reader.info.bytes / float(reader.info.duration)
    figures = compare(lambda: ours(path), lambda: floor(path, pts))
    return {"megabits_s": megabits, **figures}


def main() -> None:
    """Make two clips and compare on each."""
    with tempfile.TemporaryDirectory() as folder:
        clips = {"phone": PHONE, "b_frames": B_FRAMES}
        figures = {name: measure(Path(folder), name, clips[name]) for name in clips}
    report("video_frames", **figures)


if __name__ == "__main__":
    main()
