"""`dmef demo`: a whole small run for newcomers."""

from __future__ import annotations

from pathlib import Path

import click

from dmef_bench.cli.words import FOLDER


@click.command()
@click.option("-o", "--out", default="demo", show_default=True, type=FOLDER)
@click.option("--jobs", default=2, show_default=True, help="Processes.")
def demo(out: Path, jobs: int) -> None:
    """Make short 4K clips, build, bench and rank on them; minutes, no data needed."""
    from dmef_bench.demo.run import run_demo

    for line in run_demo(out, jobs=jobs):
        click.echo(line)
