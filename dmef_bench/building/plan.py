"""What a build would do, from the videos' indexes alone: scenes, refusals, time, room."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dmef_bench.building.clip import Clip, seconds
from dmef_bench.building.opening import UHD, open_clip
from dmef_bench.building.picking import Pick, listed_triples
from dmef_bench.building.recipe import Recipe
from dmef_bench.building.room import free_bytes
from dmef_bench.building.scenes import EVERY, TRIPLE
from dmef_bench.building.selection import find_candidates, too_short
from dmef_bench.errors import UnavailableError, VideoError
from dmef_bench.scene import size_text

# One core of 2024, one thread (benchmarks/build.py).
_DECODE_S_PER_MEGAPIXEL = 0.004
_DECODE_S_PER_MEGABYTE = 0.12
_STORE_S_PER_MEGAPIXEL = {"png": 0.13, "jxl": 0.08}
_BYTES_PER_PIXEL = {"png": 1.5, "jxl": 1.1}
"""Of a level-1 PNG, and of lossless JPEG XL, from camera video."""

_MARGIN = 1.1


@dataclass(frozen=True)
class Forecast:
    """What one video would become.

    Parameters
    ----------
    video : str
        Its name.
    size : tuple of int
        (height, width) of its pictures as stored.
    seconds : float
        Its length.
    scenes : int
        At most so many; whether anything moves is known only once it is decoded.
    cpu_s : float
        Estimate, one core.
    bytes : int
        Estimate of what it takes on the disk.
    """

    video: str
    size: tuple[int, int]
    seconds: float
    scenes: int
    cpu_s: float
    bytes: int


@dataclass(frozen=True)
class Plan:
    """What a build would do.

    Parameters
    ----------
    root : Path
        The data set.
    videos : tuple of Forecast
        Those that would be worked on.
    refused : mapping
        Name to reason.
    done : tuple of str
        Names of those already built.
    notes : tuple of str
        What the user should know besides.
    free : int
        Bytes free where ``root`` is, or would be.
    """

    root: Path
    videos: tuple[Forecast, ...]
    refused: Mapping[str, str]
    done: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    free: int = 0

    @property
    def scenes(self) -> int:
        """At most so many."""
        return sum(video.scenes for video in self.videos)

    @property
    def cpu_s(self) -> float:
        """Estimate, one core."""
        return sum(video.cpu_s for video in self.videos)

    @property
    def bytes(self) -> int:
        """Estimate of what has to be free."""
        return sum(video.bytes for video in self.videos)

    @property
    def fits(self) -> bool:
        """Whether there is room, with a margin for what the estimate does not know."""
        return self.bytes * _MARGIN <= self.free

    @property
    def exit_code(self) -> int:
        """As of the build: 0, 3 where it could not begin, 4 where it refuses videos."""
        if not self.fits or not (self.videos or self.done):
            return 3
        return 4 if self.refused else 0

    def lines(self) -> list[str]:
        """What the command line prints."""
        rows = [
            f"{each.video}  {size_text(each.size)}, {each.seconds:.1f} s: up to {each.scenes} "
            f"scene{'s' * (each.scenes != 1)}, about {each.cpu_s:.0f} CPU s, "
            f"{_gigabytes(each.bytes)}"
            for each in self.videos
        ]
        built = [f"{name}  already built" for name in self.done]
        refused = [f"refused: {reason}" for reason in self.refused.values()]
        total = (
            f"{len(self.videos)} videos to build, up to {self.scenes} scenes; "
            f"{len(self.refused)} refused, {len(self.done)} already built."
        )
        cost = (
            f"About {_duration(self.cpu_s)} of one core and {_gigabytes(self.bytes)} in "
            f"{self.root}, where {_gigabytes(self.free)} are free. Nothing was written."
        )
        return [*self.notes, *rows, *built, *refused, total, cost]

    def to_record(self) -> dict[str, Any]:
        """The plan as JSON."""
        return {
            "root": str(self.root),
            "videos": [asdict(video) for video in self.videos],
            "refused": dict(self.refused),
            "already_built": list(self.done),
            "notes": list(self.notes),
            "scenes": self.scenes,
            "cpu_s": round(self.cpu_s, 1),
            "bytes": self.bytes,
            "free_bytes": self.free,
            "fits": self.fits,
        }


def plan_videos(
    videos: Iterable[tuple[Path, Sequence[Pick]]], recipe: Recipe, root: Path, fps: int | None
) -> Plan:
    """Look at the index of every video; nothing is written and no frame decoded.

    Parameters
    ----------
    videos : iterable of (path, picks)
        Files, or folders where ``fps`` is given, and the triples listed for them.
    recipe : Recipe
        How they would be built.
    root : Path
        Of the data set, which need not exist.
    fps : int or None
        Of folders.
    """
    forecasts, refused = [], {}
    for path, picks in videos:
        try:
            rate = fps if path.is_dir() else None
            with open_clip(path, recipe, fps=rate, undecoded=True) as clip:
                forecasts.append(_forecast(clip, picks, recipe))
        except VideoError as error:
            refused[str(path)] = str(error)
    return Plan(root, tuple(forecasts), refused, free=free_bytes(root))


def check_room(plan: Plan, recipe: Recipe) -> None:
    """Raise `UnavailableError` unless there is room for a plan."""
    if plan.fits:
        return
    need = round(plan.bytes * _MARGIN)
    raise UnavailableError(
        f"Needs {_gigabytes(need)}, {_gigabytes(plan.free)} free at {plan.root}. "
        f"{_ways(need, recipe)}"
    )


def _ways(need: int, recipe: Recipe) -> str:
    """What takes less room than ``need``."""
    ways = []
    if recipe.store == "all":
        smaller = round(need * _pictures("triple") / _pictures("all"))
        ways.append(f"--store triple ({_gigabytes(smaller)})")
    if recipe.format == "png":
        smaller = round(need * _BYTES_PER_PIXEL["jxl"] / _BYTES_PER_PIXEL["png"])
        ways.append(f"--format jxl ({_gigabytes(smaller)})")
    return f"Use {' or '.join(ways)}." if ways else "Make room, or build into another folder."


def _forecast(clip: Clip, picks: Sequence[Pick], recipe: Recipe) -> Forecast:
    scenes = _scenes(clip, picks, recipe)
    info = clip.info
    height, width = info.height, info.width
    coded = len(clip) * height * width / 1e6
    if recipe.resize == "4k":
        share = min(1.0, UHD[1] / max(height, width), UHD[0] / min(height, width))
        height, width = round(height * share), round(width * share)
    pictures = scenes * _pictures(recipe.store)
    stored = pictures * height * width / 1e6
    # Once for choosing; and once more, half of it on average, for the frames themselves.
    decoding = coded * _DECODE_S_PER_MEGAPIXEL + info.bytes / 1e6 * _DECODE_S_PER_MEGABYTE
    passes = 1.5 if recipe.pick == "auto" else 0.5
    return Forecast(
        video=info.path.name,
        size=(height, width),
        seconds=round(float(info.duration), 3),
        scenes=scenes,
        cpu_s=round(passes * decoding + stored * _STORE_S_PER_MEGAPIXEL[recipe.format], 1),
        bytes=round(stored * 1e6 * _BYTES_PER_PIXEL[recipe.format]),
    )


def _scenes(clip: Clip, picks: Sequence[Pick], recipe: Recipe) -> int:
    """How many scenes at most; raises `VideoError` where the index alone forbids any."""
    if recipe.pick == "list":
        return len(listed_triples(clip, picks).triples)
    if recipe.pick == "uniform":
        if len(clip) < 3:
            raise VideoError(f"{clip.path.name}: {len(clip)} frames; a scene needs three.")
        return 1
    rules = recipe.selection
    candidates = find_candidates(clip, rules)
    if not candidates:
        raise VideoError(too_short(clip, rules))
    times = seconds(clip)
    count, last = 0, float("-inf")
    for group in candidates:
        middle = times[group[0][1]]
        if middle - last >= rules.apart_s and count < recipe.scenes_per_video:
            count, last = count + 1, middle
    return count


def _pictures(store: str) -> int:
    return 1 + len(TRIPLE if store == "triple" else EVERY)


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"


def _duration(cpu_s: float) -> str:
    return f"{cpu_s / 60:.0f} min" if cpu_s >= 120 else f"{cpu_s:.0f} s"
