"""Bytes that no encoder writes are found out, and those that every encoder writes are let pass."""

from __future__ import annotations

import av
import pytest

from dmef_bench.building.units import packet_check
from dmef_bench.building.video import VideoReader
from dmef_bench.errors import VideoError

from .clips import CLOSED_GOP, OPEN_GOP, photograph, subject_moves, write_clip

HEVC = {"x265-params": "keyint=12:min-keyint=12:bframes=2:log-level=none"}
FILMS = [
    ("a.mp4", "libx264", CLOSED_GOP),
    ("a.mkv", "libx264", OPEN_GOP),
    ("a.avi", "libx264", CLOSED_GOP),
    ("a.mp4", "libx265", HEVC),
]


def zeroed(path, packet: int, length: int):
    """A copy in which a sector of one coded picture was never written."""
    with av.open(str(path)) as container:
        packets = container.demux(container.streams.best("video"))
        place, size = [(each.pos, each.size) for each in packets if each.size][packet]
    content = bytearray(path.read_bytes())
    middle = place + size // 2
    content[middle : middle + length] = bytes(length)
    copy = path.with_stem("zeroed")
    copy.write_bytes(content)
    return copy


def unsound(path) -> int:
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        check = packet_check(stream)
        packets = [bytes(packet) for packet in container.demux(stream) if packet.size]
    return sum(not check(packet) for packet in packets)


@pytest.mark.parametrize(("name", "codec", "options"), FILMS, ids=str)
def test_four_zeros_in_a_coded_picture_are_found(tmp_path, name, codec, options) -> None:
    path = write_clip(tmp_path / name, subject_moves(26), codec=codec, codec_options=options)
    assert unsound(path) == 0
    assert unsound(zeroed(path, packet=13, length=4)) == 1


def test_a_frame_with_zeros_is_refused_with_all_that_hang_on_it(tmp_path) -> None:
    # FFmpeg's HEVC decoder sees nothing wrong with these.
    options = {"x265-params": "keyint=12:min-keyint=12:bframes=0:log-level=none"}
    path = write_clip(tmp_path / "a.mp4", subject_moves(36), codec="libx265", codec_options=options)
    with VideoReader(zeroed(path, packet=15, length=64)) as reader:
        for index in (*range(15), *range(24, 36)):
            reader.frame(index)
        for index in range(15, 24):
            with pytest.raises(VideoError, match="damaged"):
                reader.frame(index)


def test_other_codecs_know_no_forbidden_bytes(tmp_path) -> None:
    path = write_clip(tmp_path / "a.mp4", [photograph()] * 3, codec="mpeg4")
    with av.open(str(path)) as container:
        assert packet_check(container.streams.best("video"))(bytes(40))


def test_no_packet_of_a_real_clip_is_called_damaged(shared) -> None:
    for path in sorted(shared("videos").glob("*.m*")):
        assert unsound(path) == 0, path.name
