"""`dmef leaderboard`: records to tables."""

from __future__ import annotations

from pathlib import Path

import click

from dmef_bench.cli.words import FOLDER, names


@click.command()
@click.argument("runs", nargs=-1, required=True, type=FOLDER)
@click.option("-o", "--out", type=FOLDER, help="[default: leaderboards/<dataset>]")
@click.option("--fingerprint", help="Which protocol, where the records hold several.")
@click.option("--format", "formats", default="csv,md", show_default=True)
def leaderboard(
    runs: tuple[Path, ...], out: Path | None, fingerprint: str | None, formats: str
) -> None:
    """Make tables from the records under RUNS."""
    from dmef_bench.leaderboard import make_board

    folder, text = make_board(runs, out, fingerprint=fingerprint, formats=names(formats))
    click.echo(text)
    click.echo(f"Written to {folder}")
