"""A source opened as the recipe wants it, and the three samples of a scene read from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from dmef_bench.building.clip import Clip
from dmef_bench.building.colour import FrameU8
from dmef_bench.building.packets import TruncatedError
from dmef_bench.building.primaries import in_bt709
from dmef_bench.building.recipe import Recipe
from dmef_bench.building.sequence import SequenceReader
from dmef_bench.building.tone import ToneMapped
from dmef_bench.building.video import HdrError, VideoReader
from dmef_bench.errors import VideoError
from dmef_bench.scene import size_text

UHD = (2160, 3840)
"""(short side, long side)."""

_NO_HASH = "not computed"


@contextmanager
def open_clip(
    path: Path,
    recipe: Recipe,
    *,
    fps: int | None = None,
    sha256: str | None = None,
    undecoded: bool = False,
) -> Iterator[Clip]:
    """Open a video, or a folder of pictures that come ``fps`` a second.

    Parameters
    ----------
    path : Path
        A file, or a folder where ``fps`` is given.
    recipe : Recipe
        What to do with HDR, truncated and small video.
    fps : int, optional
        Pictures a second of a folder.
    sha256 : str, optional
        Of the source, for its `info`; not computed here.
    undecoded : bool
        Only to plan with: no frame is decoded.

    Raises
    ------
    VideoError
        It is refused; the message names the option that would admit it.
    """
    clip: Clip
    if fps is not None:
        clip = SequenceReader(path, fps, sha256=sha256 or _NO_HASH)
    else:
        clip = _open_video(path, recipe, sha256 or _NO_HASH, undecoded=undecoded)
    try:
        size = (clip.info.height, clip.info.width)
        if recipe.require_4k and not is_uhd(size):
            raise VideoError(
                f"{path.name}: {size_text(size)}; --require-4k admits {size_text(UHD)} and larger."
            )
        yield clip
    finally:
        clip.close()


def _open_video(path: Path, recipe: Recipe, sha256: str, *, undecoded: bool) -> Clip:
    try:
        reader = VideoReader(
            path,
            sha256=sha256,
            allow_hdr=recipe.hdr == "tonemap",
            salvage=recipe.salvage,
            undecoded=undecoded,
        )
    except TruncatedError as error:
        raise VideoError(
            f"{path.name}: truncated, {error.present} present. Copy it again, or use --salvage "
            "for the readable part."
        ) from error
    except HdrError as error:
        raise VideoError(
            f"{path.name}: {error.hdr}. 8-bit exposures from HDR need a tone curve: re-record in "
            "SDR, or pass --hdr tonemap."
        ) from error
    if reader.info.hdr == "none":
        return reader
    try:
        return ToneMapped(reader)
    except VideoError:
        reader.close()
        raise


def is_uhd(size: tuple[int, int]) -> bool:
    """Whether a picture of (height, width), upright or not, is at least 3840x2160."""
    return min(size) >= UHD[0] and max(size) >= UHD[1]


def read_samples(clip: Clip, indices: Sequence[int], recipe: Recipe) -> list[FrameU8]:
    """The three frames of a scene, as the recipe wants their colours and size.

    Parameters
    ----------
    clip : Clip
        From `open_clip`.
    indices : sequence of int
        Of samples 1, 2 and 3.

    Returns
    -------
    list of ndarray, shape (H, W, 3), uint8
    """
    frames = []
    for frame in clip.frames(indices):
        if recipe.to_srgb and clip.info.hdr == "none":
            frame = in_bt709(frame, clip.info.colour.primaries)
        frames.append(shrunk_to_uhd(frame) if recipe.resize == "4k" else frame)
    return frames


def shrunk_to_uhd(frame: FrameU8) -> FrameU8:
    """The picture shrunk by area until it fits into 3840x2160, or 2160x3840; never enlarged.

    Examples
    --------
    >>> shrunk_to_uhd(np.zeros((4320, 7680, 3), np.uint8)).shape
    (2160, 3840, 3)
    >>> shrunk_to_uhd(np.zeros((1080, 1920, 3), np.uint8)).shape
    (1080, 1920, 3)
    """
    height, width = frame.shape[:2]
    share = min(1.0, UHD[1] / max(height, width), UHD[0] / min(height, width))
    if share == 1.0:
        return frame
    size = (round(width * share), round(height * share))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
