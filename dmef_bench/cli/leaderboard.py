"""`dmef leaderboard`: records to tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dmef_bench.cli.words import FOLDER, METRIC, names


@click.command()
@click.argument("runs", nargs=-1, required=True, type=FOLDER)
@click.option("-o", "--out", type=FOLDER, help="[default: leaderboards/<dataset>]")
@click.option("--fingerprint", help="Which protocol, where the records hold several.")
@click.option(
    "--format", "formats", default="csv,md", show_default=True, help="Of csv, md, tex, html."
)
@click.option("--title", help="Heading.  [default: data set and split]")
@click.option("--sort", type=METRIC, help="What ranks.  [default: psnr]")
@click.option("--against", metavar="ROW", help="Add paired differences to this row.")
@click.option("--timing-group", help="Whose times to show, where machines or settings differ.")
@click.option("--paper", metavar="TABLE", help="Set table1 ... table7 of the paper beside ours.")
@click.option(
    "--data", metavar="ROOT", type=FOLDER, help="Data set, for pictures on the page and panels."
)
@click.option(
    "--crops", default="auto", show_default=True, help="Their windows: auto, none, SCENE:X,Y."
)
@click.option(
    "--panels",
    type=click.Choice(["compare", "ablation"]),
    help="Also draw these windows as figures: beside the exposures, or method by method.",
)
@click.option("--parquet", is_flag=True, help="Also the scores of all scenes, as Parquet.")
@click.option("--scatter", is_flag=True, help="Also plot quality and speed, as SVG and PNG.")
def leaderboard(runs: tuple[Path, ...], formats: str, **choices: Any) -> None:
    """Make tables from the records under RUNS.

    The board goes to OUT/<fingerprint>/, and the records it was made from beside it, so that it
    can be made again by giving that folder.
    """
    from dmef_bench.leaderboard import make_board

    folder, text = make_board(runs, formats=names(formats), **choices)
    click.echo(text)
    click.echo(f"Written to {folder}")
