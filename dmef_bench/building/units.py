"""What a coded picture of H.264 or HEVC can never hold: damage that decoders take for pictures."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from av.video.stream import VideoStream

# Rec. ITU-T H.264 and H.265, 7.4.1 and 7.4.2: an encoder breaks up these with a byte of 3.
_FORBIDDEN = re.compile(rb"\x00\x00(?:[\x00-\x02]|\x03[^\x00-\x03])")
_START = b"\x00\x00\x01"
# Where the configuration record states how long a unit's length is (ISO/IEC 14496-15).
_LENGTH_AT = {"h264": 4, "hevc": 21}


def packet_check(stream: VideoStream) -> Callable[[bytes], bool]:
    """A test for the packets of a stream: whether all bytes may stand in a coded picture.

    A run of zeros, as failing disks and half-finished copies leave it, never passes. Other codecs
    than H.264 and HEVC know no forbidden bytes; their packets always pass.
    """
    at = _LENGTH_AT.get(stream.codec_context.codec.canonical_name)
    if at is None:
        return lambda _: True
    record = stream.codec_context.extradata or b""
    if len(record) > at and record[0] == 1:
        length = record[at] % 4 + 1
        # Some writers leave a start code and an end of the stream behind the last unit.
        return lambda data: all(map(_is_sound, _by_length(data, length)))
    return _is_sound


def _is_sound(data: bytes | None) -> bool:
    """Whether units between start codes hold nothing forbidden; zeros behind one are none of it."""
    if data is None:
        return False
    return not any(_FORBIDDEN.search(unit.rstrip(b"\x00")) for unit in data.split(_START))


def _by_length(data: bytes, length: int) -> Iterator[bytes | None]:
    r"""Units that each follow their length; None for one that is longer than what is left.

    Examples
    --------
    >>> list(_by_length(b"\0\2ab\0\1c", 2)), list(_by_length(b"\0\2ab\0\3c", 2))
    ([b'ab', b'c'], [b'ab', None])
    """
    place = 0
    while place < len(data):
        size = int.from_bytes(data[place : place + length], "big")
        end = place + length + size
        yield data[place + length : end] if end <= len(data) else None
        place = end
