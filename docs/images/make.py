"""Make the README's picture from what `make demo` left behind.

python docs/images/make.py demo windmill
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2

from dmef_bench import load_scenes
from dmef_bench.imagefile import read_image
from dmef_bench.report.contact_sheet import Tile, contact_sheet


def main(demo: str, name: str) -> None:
    """Lay one scene out: what goes in above, what comes out below."""
    scenes = load_scenes(Path(demo) / "dataset", "all")
    scene = next(scene for scene in scenes if scene.scene_id.startswith(name))
    (runs,) = (Path(demo) / "runs" / "4k-dmef-all").iterdir()
    captions = ("low, moment 1", "medium, moment 2", "high, moment 3")
    exposures = zip(captions, scene.stack.encoded, strict=True)
    rows = ("mertens", "response-fill")
    fused = [(row, runs / row / "fused" / f"{scene.scene_id}.png") for row in rows]
    sheet = contact_sheet(
        [
            [Tile(caption, picture) for caption, picture in exposures],
            [
                *(Tile(row, read_image(path)) for row, path in fused),
                Tile("ground truth, moment 2", scene.ground_truth),
            ],
        ],
        tile_width=420,
    )
    quality = [cv2.IMWRITE_JPEG_QUALITY, 88]
    target = Path(__file__).with_name("scene.jpg")
    cv2.imwrite(str(target), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), quality)


if __name__ == "__main__":
    main(*sys.argv[1:])
