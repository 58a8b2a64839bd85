"""CPU of `dmef build` against the floor nobody can go below: decoding the clip, encoding the PNGs.

    python benchmarks/build.py [CLIP ...]            # clips of the demo if none is given
    python benchmarks/build.py --workers [CLIP ...]  # two processes against one, whole commands

The floor is plain decoding on one thread, without any conversion, plus PNG level 1 encoding of the
ten pictures of the scene by the same library. Decoded is what has to be: the whole clip once, since
the best triple may lie anywhere, and again from the keyframe to sample 3, since nobody can keep
every 4K frame until the choice is made. Target: ratio at most 1.25. `ratio_one_decode` beside it
counts the first pass alone. `peak_bytes` is the resident memory of a process that builds the clip
and nothing else (at most 1 GB at 4K, 2 GB at 8K); `plan_cpu_s` what `--dry-run` takes of it (0.05).
With `--workers`, `cpu_ratio` is the CPU of two processes and their parent over that of one (1.1 at
most); `speedup` means something on idle cores only (1.8).
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import cv2
from side_by_side import cpu_seconds, report

from dmef_bench.building.build import build_dataset, plan_build
from dmef_bench.demo.clips import write_clips
from dmef_bench.imagefile import read_image
from dmef_bench.manifest import SceneEntry


def decode(clip: Path, until: int | None = None) -> None:
    """Decode every frame up to a presentation time, on one thread, and look at none."""
    with av.open(str(clip)) as container:
        stream = container.streams.best("video")
        stream.thread_count = 1
        for frame in container.decode(stream):
            if until is not None and frame.pts is not None and frame.pts >= until:
                break


def encode(root: Path, scene: SceneEntry) -> float:
    """CPU seconds of compressing the scene's pictures, which are decoded outside the clock."""
    seconds = 0.0
    for entry in scene.files:
        picture = cv2.cvtColor(read_image(root / entry.path), cv2.COLOR_RGB2BGR)
        settings = [cv2.IMWRITE_PNG_COMPRESSION, 1]
        seconds += cpu_seconds(lambda p=picture, s=settings: cv2.imencode(".png", p, s))
    return seconds


ALONE = """
import resource, sys
from dmef_bench.building.build import build_dataset
build_dataset([sys.argv[1]], sys.argv[2])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def peak_bytes(clip: Path, root: Path) -> int:
    """Peak resident memory of a fresh process that builds a clip (Linux)."""
    words = [sys.executable, "-c", ALONE, str(clip), str(root)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return int(json.loads(done.stdout))


def command(clips: list[Path], root: Path, jobs: int) -> tuple[float, float]:
    """CPU seconds of `dmef build` and its workers, and seconds on the clock."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    words = [sys.executable, "-m", "dmef_bench.cli", "build", *map(str, clips)]
    words += ["-o", str(root), "--jobs", str(jobs)]
    subprocess.run(words, check=False, capture_output=True)
    after, clock_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - start
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, clock_s


def workers(clips: list[Path], folder: Path) -> None:
    """Print what a second process costs and brings."""
    one_s, one_clock_s = command(clips, folder / "one", 1)
    two_s, two_clock_s = command(clips, folder / "two", 2)
    report(
        "build --workers",
        clips=len(clips),
        cpu_ratio=two_s / one_s,
        target=1.1,
        speedup=one_clock_s / two_clock_s,
    )


def measure(clip: Path, folder: Path) -> dict[str, object]:
    """Build one clip and its floor, one after the other in this process."""
    root = folder / clip.stem
    planning = cpu_seconds(lambda: plan_build([clip], root))
    reports = []
    ours = cpu_seconds(lambda: reports.append(build_dataset([clip], root)))
    if not reports[0].scenes:
        return {"clip": clip.name, "refused": next(iter(reports[0].refused.values()))}
    last = max(sample["pts"] for scene in reports[0].scenes for sample in scene.samples)
    analysing = cpu_seconds(lambda: decode(clip))
    fetching = cpu_seconds(lambda: decode(clip, until=last))
    encoding = sum(encode(root, scene) for scene in reports[0].scenes)
    return {
        "clip": clip.name,
        "build_cpu_s": ours,
        "decode_floor_s": analysing + fetching,
        "encode_floor_s": encoding,
        "plan_cpu_s": planning,
        "peak_bytes": peak_bytes(clip, folder / f"{clip.stem}-alone"),
        "ratio": ours / (analysing + fetching + encoding),
        "ratio_one_decode": ours / (analysing + encoding),
    }


def main() -> None:
    """Measure every clip, print one JSON line."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = [word for word in sys.argv[1:] if word != "--workers"]
        clips = list(map(Path, words)) or list(write_clips(folder / "clips"))
        if "--workers" in sys.argv:
            workers(clips, folder)
            return
        measured = [measure(clip, folder) for clip in clips]
    ratios = [float(row["ratio"]) for row in measured if "ratio" in row]
    strict = [float(row["ratio_one_decode"]) for row in measured if "ratio" in row]
    report(
        "build",
        ratio=statistics.median(ratios),
        ratio_spread=[min(ratios), max(ratios)],
        target=1.25,
        ratio_one_decode=statistics.median(strict),
        clips=measured,
    )


if __name__ == "__main__":
    main()
