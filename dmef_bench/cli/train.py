"""`dmef train`: a network of any method, from scenes to weights with a record."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import click

from dmef_bench.cli.words import FOLDER, METHOD, options, words_without_paths


@click.command()
@click.option(
    "-m",
    "--method",
    required=True,
    type=METHOD,
    help="NAME, NAME@key=value,..., package.module:Class or file.py:Class.",
)
@click.option("--data", "root", required=True, type=FOLDER, help="Folder of the data set.")
@click.option("-o", "--out", required=True, type=FOLDER, help="Folder of the run.")
@click.option("--dataset", help="Layout of the data set; recognised where left out.")
@click.option("--option", "given", multiple=True, help="KEY=VALUE for the method; repeatable.")
@click.option(
    "--recipe",
    default="paper",
    show_default=True,
    help="paper, upstream or another preset of the method, or FILE.toml.",
)
@click.option("--crop", type=int, help="Side of the crops in pixels.  [default: the recipe's]")
@click.option("--batch", type=int, help="Crops a step, of all processes together.")
@click.option("--epochs", type=int, help="Passes over the training scenes.")
@click.option("--max-steps", type=int, help="End after so many steps.")
@click.option("--max-minutes", type=float, help="End after so many minutes of training.")
@click.option("--device", help="cpu, cuda, cuda:1.  [default: a GPU where there is one]")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bf16-mixed"]),
    default="float32",
    show_default=True,
    help="Of activations; weights are float32.",
)
@click.option("--seed", default=0, show_default=True, help="Of weights, crops and their order.")
@click.option("--cache", type=FOLDER, help="Decoded scenes, for many runs.  [default: OUT/cache]")
@click.option("--resume", is_flag=True, help="Go on where the run in OUT ended.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def train(
    method: str,
    root: Path,
    out: Path,
    given: tuple[str, ...],
    recipe: str,
    crop: int | None,
    batch: int | None,
    epochs: int | None,
    max_steps: int | None,
    max_minutes: float | None,
    as_json: bool,
    **choices: Any,
) -> None:
    """Train a method's network on the training scenes of a data set.

    OUT then holds best.safetensors and last.safetensors, train.json, log.csv and curve.png, and is
    itself a checkpoint: dmef bench ROOT --method NAME@checkpoint=OUT. Under torchrun, all its
    processes train together.
    """
    from dmef_bench import strict_json
    from dmef_bench.progress import Bar
    from dmef_bench.registry import parse_method
    from dmef_bench.training.course import Budget
    from dmef_bench.training.record import read_record, summary
    from dmef_bench.training.trainer import train as run_training

    name, own = parse_method(method)
    changed = {"crop": crop, "batch": batch, "epochs": epochs}
    with _until_interrupt() as stop, Bar("decode", "scene") as scenes, Bar("train", "step") as bar:
        folder = run_training(
            name,
            {**own, **options(given)},
            root,
            out,
            recipe,
            changed={key: value for key, value in changed.items() if value is not None},
            budget=Budget(max_steps, max_minutes),
            command=("dmef", *words_without_paths()),
            decoding=scenes.update,
            progress=bar.update,
            stop=stop.is_set,
            **choices,
        )
    record = read_record(folder)
    click.echo(strict_json.dumps(record) if as_json else "\n".join(summary(record)))
    sys.exit(130 if record["ended_by"] == "interrupt" else 0)


@contextmanager
def _until_interrupt() -> Iterator[Event]:
    """An event that the first Ctrl-C, or a scheduler's SIGTERM, sets; the second ends at once."""
    stop = Event()

    def on_signal(_signal: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        click.echo("dmef: ending after this step; Ctrl-C again ends at once.", err=True)

    before = {
        number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
