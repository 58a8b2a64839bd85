"""`dmef build`: videos to a data set."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from dmef_bench.cli.words import FOLDER
from dmef_bench.errors import UsageError


@click.command()
@click.argument("videos", nargs=-1, required=True, type=FOLDER)
@click.option("-o", "--out", "root", required=True, type=FOLDER, help="Folder of the data set.")
@click.option("--preset", help="Named exposures.  [default: clipped-reference]")
@click.option("--ev", help="Stops LOW,MEDIUM,HIGH instead of a preset, e.g. -1,1,3.")
@click.option("--model", default="Sigmoid", show_default=True, help="Camera response model.")
@click.option("--noise", type=click.Choice(["mild", "strong"]), help="Sensor noise on inputs.")
@click.option("--allow-identity", is_flag=True, help="Accept a medium equal to the truth.")
@click.option(
    "--pick",
    type=click.Choice(["auto", "uniform"]),
    default="auto",
    show_default=True,
    help="Triples by measurement, or at 25, 50, 75 % of the clip.",
)
@click.option("--scenes-per-video", default=1, show_default=True, help="At most so many triples.")
@click.option("--store", type=click.Choice(["all", "triple"]), default="all", show_default=True)
@click.option("--split", default="80/30", show_default=True, help="TRAIN/TEST counts or ratio.")
@click.option("--seed", default=0, show_default=True, help="Of the noise.")
@click.option("--jobs", default=1, show_default=True, help="Processes.")
@click.option("--name", help="Name of the data set.")
@click.option("--licence", help="Licence of the data set, e.g. CC-BY-4.0.")
@click.option("--rebuild", is_flag=True, help="Throw away what an earlier build left.")
def build(
    videos: tuple[Path, ...],
    root: Path,
    jobs: int,
    name: str,
    licence: str,
    rebuild: bool,
    **choices: Any,
) -> None:
    """Turn VIDEOS (files or folders) into a benchmark data set."""
    from dmef_bench.building.build import build_dataset
    from dmef_bench.progress import Bar

    recipe = _recipe(**choices)
    with Bar("build", "video", quiet_s=0) as bar:
        report = build_dataset(
            videos,
            root,
            recipe,
            jobs=jobs,
            name=name,
            licence=licence,
            rebuild=rebuild,
            progress=bar.update,
        )
    for line in report.lines():
        click.echo(line)
    sys.exit(report.exit_code)


def _recipe(
    preset: str | None, ev: str | None, allow_identity: bool, split: str, **others: Any
) -> Any:
    from dmef_bench.building.recipe import Recipe
    from dmef_bench.building.split import SplitRule
    from dmef_bench.exposure.synthesis import DEFAULT_PRESET

    others["split"] = SplitRule.parse(split)
    if ev is None:
        if others["noise"] is None:
            del others["noise"]
        return Recipe.from_preset(preset or DEFAULT_PRESET, allow_identity=allow_identity, **others)
    if preset is not None:
        raise UsageError("Give --preset or --ev, not both.")
    return Recipe(preset=None, ev=_evs(ev), allow_identity=allow_identity, **others)


def _evs(text: str) -> tuple[float, float, float]:
    try:
        low, medium, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--ev {text!r}: give three numbers LOW,MEDIUM,HIGH.") from error
    return low, medium, high
