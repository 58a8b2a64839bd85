"""How decoded frames become upright RGB: matrix, range, rotation, as tagged or as assumed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from av.filter import Graph
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from dmef_bench.errors import VideoError

FrameU8 = npt.NDArray[np.uint8]
"""(H, W, 3), RGB, display-encoded, as decoded: uint8."""

# Flat patches come out within one level this way; swscale's default is off by two or three. It
# costs 80 CPU ms a 4K frame instead of 4, so only the frames that are kept pay for it.
_ACCURATE = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
_SMALL = "area+accurate_rnd+full_chroma_int"
_PIXEL_FORMATS = re.compile(r"yuvj?4(20|22|44)p(10le)?")
_IN_THE_PICTURES = -1
_FIELD_ORDERS = {
    2: "tt",
    3: "bb",
    4: "tb",
    5: "bt",
    _IN_THE_PICTURES: "in the picture headers",
}
_TURNS = {
    0: None,
    90: cv2.ROTATE_90_COUNTERCLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_CLOCKWISE,
}
_DOLBY_VISION = ("DOVI_METADATA", "DOVI_RPU_BUFFER")
# Code points of ITU-T H.273, as every container and codec stores them.
_MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020"}
_TRANSFERS = {
    1: "bt709",
    4: "gamma22",
    5: "gamma28",
    6: "bt601",
    7: "smpte240m",
    8: "linear",
    11: "iec61966-2-4",
    13: "srgb",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "pq",
    18: "hlg",
}
_PRIMARIES = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "film",
    9: "bt2020",
    11: "smpte431",
    12: "smpte432",
    22: "ebu3213",
}
_UNTAGGED = (0, 2)
_BT2020 = 9
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}


@dataclass(frozen=True)
class Colour:
    """What a stream says about its colours, and what was assumed where it says nothing.

    Parameters
    ----------
    matrix : str
        YCbCr matrix used: ``bt709``, ``bt601``, ``bt2020``, ``fcc`` or ``smpte240m``.
    range : str
        ``full`` (0..255) or ``limited`` (16..235).
    matrix_tagged, range_tagged : bool
        False where the stream was silent and `colour_of` decided.
    transfer, primaries : str
        As tagged, ``untagged`` where the stream is silent.
    converted : str
        ``matrix-only`` where RGB keeps the transfer and the primaries of the recording,
        ``primaries`` where those became BT.709's, ``tone-mapped`` where the transfer changed too.
    """

    matrix: str
    matrix_tagged: bool
    range: str
    range_tagged: bool
    transfer: str
    primaries: str
    converted: str = "matrix-only"


def colour_of(
    *, matrix: int, colour_range: int, transfer: int, primaries: int, height: int, pixel_format: str
) -> Colour:
    """Decide matrix and range from the tags, by convention where they are missing.

    Tags are obeyed even when they look old: a 4K phone clip tagged BT.601 is BT.601.

    Parameters
    ----------
    matrix, transfer, primaries : int
        Code points of ITU-T H.273; 0 and 2 mean untagged (matrix 0, RGB, never comes with YCbCr).
    colour_range : int
        0 untagged, 1 limited, 2 full.
    height : int
        Coded height, before rotation: untagged video of 720 lines or more is BT.709, else BT.601.
    pixel_format : str
        Name of the pixel format; ``yuvj*`` is full range by definition.

    Raises
    ------
    KeyError
        A tagged matrix that is no plain YCbCr matrix (YCgCo, ICtCp, constant luminance).

    Examples
    --------
    >>> silent = dict(matrix=2, colour_range=0, transfer=2, primaries=2, pixel_format="yuv420p")
    >>> colour_of(height=1080, **silent).matrix, colour_of(height=576, **silent).matrix
    ('bt709', 'bt601')
    """
    matrix_tagged = matrix not in _UNTAGGED
    full_by_format = pixel_format.startswith("yuvj")
    full = colour_range == 2 or (colour_range == 0 and full_by_format)
    return Colour(
        matrix=_MATRICES[matrix] if matrix_tagged else ("bt709" if height >= 720 else "bt601"),
        matrix_tagged=matrix_tagged,
        range="full" if full else "limited",
        range_tagged=colour_range != 0 or full_by_format,
        transfer=_name(transfer, _TRANSFERS),
        primaries=_name(primaries, _PRIMARIES),
    )


def _name(code: int, names: dict[int, str]) -> str:
    return "untagged" if code in _UNTAGGED else names.get(code, f"code-{code}")


def hdr_name(*, transfer: int, primaries: int, bits: int, dolby_vision: bool) -> str:
    """Name the HDR signal, ``none`` for standard dynamic range.

    HDR is: an HLG or PQ transfer, BT.2020 primaries with ten bits or more, or a Dolby Vision
    record.

    Examples
    --------
    >>> hdr_name(transfer=18, primaries=9, bits=10, dolby_vision=True)
    'HLG BT.2020 10-bit (Dolby Vision)'
    >>> hdr_name(transfer=1, primaries=12, bits=8, dolby_vision=False)
    'none'
    """
    wide = primaries == _BT2020
    if not (transfer in _HDR_TRANSFERS or (wide and bits >= 10) or dolby_vision):
        return "none"
    parts = [_HDR_TRANSFERS.get(transfer, ""), "BT.2020" if wide else "", f"{bits}-bit"]
    parts.append("(Dolby Vision)" if dolby_vision else "")
    return " ".join(part for part in parts if part)


@dataclass(frozen=True)
class Look:
    """What the first frame shows, or the stream states, about all frames."""

    size: tuple[int, int]
    pixel_format: str
    rotation: int
    colour: Colour
    hdr: str

    @classmethod
    def at(cls, frame: VideoFrame, field_order: int, path: Path) -> Look:
        """Take the facts from a frame; refuse what is not read."""
        if frame.interlaced_frame:
            field_order = field_order if field_order in _FIELD_ORDERS else _IN_THE_PICTURES
        look = cls._from_tags(frame, frame.format.name, field_order, path)
        dolby_vision = any(frame.side_data.get(kind) for kind in _DOLBY_VISION)
        hdr = hdr_name(
            transfer=frame.color_trc,
            primaries=frame.color_primaries,
            bits=_bits(frame.format.name),
            dolby_vision=dolby_vision,
        )
        return replace(look, rotation=_rotation(frame, path), hdr=hdr)

    @classmethod
    def stated(cls, stream: VideoStream, path: Path) -> Look | None:
        """What the stream says before a frame is decoded, all but orientation and Dolby Vision.

        None where it does not even state a pixel format.
        """
        context = stream.codec_context
        if not context.pix_fmt or not context.width:
            return None
        return cls._from_tags(context, context.pix_fmt, context.field_order, path)

    @classmethod
    def _from_tags(
        cls, tagged: VideoFrame | VideoCodecContext, name: str, field_order: int, path: Path
    ) -> Look:
        if field_order in _FIELD_ORDERS:
            raise VideoError(
                f"{path.name}: interlaced (field order {_FIELD_ORDERS[field_order]}). "
                "Deinterlace it first, or record progressive video."
            )
        if not _PIXEL_FORMATS.fullmatch(name):
            raise VideoError(
                f"{path.name}: pixel format {name} is not read. Convert it to yuv420p first."
            )
        try:
            colour = colour_of(
                matrix=tagged.colorspace,
                colour_range=tagged.color_range,
                transfer=tagged.color_trc,
                primaries=tagged.color_primaries,
                height=tagged.height,
                pixel_format=name,
            )
        except KeyError as error:
            raise VideoError(
                f"{path.name}: colour matrix {error} (ITU-T H.273) is not read. "
                "Convert it to BT.709 first."
            ) from error
        hdr = hdr_name(
            transfer=tagged.color_trc,
            primaries=tagged.color_primaries,
            bits=_bits(name),
            dolby_vision=False,
        )
        return cls((tagged.height, tagged.width), name, rotation=0, colour=colour, hdr=hdr)


def _bits(pixel_format: str) -> int:
    return 10 if pixel_format.endswith("10le") else 8


def _rotation(frame: VideoFrame, path: Path) -> int:
    """Degrees to turn the frame counter-clockwise, a multiple of 90."""
    record: Any = frame.side_data.get("DISPLAYMATRIX")
    if record is None:
        return 0
    # ISO/IEC 14496-12: the frame's point (x, y) is shown at (a x + c y, b x + d y).
    a, b, _, c, d = np.frombuffer(bytes(record), np.int32)[:5].tolist()
    if a * d - b * c < 0:
        raise VideoError(
            f"{path.name}: shown mirrored, which is not read. Re-encode it as it is to be seen."
        )
    degrees = -math.degrees(math.atan2(b, a))
    quarters = round(degrees / 90)
    if abs(degrees - 90 * quarters) > 0.1:
        raise VideoError(
            f"{path.name}: shown turned by {degrees:.1f} degrees; only quarter turns are read. "
            "Re-encode it as it is to be seen."
        )
    return 90 * quarters


class ToRgb:
    """From decoded frames to upright RGB of one size, matrix and range stated, not guessed.

    Eight bits a channel, or sixteen where ``deep``.
    """

    def __init__(self, look: Look, size: tuple[int, int], name: str, *, deep: bool = False) -> None:
        self._look = look
        self._name = name
        height, width = look.size
        self._graph = Graph()
        flags = _ACCURATE if size == look.size else _SMALL
        source = self._graph.add(
            "buffer", f"video_size={width}x{height}:pix_fmt={look.pixel_format}:time_base=1/1"
        )
        scale = self._graph.add(
            "scale",
            f"{size[1]}:{size[0]}:in_color_matrix={look.colour.matrix}"
            f":in_range={look.colour.range}:out_range=full:flags={flags}",
        )
        rgb = self._graph.add("format", f"pix_fmts={'rgb48le' if deep else 'rgb24'}")
        self._graph.link_nodes(source, scale, rgb, self._graph.add("buffersink")).configure()

    def __call__(self, frame: VideoFrame) -> npt.NDArray[Any]:
        """Convert one frame; raises `VideoError` if its size is not that of the first."""
        if (frame.height, frame.width) != self._look.size:
            raise VideoError(
                f"{self._name}: the frame size changes to {frame.width}x{frame.height} within the "
                "clip. Cut it there."
            )
        self._graph.vpush(frame)
        rgb = self._graph.vpull().to_ndarray()
        turn = _TURNS[self._look.rotation % 360]
        return rgb if turn is None else cv2.rotate(rgb, turn)


def half_luma(frame: VideoFrame) -> npt.NDArray[np.uint8]:
    """The luma plane at half size, eight bits."""
    plane = frame.planes[0]
    bits = frame.format.components[0].bits
    dtype = np.dtype(np.uint8 if bits == 8 else np.uint16)
    rows = np.frombuffer(memoryview(plane), dtype).reshape(
        plane.height, plane.line_size // dtype.itemsize
    )
    half = cv2.resize(
        rows[:, : plane.width],
        (max(1, plane.width // 2), max(1, plane.height // 2)),
        interpolation=cv2.INTER_AREA,
    )
    return (half >> (bits - 8)).astype(np.uint8)
