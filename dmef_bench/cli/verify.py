"""`dmef verify`: the disk against the manifest."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dmef_bench.cli.words import FOLDER


@click.command()
@click.argument("root", type=FOLDER)
@click.option("--dataset", metavar="NAME", help="A public set, held against what is published.")
@click.option("--quick", is_flag=True, help="Existence, sizes and logic only.")
@click.option("--release", is_flag=True, help="Also list what is still blank: licence, consent...")
@click.option("--jobs", default=1, show_default=True, help="Threads.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def verify(
    root: Path, dataset: str | None, quick: bool, release: bool, jobs: int, as_json: bool
) -> None:
    """Prove that ROOT holds what its manifest says, byte by byte."""
    from dmef_bench import strict_json
    from dmef_bench.building.verify import verify_dataset
    from dmef_bench.progress import Bar

    with Bar("verify", "file") as bar:
        report = verify_dataset(
            root, dataset, quick=quick, release=release, jobs=jobs, progress=bar.update
        )
    for line in [strict_json.dumps(report.to_record())] if as_json else report.lines():
        click.echo(line)
    sys.exit(0 if report.ok else 4)
