"""Decoding forward from a keyframe, and knowing which frames came through undamaged."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import dropwhile
from typing import NamedTuple

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from dmef_bench.building.units import packet_check

# Nothing may depend on a non-reference picture of H.264. HEVC promises that only within one
# temporal layer, and the others mark no such pictures.
_MARKS_UNUSED_PICTURES = ("h264",)


class Pass:
    """One forward decode: (pts, frame) of every sound frame in order of time.

    Iterating reads the container, so two passes over one container must not be mixed.

    Parameters
    ----------
    container, stream
        What to decode.
    start : int or None
        Begin at a keyframe not after this presentation time, if seeking finds it; None begins at
        the first packet.
    wanted : frozenset of int or None
        Times of the frames that matter, None for all; others may be left undecoded.
    ordered : bool
        Whether frames come in order of their times, as they do in every container that has times.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        start: int | None = None,
        wanted: frozenset[int] | None = None,
        *,
        ordered: bool = True,
    ) -> None:
        self._container = container
        self._stream = stream
        self._start = start
        self._wanted = wanted
        self._skips = stream.codec_context.codec.canonical_name in _MARKS_UNUSED_PICTURES
        self._is_sound = packet_check(stream)
        self._track = _Track(ordered=ordered)

    @property
    def lost(self) -> set[int]:
        """Times of frames that were reached, but cannot be decoded without damage."""
        return self._track.lost

    def __iter__(self) -> Iterator[tuple[int, VideoFrame]]:
        for packet in self._packets():
            place = self._track.enter(packet)
            if packet.size and not self._is_sound(bytes(packet)):
                self._track.lose(place)
            try:
                frames = packet.decode()
            except av.FFmpegError:
                frames = []
                if packet.size:
                    self._track.lose(place)
            for frame in frames:
                self._track.leave(frame)
            yield from self._track.released(flushing=not packet.size)

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        """Packets from the first keyframe on, the decoder told which pictures it may leave out."""
        self._seek()
        packets = self._container.demux(self._stream)
        for packet in dropwhile(lambda packet: packet.size and not packet.is_keyframe, packets):
            spare = self._wanted is not None and packet.pts not in self._wanted
            skip = self._skips and spare and packet.size
            self._stream.codec_context.skip_frame = "NONREF" if skip else "DEFAULT"
            yield packet

    def _seek(self) -> None:
        if self._start is not None:
            self._container.seek(self._start, stream=self._stream)
            return
        try:
            # Coded frames may lie before time zero, hidden by an edit list.
            self._container.seek(-(2**40), stream=self._stream)
        except av.FFmpegError:
            self._container.seek(0, stream=self._stream)


class _Place(NamedTuple):
    """Where a packet stands: its number in order of decoding, the groups of pictures it needs."""

    pts: int
    number: int
    groups: tuple[int, ...]


class _Track:
    """Follows frames through the decoder, and damage through the frames that hang on it.

    A decoder marks a damaged frame when it hands it out, which is later than it hands out frames
    that were decoded after it but are shown before it. Those are held back until then. Damage
    lasts to the end of its group of pictures, and takes along the pictures that are shown before
    the next keyframe but stored after it.
    """

    def __init__(self, *, ordered: bool) -> None:
        self.lost: set[int] = set()
        self._ordered = ordered
        self._number = 0
        self._group = 0  # of pictures; none can be decoded in group 0, before the first keyframe
        self._keyframe = 0
        self._damaged: set[int] = set()
        self._inside: dict[int, _Place] = {}
        self._held: deque[tuple[_Place, VideoFrame]] = deque()

    def enter(self, packet: Packet[VideoStream]) -> _Place:
        """Note a packet that goes into the decoder."""
        self._number += 1
        pts = packet.pts or 0
        if packet.is_keyframe:
            self._group += 1
            self._keyframe = pts
        leading = pts < self._keyframe
        groups = (self._group - 1, self._group) if leading else (self._group,)
        place = _Place(pts, self._number, groups)
        if packet.is_corrupt:
            self.lose(place)
        elif not packet.size or 0 in place.groups:
            pass  # the end of the file; or it hangs on what was never read
        elif self._damaged.isdisjoint(place.groups):
            self._inside[pts] = place
        else:
            self.lost.add(pts)
        return place

    def leave(self, frame: VideoFrame) -> None:
        """Note a frame that comes out of the decoder."""
        pts = frame.pts or 0
        if self._ordered:
            # What is still inside with an earlier time was skipped, or is hidden.
            self._inside = {other: at for other, at in self._inside.items() if other >= pts}
        place = self._inside.pop(pts, None)
        if place is None:
            return
        if frame.is_corrupt:
            self.lose(place)
        else:
            self._held.append((place, frame))

    def lose(self, place: _Place) -> None:
        """Give up a frame and all that hang on it."""
        if 0 in place.groups:
            return
        group = place.groups[-1]
        self._damaged.add(group)
        behind = [*self._inside.values(), *(held for held, _ in self._held)]
        victims = {
            other.pts for other in behind if other.number > place.number and group in other.groups
        }
        self.lost |= victims | {place.pts}
        self._inside = {pts: other for pts, other in self._inside.items() if pts not in self.lost}
        self._held = deque(each for each in self._held if each[0].pts not in self.lost)

    def released(self, *, flushing: bool) -> Iterator[tuple[int, VideoFrame]]:
        """Frames that no frame still inside the decoder can cast doubt on."""
        while self._held:
            place, frame = self._held[0]
            doubt = any(other.number < place.number for other in self._inside.values())
            if doubt and self._ordered and not flushing:
                return
            self._held.popleft()
            yield place.pts, frame
