"""What each step of response-fill is worth: the method whole, and without one step at a time.

Mean PSNR over all pixels, over those that the reference lost, and over those that moved; the
difference to the whole method, its least over the scenes, and CPU seconds a scene. Quality, and so
no peer: the floor is the whole method itself.

    python benchmarks/response_fill_steps.py ROOT [--split train] [--every 2] [--response Sigmoid]
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import cv2

from baselines.response_fill import ResponseFill
from dmef_bench.datasets import load_scenes
from dmef_bench.metrics import METRICS
from dmef_bench.scene import Scene

STEPS = ("still", "mend", "denoise", "colour")
MEASURES = ("psnr", "psnr-clipped", "psnr-moving")


def scores(method: ResponseFill, scene: Scene) -> tuple[dict[str, float], float]:
    """The measures of a scene, NaN where one has nothing to look at, and CPU seconds."""
    begin = time.process_time()
    fused = method.fuse(scene.stack)
    seconds = time.process_time() - begin
    measured = {name: METRICS[name].measure(fused, scene) for name in MEASURES}
    return {
        name: math.nan if value is None else float(getattr(value, "value", value))
        for name, value in measured.items()
    }, seconds


def mean(values: list[float]) -> float:
    """Of what is finite."""
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--split", default="train")
    parser.add_argument("--every", type=int, default=1, help="Take each so-manieth scene.")
    parser.add_argument("--response", default="estimate")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    scenes = list(load_scenes(options.root, options.split))[:: options.every]
    forms = {"whole": {}, **{f"without {step}": {step: False} for step in STEPS}}
    found: dict[str, list[tuple[dict[str, float], float]]] = {form: [] for form in forms}
    for scene in scenes:
        for form, switches in forms.items():
            method = ResponseFill(response=options.response, **switches)
            found[form].append(scores(method, scene))
    figures = {}
    for form, measured in found.items():
        gains = [
            whole["psnr"] - one["psnr"]
            for (whole, _), (one, _) in zip(found["whole"], measured, strict=True)
        ]
        figures[form] = {name: round(mean([m[name] for m, _ in measured]), 2) for name in MEASURES}
        figures[form] |= {"gain": round(mean(gains), 2), "least_gain": round(min(gains), 2)}
        figures[form]["cpu_s"] = round(mean([seconds for _, seconds in measured]), 2)
    print(json.dumps({"benchmark": "response_fill_steps", "scenes": len(scenes), **figures}))


if __name__ == "__main__":
    main()
