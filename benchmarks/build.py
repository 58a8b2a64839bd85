"""CPU of `dmef build` against the floor nobody can go below: decoding the clip, encoding the PNGs.

    python benchmarks/build.py [CLIP ...]      # clips of the demo's making where none is given

The floor is a plain sequential decode of each clip, without any conversion, plus PNG level 1
encoding of the ten pictures of its scene by the same library. Target: ratio at most 1.25.
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


def decode(clip: Path) -> None:
    """Decode every frame once, on one thread, and look at none."""
    with av.open(str(clip)) as container:
        stream = container.streams.best("video")
        stream.thread_count = 1
        for _ in container.decode(stream):
            pass


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
    decoding = cpu_seconds(lambda: decode(clip))
    encoding = sum(encode(root, scene) for scene in reports[0].scenes)
    return {
        "clip": clip.name,
        "build_cpu_s": ours,
        "decode_floor_s": decoding,
        "encode_floor_s": encoding,
        "ratio": ours / (decoding + encoding),
    }


def main() -> None:
    """Measure every clip, print one JSON line."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = [Path(word) for word in sys.argv[1:]] or write_clips(folder / "clips")
        measured = [measure(clip, folder) for clip in clips]
    ratios = [float(row["ratio"]) for row in measured if "ratio" in row]
    report(
        "build",
        ratio=statistics.median(ratios),
        ratio_spread=[min(ratios), max(ratios)],
        target=1.25,
        clips=measured,
    )


if __name__ == "__main__":
    main()
