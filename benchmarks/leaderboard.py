"""CPU seconds of a board of ten methods on thirty scenes, in every format, beside its imports.

    python benchmarks/leaderboard.py

Target: below 2 CPU s in a fresh process, from records on disk to all files written, imports and
plots included. The floor beside it is what pandas, jinja2 and matplotlib cost to import.
"""

from __future__ import annotations

import random
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from side_by_side import report

from dmef_bench.protocol import Protocol
from dmef_bench.results import MethodResult, SceneScore, Status

ROUNDS = 5
METHODS, SCENES = 10, 30
SAMPLES = 3 * 3840 * 2160


def write_records(folder: Path) -> None:
    """Ten methods and two bounds with plausible figures, from a seed."""
    generator = random.Random(2026)
    rules = Protocol("4k-dmef", "test", "c0ffee")
    for number in range(METHODS + 2):
        name = (
            f"method-{number}"
            if number < METHODS
            else ("reference", "tone-curve")[number - METHODS]
        )
        scenes = tuple(
            _scene(f"scene-{index:02}", 20 + number, generator) for index in range(SCENES)
        )
        MethodResult(
            row=name,
            method={"name": name, "kind": "method" if number < METHODS else "bound", "digest": ""},
            protocol=rules,
            scenes=scenes,
            environment={"dmef": "0.1.0", "device": "cpu", "cpu": "a processor"},
            timing={
                "group": "a41f09d2",
                "core": {"median_s": 0.09, "p5_s": 0.08, "p95_s": 0.1, "samples_s": [0.09] * 300},
                "e2e": {"median_s": 0.2, "p5_s": 0.19, "p95_s": 0.22, "samples_s": [0.2] * 300},
            },
            expected=SCENES,
            finished="2026-11-22T10:00:00Z",
        ).save(folder / name)


def _scene(name: str, level: float, generator: random.Random) -> SceneScore:
    psnr = level + generator.gauss(0, 3)
    return SceneScore(
        name,
        Status.OK,
        scores={
            "psnr/rgb8": psnr,
            "ssim/wang04-rgb-valid": generator.uniform(0.7, 0.99),
            "lpips/alex-v0.1": generator.uniform(0.02, 0.4),
        },
        fused_size=(2160, 3840),
        native_size=(2160, 3840),
        seconds={"e2e": generator.uniform(0.1, 0.3)},
        sse=round(SAMPLES * 255**2 / 10 ** (psnr / 10)),
        samples=SAMPLES,
    )


def child_cpu_s(*words: str) -> float:
    """CPU seconds of one child process, user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure in turn, print one JSON line."""
    with tempfile.TemporaryDirectory() as name:
        runs, out = Path(name, "runs"), Path(name, "boards")
        write_records(runs)
        make = ("-m", "dmef_bench.cli", "leaderboard", str(runs), "-o", str(out))
        commands = {
            "tables_cpu_s": (*make, "--format", "csv,md,tex,html", "--against", "method-5"),
            "with_plots_cpu_s": (*make, "--format", "csv,md,tex,html", "--scatter"),
            "imports_cpu_s": ("-c", "import pandas, jinja2, tabulate, cv2, click"),
            "plot_imports_cpu_s": ("-c", "import matplotlib.figure, matplotlib.style"),
        }
        seconds: dict[str, list[float]] = {key: [] for key in commands}
        for _ in range(ROUNDS):
            for key, words in commands.items():
                seconds[key].append(child_cpu_s(*words))
    medians = {key: statistics.median(taken) for key, taken in seconds.items()}
    report("leaderboard", methods=METHODS, scenes=SCENES, target_cpu_s=2.0, **medians)


if __name__ == "__main__":
    main()
