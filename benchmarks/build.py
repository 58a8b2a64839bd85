"""CPU of `dmef build` against the floor nobody can go below: decoding the clip, encoding the PNGs.

    python benchmarks/build.py [CLIP ...]      # clips of the demo's making where none is given

The floor is plain decoding on one thread, without any conversion, plus PNG level 1 encoding of the
ten pictures of the scene by the same library. Decoded is what has to be: the whole clip once, since
the best triple may lie anywhere, and again from the keyframe to sample 3, since nobody can keep
every 4K frame until the choice is made. Target: ratio at most 1.25. `ratio_one_decode` beside it
counts the first pass alone.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

import av
import cv2
from side_by_side import cpu_seconds, report

from dmef_bench.building.build import build_dataset
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


def measure(clip: Path, folder: Path) -> dict[str, object]:
    """Build one clip and its floor, one after the other in this process."""
    root = folder / clip.stem
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
        "ratio": ours / (analysing + fetching + encoding),
        "ratio_one_decode": ours / (analysing + encoding),
    }


def main() -> None:
    """Measure every clip, print one JSON line."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = [Path(word) for word in sys.argv[1:]] or write_clips(folder / "clips")
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
