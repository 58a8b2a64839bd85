"""`dmef describe`: licence, contact and answers into a data set's papers."""

from __future__ import annotations

from pathlib import Path

import click

from dmef_bench.cli.words import FOLDER


@click.command()
@click.argument("root", type=FOLDER)
@click.option("--name", help="Name of the data set.")
@click.option("--licence", help="Its licence, e.g. CC-BY-4.0.")
@click.option("--contact", help="Whom to write to.")
@click.option("--description", help="One sentence for the card.")
@click.option("--citation", help="How to cite it.")
def describe(root: Path, **statements: str | None) -> None:
    """Write the papers of ROOT again: card, datasheet, Croissant, tables, checksums.

    Answers that you wrote into DATASHEET.md are kept; pictures are not touched.
    """
    from dmef_bench.building.describing import describe_dataset

    left = describe_dataset(root, {key: text for key, text in statements.items() if text})
    for line in left:
        click.echo(line)
    click.echo(f"{root}: papers written, {len(left)} blanks left.")
