"""`dmef verify`: the disk against the manifest."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dmef_bench.cli.words import FOLDER


@click.command()
@click.argument("root", type=FOLDER)
@click.option("--quick", is_flag=True, help="Existence, sizes and logic only.")
def verify(root: Path, quick: bool) -> None:
    """Prove that ROOT holds what its manifest says, byte by byte."""
    from dmef_bench.building.verify import verify_dataset
    from dmef_bench.progress import Bar

    with Bar("verify", "file") as bar:
        report = verify_dataset(root, quick=quick, progress=bar.update)
    for line in report.lines():
        click.echo(line)
    sys.exit(0 if report.ok else 4)
