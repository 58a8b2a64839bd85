"""`dmef overview`: a data set to look through."""

from __future__ import annotations

from pathlib import Path

import click

from dmef_bench.cli.words import FOLDER


@click.command()
@click.argument("root", type=FOLDER)
@click.option("-o", "--out", required=True, type=FOLDER, help="Folder, outside of the data set.")
@click.option("--jobs", default=1, show_default=True, help="Threads.")
def overview(root: Path, out: Path, jobs: int) -> None:
    """Write one HTML page of all scenes of ROOT, with moving previews.

    The pictures may show people; the page stays where you put it and needs no network.
    """
    from dmef_bench.building.overview import write_overview
    from dmef_bench.progress import Bar

    with Bar("overview", "scene") as bar:
        page = write_overview(root, out, jobs=jobs, progress=bar.update)
    click.echo(f"Open {page}.")
