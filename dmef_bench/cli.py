"""The ``dmef`` command: parse, call one function, print.

Whatever is slow to import is imported inside the command that needs it, so that ``dmef --help``
answers at once.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import click

from dmef_bench import __version__
from dmef_bench.errors import DmefError, UsageError

_FOLDER = click.Path(path_type=Path)


class _Group(click.Group):
    """Turns dmef's own errors into a message and their exit code, and Ctrl-C into 130."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DmefError as error:
            click.echo(f"dmef: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo(
                "dmef: interrupted; finished work is kept. Run the same command again to go on.",
                err=True,
            )
            ctx.exit(130)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@click.option("-v", "--verbose", is_flag=True, help="Say more on stderr.")
def main(verbose: bool) -> None:
    """Measure dynamic multi-exposure fusion at 4K, honestly.

    Videos in (build), methods run and scored (bench), tables out (leaderboard).
    """
    logging.basicConfig(
        level=logging.INFO if verbose else logging.ERROR, format="%(levelname)s %(message)s"
    )


@main.command()
@click.argument("videos", nargs=-1, required=True, type=_FOLDER)
@click.option("-o", "--out", "root", required=True, type=_FOLDER, help="Folder of the data set.")
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


@main.command()
@click.argument("root", type=_FOLDER)
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


@main.command()
@click.argument("root", type=_FOLDER)
@click.option("--dataset", help="Layout of the data set; recognised where left out.")
@click.option(
    "--split",
    type=click.Choice(["train", "test", "all"]),
    default="test",
    show_default=True,
)
@click.option(
    "-m",
    "--method",
    "methods",
    multiple=True,
    help="NAME, NAME@key=value,..., package.module:Class or file.py:Class; repeatable.",
)
@click.option("--metrics", help="Comma-separated.  [default: psnr,ssim,lpips where to be had]")
@click.option("--require", default="", help="Metrics without which nothing is computed.")
@click.option(
    "--fit", type=click.Choice(["full", "downsample"]), default="downsample", show_default=True
)
@click.option(
    "--mr",
    default="auto",
    show_default=True,
    help="Size to shrink to, WIDTHxHEIGHT; auto is the native size.",
)
@click.option("--limit", type=int, help="Only the first scenes.")
@click.option("--retry-failed", is_flag=True, help="Run failed scenes again.")
@click.option("--timeout", default=600.0, show_default=True, help="Seconds a scene may take.")
@click.option("--lpips-weights", type=_FOLDER, help="File of the AlexNet backbone.")
@click.option("--offline", is_flag=True, help="Never download.")
@click.option("--save-fused", is_flag=True, help="Keep the fused pictures as PNG.")
@click.option("--seed", default=0, show_default=True)
@click.option("-o", "--out", default="runs", show_default=True, type=_FOLDER)
def bench(
    root: Path,
    metrics: str | None,
    require: str,
    out: Path,
    methods: tuple[str, ...],
    **choices: Any,
) -> None:
    """Run methods on the data set in ROOT; the bounds come by themselves."""
    from dmef_bench.harness.bench import DEFAULT_METRICS, Plan
    from dmef_bench.harness.bench import bench as run_bench
    from dmef_bench.leaderboard import leaderboard_frame, render
    from dmef_bench.progress import Bar

    named = _names(metrics) if metrics else ()
    plan = Plan(
        # Whoever names a metric wants its numbers, not a column of N/A.
        require=(*_names(require), *named),
        command=("dmef", *_words_without_paths()),
        **{
            key: choices.pop(key)
            for key in ("lpips_weights", "offline", "save_fused", "retry_failed", "timeout", "seed")
        },
    )
    with Bar("bench", "scene", quiet_s=0) as bar:
        results = run_bench(
            root,
            methods,
            out,
            metrics=named or DEFAULT_METRICS,
            plan=plan,
            progress=bar.update,
            **choices,
        )
    click.echo(render(leaderboard_frame(results), "md"))
    sys.exit(0 if all(result.status == "ok" for result in results) else 4)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _words_without_paths() -> tuple[str, ...]:
    """The command line as it may stand in a record: absolute paths by their last part."""
    return tuple(Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:])


@main.command()
@click.argument("runs", nargs=-1, required=True, type=_FOLDER)
@click.option("-o", "--out", type=_FOLDER, help="[default: leaderboards/<dataset>]")
@click.option("--fingerprint", help="Which protocol, where the records hold several.")
@click.option("--format", "formats", default="csv,md", show_default=True)
def leaderboard(
    runs: tuple[Path, ...], out: Path | None, fingerprint: str | None, formats: str
) -> None:
    """Make tables from the records under RUNS."""
    from dmef_bench.leaderboard import make_board

    folder, text = make_board(runs, out, fingerprint=fingerprint, formats=_names(formats))
    click.echo(text)
    click.echo(f"Written to {folder}")


@main.command()
def methods() -> None:
    """List the installed methods; none is imported."""
    from dmef_bench.registry import available_methods

    for name, target in available_methods().items():
        click.echo(f"{name:16} {target}")


@main.command()
@click.option("-o", "--out", default="demo", show_default=True, type=_FOLDER)
@click.option("--jobs", default=2, show_default=True, help="Processes.")
def demo(out: Path, jobs: int) -> None:
    """Make short 4K clips, build, bench and rank on them; minutes, no data needed."""
    from dmef_bench.demo.run import run_demo

    for line in run_demo(out, jobs=jobs):
        click.echo(line)


if __name__ == "__main__":
    main()
