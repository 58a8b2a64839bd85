"""Triples chosen without measuring: at fixed parts of a clip, or as somebody wrote them down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dmef_bench.building.clip import Clip, nearest, seconds
from dmef_bench.building.triples import Selection, triple_of
from dmef_bench.errors import VideoError

# Seconds are written down with three digits, or more.
_SECONDS_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Pick:
    """Three moments of a clip that somebody chose.

    Parameters
    ----------
    times : tuple of float
        Of samples 1, 2 and 3, rising: ticks of the stream, or seconds.
    unit : {"pts", "seconds"}
        Which of them.
    """

    times: tuple[float, float, float]
    unit: str


def uniform_triple(clip: Clip) -> Selection:
    """Take the frames at 25, 50 and 75 % of a clip; nothing is measured.

    Parameters
    ----------
    clip : Clip
        An open clip.

    Raises
    ------
    VideoError
        Fewer than three frames.
    """
    times = seconds(clip)
    if len(times) < 3:
        raise VideoError(f"{clip.path.name}: {len(times)} frames; a scene needs three.")
    span = times[-1] - times[0]
    indices = [nearest(times, times[0] + part * span) for part in (0.25, 0.5, 0.75)]
    if len(set(indices)) < 3:
        indices = [0, len(times) // 2, len(times) - 1]
    return Selection((triple_of(clip, indices),))


def listed_triples(clip: Clip, picks: Sequence[Pick]) -> Selection:
    """Take the frames of a list, exactly; nothing is measured.

    Parameters
    ----------
    clip : Clip
        An open clip.
    picks : sequence of Pick
        At least one, each with a sample 2 of its own.

    Raises
    ------
    VideoError
        No frame has a listed time, or two triples share their sample 2.
    """
    triples = [
        triple_of(clip, [_index(clip, time, pick.unit) for time in pick.times]) for pick in picks
    ]
    middles = [triple.indices[1] for triple in triples]
    if len(set(middles)) < len(middles):
        raise VideoError(
            f"{clip.path.name}: two listed triples share their sample 2, which gives a scene its "
            "name. List one of them."
        )
    return Selection(tuple(triples))


def _index(clip: Clip, time: float, unit: str) -> int:
    """The frame at a listed time: ticks to the tick, seconds to the millisecond."""
    if unit == "pts":
        if time in clip.pts:
            return clip.pts.index(int(time))
        stated = f"time {time:g} of its own clock"
    else:
        times = seconds(clip)
        index = nearest(times, time)
        if abs(times[index] - time) <= _SECONDS_TOLERANCE:
            return index
        stated = f"{time:g} s"
    first, last = float(clip.time(0)), float(clip.time(len(clip) - 1))
    raise VideoError(
        f"{clip.path.name}: no frame at {stated}; it shows {len(clip)} frames from "
        f"{first:g} to {last:g} s. Correct the list."
    )
