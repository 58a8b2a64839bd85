"""`dmef lecarm`: the camera-response model on pictures of one's own."""

from __future__ import annotations

from pathlib import Path

import click

from dmef_bench.cli.words import FOLDER


@click.group()
def lecarm() -> None:
    """The camera-response model of the exposures, on pictures of your own."""


@lecarm.command()
@click.argument("picture", type=FOLDER)
@click.option("-o", "--out", required=True, type=FOLDER, help="A .png, .tif or .jpg.")
@click.option(
    "--model",
    type=click.Choice(["Sigmoid", "Beta", "BetaGamma", "Preferred"]),
    default="Sigmoid",
    show_default=True,
    help="Camera response.",
)
@click.option("--overwrite", is_flag=True, help="Replace OUT where it exists.")
def enhance(picture: Path, out: Path, model: str, overwrite: bool) -> None:
    """Brighten the dark places of PICTURE, as LECARM was published.

    Every pixel is exposed up to seven times longer, as much as its surroundings are dark. The data
    set's exposures are not made so: theirs are the same for every pixel.
    """
    from dmef_bench.exposure.camera_response import MODELS
    from dmef_bench.harness.enhance import enhance_file

    click.echo(enhance_file(picture, out, MODELS[model](), overwrite=overwrite))
