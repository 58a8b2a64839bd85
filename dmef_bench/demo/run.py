"""The whole of dmef on clips of its own making: build, bench, board, and a sheet to look at."""

from __future__ import annotations

import math
from pathlib import Path

from dmef_bench.building.build import build_dataset
from dmef_bench.building.recipe import Recipe
from dmef_bench.datasets import load_scenes
from dmef_bench.demo.clips import write_clips
from dmef_bench.errors import UnavailableError
from dmef_bench.harness.bench import bench
from dmef_bench.harness.plan import Plan
from dmef_bench.imagefile import read_image, write_image
from dmef_bench.leaderboard import make_board
from dmef_bench.progress import Bar
from dmef_bench.report.contact_sheet import Tile, contact_sheet
from dmef_bench.results import MethodResult

METHODS = ("mertens", "gdc", "response-fill", "ipl-tiny")
METRICS = ("psnr", "ssim")


def run_demo(
    folder: Path, *, jobs: int = 2, size: tuple[int, int] = (2160, 3840)
) -> tuple[str, ...]:
    """Run everything once, under ``folder``; a second call finds its work done.

    Parameters
    ----------
    folder : Path
        Gets ``clips/``, ``dataset/``, ``runs/``, ``leaderboards/`` and ``contact-sheet.png``.
    jobs : int
        Processes that build scenes.
    size : (height, width)
        Of the clips.

    Returns
    -------
    tuple of str
        The board, and where everything lies.

    Raises
    ------
    UnavailableError
        No scene could be built: the demo itself is broken.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with Bar("clips", "frame") as bar:
        clips = write_clips(folder / "clips", size=size, progress=bar.update)
    root = folder / "dataset"
    with Bar("build", "video", quiet_s=0) as bar:
        report = build_dataset(clips, root, Recipe(), jobs=jobs, progress=bar.update)
    if not report.scenes:
        raise UnavailableError("; ".join(report.refused.values()))
    runs = folder / "runs"
    with Bar("bench", "scene", quiet_s=0) as bar:
        results = bench(
            root,
            METHODS,
            runs,
            split="all",  # nothing is trained here, so every scene may be tested on
            metrics=METRICS,
            plan=Plan(save_fused=True, command=("dmef", "demo")),
            progress=bar.update,
        )
    formats = ("csv", "md", "html")
    board, text = make_board(
        [runs], folder / "leaderboards", formats=formats, data=root, scatter=True
    )
    sheet = folder / "contact-sheet.png"
    write_image(sheet, contact_sheet(_rows(root, runs, results)))
    return (
        *report.lines(),
        "",
        text,
        f"Page to open:  {board / 'board.html'}",
        f"Tables:        {board / 'board.md'}, {board / 'board.csv'}",
        f"Contact sheet: {sheet}",
        f"Data set:      {root} (try: dmef verify {root})",
    )


def _rows(root: Path, runs: Path, results: tuple[MethodResult, ...]) -> list[list[Tile]]:
    """One row a scene: the three exposures, what each method made of them, and the truth."""
    rows = []
    for scene in load_scenes(root, "all"):
        exposures = zip(("low", "medium", "high"), scene.stack.encoded or (), strict=True)
        tiles = [
            Tile(f"{name} (sample {number})", picture)
            for number, (name, picture) in enumerate(exposures, start=1)
        ]
        for result in results:
            if result.is_bound:
                continue
            fused = _fused(runs, result, scene.scene_id)
            if fused is not None:
                tiles.append(fused)
        if scene.ground_truth is not None:
            tiles.append(Tile("ground truth", scene.ground_truth))  # type: ignore[arg-type]
        rows.append(tiles)
    return rows


def _fused(runs: Path, result: MethodResult, scene_id: str) -> Tile | None:
    rules = result.protocol
    base = runs / f"{rules.dataset}-{rules.split}" / rules.fingerprint / result.row
    path = base / "fused" / f"{scene_id}.png"
    if not path.exists():
        return None
    score = next(scene for scene in result.scenes if scene.scene_id == scene_id)
    psnr = score.scores.get("psnr/rgb8")
    stated = f" {psnr:.1f} dB" if psnr is not None and math.isfinite(psnr) else ""
    return Tile(f"{result.row}{stated}", read_image(path))
