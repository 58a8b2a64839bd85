"""Draw what ten minutes of training do, from `make demo` and a run on its data set.

dmef train --method ipl-tiny --data demo/dataset --recipe short --max-minutes 10 -o runs/first
python docs/images/training.py demo/dataset runs/first 1700,900
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from dmef_bench import load_method, load_scenes, psnr
from dmef_bench.report.figures import drawing, figure_bytes
from dmef_bench.scene import to_uint8

SIDE = 384
"""Pixels of a crop."""


def main(root: str, run: str, corner: str) -> None:
    """The curve of the run, and one place of the test scene before and after."""
    log = pd.read_csv(Path(run) / "log.csv")
    record = json.loads((Path(run) / "train.json").read_text())
    left, top = map(int, corner.split(","))
    scene = load_scenes(root, "test")[0]
    untrained = load_method("ipl-tiny", weights="identity").fuse(scene.stack)
    trained = load_method("ipl-tiny", checkpoint=run).fuse(scene.stack)
    truth = scene.ground_truth
    crops = {
        f"untrained, {psnr(untrained, truth):.1f} dB": untrained,
        f"after {record['minutes']:.0f} minutes, {psnr(trained, truth):.1f} dB": trained,
        "ground truth": truth,
    }
    with drawing():
        figure = Figure(figsize=(11, 2.9), layout="constrained")
        curve, *places = figure.subplots(1, 4, width_ratios=[1.5, 1, 1, 1])
        curve.plot(log["minutes"], log["psnr_db"], color="#0072b2", marker="o", markersize=3)
        curve.set_xlabel("minutes on one core")
        curve.set_ylabel("PSNR on held-out crops, dB")
        for axes, (title, picture) in zip(places, crops.items(), strict=True):
            axes.imshow(to_uint8(picture)[top : top + SIDE, left : left + SIDE])
            axes.set_title(title, fontsize=8)
            axes.set_axis_off()
        target = Path(__file__).with_name("training.png")
        target.write_bytes(figure_bytes(figure, "png", dpi=110))


if __name__ == "__main__":
    main(*sys.argv[1:])
