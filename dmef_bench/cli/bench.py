"""`dmef bench`: methods on a data set."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from dmef_bench.cli.words import FOLDER, names


@click.command()
@click.argument("root", type=FOLDER)
@click.option("--dataset", help="Layout of the data set; recognised where left out.")
@click.option(
    "--split",
    type=click.Choice(["train", "test", "all"]),
    default="test",
    show_default=True,
)
@click.option(
    "-m",
    "--method",
    "methods",
    multiple=True,
    help="NAME, NAME@key=value,..., package.module:Class or file.py:Class; repeatable.",
)
@click.option("--metrics", help="Comma-separated.  [default: psnr,ssim,lpips where to be had]")
@click.option("--require", default="", help="Metrics without which nothing is computed.")
@click.option(
    "--fit", type=click.Choice(["full", "downsample"]), default="downsample", show_default=True
)
@click.option(
    "--mr",
    default="auto",
    show_default=True,
    help="Size to shrink to, WIDTHxHEIGHT; auto is the native size.",
)
@click.option("--limit", type=int, help="Only the first scenes.")
@click.option("--retry-failed", is_flag=True, help="Run failed scenes again.")
@click.option("--timeout", default=600.0, show_default=True, help="Seconds a scene may take.")
@click.option("--lpips-weights", type=FOLDER, help="File of the AlexNet backbone.")
@click.option("--offline", is_flag=True, help="Never download.")
@click.option("--save-fused", is_flag=True, help="Keep the fused pictures as PNG.")
@click.option("--seed", default=0, show_default=True)
@click.option("-o", "--out", default="runs", show_default=True, type=FOLDER)
def bench(
    root: Path,
    metrics: str | None,
    require: str,
    out: Path,
    methods: tuple[str, ...],
    **choices: Any,
) -> None:
    """Run methods on the data set in ROOT; the bounds come by themselves."""
    from dmef_bench.harness.bench import DEFAULT_METRICS, Plan
    from dmef_bench.harness.bench import bench as run_bench
    from dmef_bench.leaderboard import leaderboard_frame, render
    from dmef_bench.progress import Bar

    named = names(metrics) if metrics else ()
    plan = Plan(
        # Whoever names a metric wants its numbers, not a column of N/A.
        require=(*names(require), *named),
        command=("dmef", *_words_without_paths()),
        **{
            key: choices.pop(key)
            for key in ("lpips_weights", "offline", "save_fused", "retry_failed", "timeout", "seed")
        },
    )
    with Bar("bench", "scene", quiet_s=0) as bar:
        results = run_bench(
            root,
            methods,
            out,
            metrics=named or DEFAULT_METRICS,
            plan=plan,
            progress=bar.update,
            **choices,
        )
    click.echo(render(leaderboard_frame(results), "md"))
    sys.exit(0 if all(result.status == "ok" for result in results) else 4)


def _words_without_paths() -> tuple[str, ...]:
    """The command line as it may stand in a record: absolute paths by their last part."""
    return tuple(Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:])
