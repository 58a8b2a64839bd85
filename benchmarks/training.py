"""A step of training against its forward and backward pass alone: what the loop costs beside.

The step is the trainer's own: crops from memory-mapped scenes, the method's preparation, loss,
backward, clipping, AdamW. The peer runs forward, loss and backward on one prepared batch. Also
how much of a step's CPU time goes into crops and their preparation. One thread by default.

    python benchmarks/training.py [--method ipl-tiny] [--crop 256] [--threads N]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import side_by_side
import torch
from lightning_fabric import Fabric

from dmef_bench.training.course import Budget
from dmef_bench.training.criterion import Criterion
from dmef_bench.training.lessons import Lessons
from dmef_bench.training.losses import distance
from dmef_bench.training.recipe import Recipe
from dmef_bench.training.store import StoredScene
from dmef_bench.training.trainee import load_trainee
from dmef_bench.training.trainer import Training


def scenes(folder: Path, count: int = 4) -> list[StoredScene]:
    """Frames of 1080p in memory-mapped files."""
    _, truth = side_by_side.picture_pair(1080, 1920)
    stored = []
    for index in range(count):
        np.save(folder / f"{index}.exposures.npy", np.stack([truth // 2, truth, 255 - truth // 3]))
        np.save(folder / f"{index}.truth.npy", truth)
        exposures, mapped = (
            np.load(folder / f"{index}.{part}.npy", mmap_mode="r")
            for part in ("exposures", "truth")
        )
        stored.append(StoredScene(str(index), exposures, mapped, (-1.0, 1.0, 3.0)))
    return stored


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", default="ipl-tiny")
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        trainee = load_trainee(options.method, {}, device="cpu", seed=0)
        lessons = Lessons(scenes(Path(folder)), [], Recipe(crop=options.crop), seed=0)
        training = Training(
            Fabric(accelerator="cpu", devices=1),
            trainee,
            lessons,
            Criterion(lessons.recipe),
            Path(folder),
            Budget(),
        )
        batches = lessons.batches(first=0)
        batch = next(batches)
        inputs, target = trainee.inputs(batch), trainee.target(batch, "cpu")

        def plain() -> None:
            training.network.zero_grad(set_to_none=True)
            loss = distance(training.network(*inputs), target, "l1", linear=False)
            training.fabric.backward(loss)

        def fetch() -> None:
            fetched = next(batches)
            trainee.inputs(fetched)
            trainee.target(fetched, "cpu")

        step = side_by_side.compare(lambda: training.learn(batches), plain, options.rounds)
        loading = side_by_side.compare(fetch, plain, options.rounds)
        batches.close()
    side_by_side.report(
        "training",
        method=options.method,
        crop=options.crop,
        batch=4,
        threads=options.threads,
        **step,
        loading_to_forward_backward=loading["ratio"],
    )


if __name__ == "__main__":
    main()
