"""Triples one after another through one warm method, and what its cache does, frame by frame."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median_low
from typing import Any

from dmef_bench import strict_json
from dmef_bench.errors import UsageError
from dmef_bench.harness.bands import PictureSink
from dmef_bench.harness.folder import STREAM_LOG
from dmef_bench.harness.frames import BracketFrames, Frame, VideoFrames
from dmef_bench.harness.fuse import (
    How,
    check_evs_known,
    check_room,
    choose_method,
    enough_memory,
    fuse_stack,
    pour,
)
from dmef_bench.method import CachingMethod, CalibratedMethod, Method, StatefulMethod, traits
from dmef_bench.metrics.psnr import psnr
from dmef_bench.photo.saving import saving
from dmef_bench.scene import Image

_GAUGES = {"bytes"}
"""Counters that state what is; all others count what happened."""


@dataclass
class StreamReport:
    """What a stream did.

    Parameters
    ----------
    log : Path
        The file with the same lines.
    method : str
        Name of the method.
    remarks : tuple of str
        What a person should know.
    lines : list
        One mapping a frame: ``frame``, ``seconds``, ``cache``, ``hit_rate``,
        ``psnr_against_cold``, ``psnr_against_truth``; None for what was not measured.
    """

    log: Path
    method: str
    remarks: tuple[str, ...] = ()
    lines: list[dict[str, Any]] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Frames, median seconds after the first, hit rate, and lowest and median PSNR."""
        warm = self.lines[1:] or self.lines
        hits, misses = (self._total(kind) for kind in ("hits", "misses"))
        summary: dict[str, Any] = {
            "log": str(self.log),
            "method": self.method,
            "frames": len(self.lines),
            "median_fuse_s": median_low(line["seconds"]["fuse"] for line in warm),
            "hit_rate": _rate(hits, misses),
        }
        for kind in ("psnr_against_cold", "psnr_against_truth"):
            values = [line[kind] for line in self.lines if line[kind] is not None]
            # A lower median, because identical pictures are infinitely alike.
            summary[kind] = (
                {"median": median_low(values), "lowest": min(values)} if values else None
            )
        return summary

    def text(self) -> tuple[str, ...]:
        """The same for people."""
        told = self.summary()
        parts = [f"{told['frames']} frames", f"{told['median_fuse_s']:.2f} s a frame (median)"]
        if told["hit_rate"] is not None:
            parts.append(f"cache hit rate {told['hit_rate']:.1%}")
        for kind, name in (("cold", "the cold result"), ("truth", "the truth")):
            if db := told[f"psnr_against_{kind}"]:
                parts.append(f"{db['median']:.2f} dB against {name}, at worst {db['lowest']:.2f}")
        return (*self.remarks, f"{self.log}: {self.method}, {'; '.join(parts)}")

    def _total(self, kind: str) -> float:
        return math.fsum((line["cache"] or {}).get(kind, 0) for line in self.lines)


def fuse_stream(
    method_name: str | None,
    options: Mapping[str, Any],
    source: Path,
    out: Path,
    *,
    evs: Sequence[float] | None = None,
    how: How | None = None,
    measure_loss: bool = False,
    limit: int | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> StreamReport:
    """Fuse consecutive triples through one method that is never reset.

    Parameters
    ----------
    method_name, options, how
        See `dmef_bench.harness.fuse.fuse_files`. A method that has to be calibrated is, on the
        first triple.
    source : Path
        A folder of brackets, taken in the order of their names; or a video, each of whose frames
        but the first and the last is fused from the frame before, itself and the frame after,
        exposed at ``evs``: the frame is the truth.
    out : Path
        Folder of the fused pictures, PNG, and of the log.
    evs : sequence of float, optional
        Stops: of a bracket's pictures in the order of their names; of the three exposures made
        from a video, by default those of the default preset.
    measure_loss : bool
        Fuse every frame once more by a second method that is reset before each, and compare.
    limit : int, optional
        So many frames at most.
    overwrite : bool
        Replace an earlier log and pictures.
    progress : callable, optional
        Told how many frames are done, of how many, and the last one's name.

    Raises
    ------
    DmefError
        No such source or method, or a frame that cannot be read, fused or written; the log keeps
        the frames before it.
    """
    how = how or How()
    log = out / STREAM_LOG
    _check(how, log, limit, overwrite)
    opened = VideoFrames(source, evs) if source.is_file() else BracketFrames(source, out, evs)
    with closing(opened) as frames:
        total = min(len(frames), limit or len(frames))
        method, remarks = choose_method(method_name, options, evs_known=frames.evs_known)
        check_evs_known(method, frames.evs_known)
        wants = traits(method).exposures
        warm = _Warm(method, how, out, overwrite)
        if measure_loss:
            warm.twin, _ = choose_method(method_name, options, evs_known=frames.evs_known)
        report = StreamReport(log, method.name, (*frames.remarks, *remarks))
        out.mkdir(parents=True, exist_ok=True)
        with log.open("w", encoding="utf-8") as lines:
            for number, frame in enumerate(frames.read(total, wants), start=1):
                report.lines.append(warm.fuse(frame))
                lines.write(f"{strict_json.dumps(report.lines[-1])}\n")
                lines.flush()
                if progress:
                    progress(number, total, frame.name)
    return report


def _check(how: How, log: Path, limit: int | None, overwrite: bool) -> None:
    if how.streaming == "yes":
        raise UsageError("A stream is fused frame by frame in memory; leave --streaming out.")
    if limit is not None and limit < 1:
        raise UsageError(f"limit is {limit}; give the number of frames to fuse, 1 or more.")
    if log.exists() and not overwrite:
        raise UsageError(f"{log} exists; choose another folder, or --overwrite.")


@dataclass(eq=False)
class _Warm:
    """A method that is never reset, and beside it a twin that forgets before every frame."""

    method: Method
    how: How
    out: Path
    overwrite: bool
    twin: Method | None = None
    _begun: bool = False

    def fuse(self, frame: Frame) -> dict[str, Any]:
        """Fuse, write and measure one frame: its line in the log."""
        seconds: dict[str, float] = {}
        if not self._begun:
            check_room(self.method, frame.stack.size, self.how)
        with enough_memory(self.method):
            if isinstance(self.method, CalibratedMethod) and not self._begun:
                with _clock(seconds, "calibrate"):
                    self.method.calibrate([frame.stack])
            self._begun = True
            before = _counters(self.method)
            with _clock(seconds, "fuse"):
                fused = fuse_stack(self.method, frame.stack, self.how)
            cache = _since(before, _counters(self.method))
            loss = self._loss(fused, frame, seconds)
        with _clock(seconds, "write"):
            self._write(fused, frame)
        return {
            "frame": frame.name,
            "seconds": seconds,
            "cache": cache,
            "hit_rate": cache and _rate(cache.get("hits", 0), cache.get("misses", 0)),
            "psnr_against_cold": loss,
            "psnr_against_truth": None if frame.truth is None else psnr(fused, frame.truth),
        }

    def _loss(self, fused: Image, frame: Frame, seconds: dict[str, float]) -> float | None:
        if self.twin is None:
            return None
        if isinstance(self.twin, StatefulMethod):
            self.twin.reset()
        with _clock(seconds, "cold"):
            cold = fuse_stack(self.twin, frame.stack, self.how)
        return psnr(fused, cold)

    def _write(self, fused: Image, frame: Frame) -> None:
        path, size = self.out / f"{frame.name}.png", frame.stack.size
        if path.exists() and not self.overwrite:
            raise UsageError(f"{path} exists; choose another folder, or --overwrite.")
        with saving(path, size, frame.bits, icc=frame.icc) as write:
            pour(fused, PictureSink(write, size, frame.bits, self.method.name))


@contextmanager
def _clock(seconds: dict[str, float], name: str) -> Iterator[None]:
    begin = time.perf_counter()
    yield
    seconds[name] = round(time.perf_counter() - begin, 4)


def _counters(method: Method) -> dict[str, float] | None:
    """What the cache has counted so far; None where there is none, or it is off."""
    return (dict(method.cache_counters()) or None) if isinstance(method, CachingMethod) else None


def _since(
    before: Mapping[str, float] | None, after: Mapping[str, float] | None
) -> dict[str, float] | None:
    """What a frame added to the counters."""
    if before is None or after is None:
        return None
    return {
        name: value - (0 if name in _GAUGES else before.get(name, 0))
        for name, value in after.items()
    }


def _rate(hits: float, misses: float) -> float | None:
    return hits / (hits + misses) if hits + misses else None
