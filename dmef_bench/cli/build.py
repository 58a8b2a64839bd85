"""`dmef build`: videos to a data set."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from dmef_bench.cli.words import FOLDER
from dmef_bench.errors import UsageError

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _options(*options: Decorator) -> Decorator:
    """Several options as one decorator, in the order in which help lists them."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _choice(name: str, *words: str, text: str) -> Decorator:
    return click.option(
        name, type=click.Choice(words), default=words[0], show_default=True, help=text
    )


def _flag(name: str, text: str) -> Decorator:
    return click.option(name, is_flag=True, help=text)


_EXPOSURES = _options(
    click.option(
        "--preset",
        help="clipped-reference, noisy-reference, adaptive or community-bracket.  "
        "[default: clipped-reference]",
    ),
    click.option("--ev", help="Stops LOW,MEDIUM,HIGH instead of a preset, e.g. -1,1,3."),
    click.option(
        "--clip-share", type=float, help="Share of the reference that clips, for preset adaptive."
    ),
    _choice("--model", "Sigmoid", "Beta", "BetaGamma", "Preferred", text="Camera response."),
    click.option("--noise", help="Sensor noise on inputs: mild, strong, or A,B."),
    _flag("--crf-jitter", "Draw another camera for every scene."),
    _flag("--allow-identity", "Accept a medium equal to the truth."),
    _flag("--strict-audit", "Leave out scenes that the audit flags."),
    click.option("--seed", default=0, show_default=True, help="Of noise and drawn cameras."),
)
_FRAMES = _options(
    click.option(
        "--pick",
        default="auto",
        show_default=True,
        help="auto: triples by measurement; uniform: at 25, 50, 75 % of the clip; or a CSV file "
        "video,pts1,pts2,pts3 (or seconds1,...).",
    ),
    click.option("--scenes-per-video", default=1, show_default=True, help="At most so many."),
    click.option(
        "--fps", type=click.IntRange(1), help="Folders of pictures count as videos of this rate."
    ),
    _choice("--hdr", "reject", "tonemap", text="What becomes of HLG and PQ video."),
    _flag("--to-srgb", "Convert other primaries, such as Display P3."),
    _flag("--salvage", "Use the readable part of truncated videos."),
    _choice("--resize", "none", "4k", text="Shrink larger pictures to fit 3840x2160."),
    _flag("--require-4k", "Refuse smaller video."),
    _choice("--store", "all", "triple", text="All nine exposures, or the three inputs."),
    _choice("--format", "png", "jxl", text="Of the pictures; jxl is smaller, read by fewer."),
)
_PEOPLE = _options(
    click.option("--sources", type=FOLDER, help="CSV file video,licence,consent,url."),
    click.option("--groups", type=FOLDER, help="CSV file video,group: kept on one side."),
    click.option(
        "--split",
        default="80/30",
        show_default=True,
        help="TRAIN/TEST counts, the share that trains, or a CSV file video,split or scene,split.",
    ),
    _flag("--resplit", "Deal all groups anew, published ones too."),
    _flag("--anonymous-names", "Name scenes and sources by hash alone."),
    click.option("--name", help="Name of the data set."),
    click.option("--licence", help="Licence of the data set, e.g. CC-BY-4.0."),
    click.option("--contact", help="Whom to write to about it."),
)
_WORK = _options(
    click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes."),
    click.option("--dask", "cluster", help="Address of a Dask scheduler instead of processes."),
    click.option(
        "--from-manifest", type=FOLDER, help="Make the data set of this manifest.jsonl again."
    ),
    _flag("--rebuild", "Throw away what an earlier build left."),
    _flag("--dry-run", "Say what would be built; write nothing."),
    click.option("--json", "as_json", is_flag=True, help="Print the plan or report as JSON."),
)


@click.command()
@click.argument("videos", nargs=-1, required=True, type=FOLDER)
@click.option("-o", "--out", "root", required=True, type=FOLDER, help="Folder of the data set.")
@_EXPOSURES
@_FRAMES
@_PEOPLE
@_WORK
def build(
    videos: tuple[Path, ...],
    root: Path,
    dry_run: bool,
    as_json: bool,
    from_manifest: Path | None,
    **choices: Any,
) -> None:
    """Turn VIDEOS (files, folders, patterns) into a benchmark data set."""
    if from_manifest is not None:
        result = _again(from_manifest, videos, root, choices)
    elif dry_run:
        result = _plan(videos, root, choices)
    else:
        result = _build(videos, root, choices)
    if as_json:
        from dmef_bench import strict_json

        click.echo(strict_json.dumps(result.to_record()))
    else:
        for line in result.lines():
            click.echo(line)
    sys.exit(result.exit_code)


def _build(videos: tuple[Path, ...], root: Path, choices: dict[str, Any]) -> Any:
    from dmef_bench.building.build import build_dataset

    what, given = _what(choices)
    with _workers(choices) as where:
        return build_dataset(
            videos,
            root,
            what,
            **given,
            **where,
            resplit=choices["resplit"],
            name=choices["name"],
            licence=choices["licence"],
            contact=choices["contact"],
            rebuild=choices["rebuild"],
        )


def _plan(videos: tuple[Path, ...], root: Path, choices: dict[str, Any]) -> Any:
    from dmef_bench.building.build import plan_build

    what, given = _what(choices)
    return plan_build(videos, root, what, **given)


def _again(manifest: Path, videos: tuple[Path, ...], root: Path, choices: dict[str, Any]) -> Any:
    from dmef_bench.building.again import rebuild_dataset

    ctx = click.get_current_context()
    told = {
        name
        for name in ctx.params
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    }
    spare = told - {"videos", "root", "from_manifest", "jobs", "cluster", "as_json"}
    if spare:
        words = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(spare))
        raise UsageError(f"--from-manifest repeats what the manifest says; leave out {words}.")
    with _workers(choices) as where:
        return rebuild_dataset(manifest, videos, root, **where)


@contextmanager
def _workers(choices: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Where videos are worked on, and the bar that tells of them."""
    from dmef_bench.progress import Bar

    with Bar("build", "video", quiet_s=0) as bar:
        if choices["cluster"] is None:
            yield {"jobs": choices["jobs"], "progress": bar.update}
            return
        from dmef_bench.cluster import dask_executor

        with dask_executor(choices["cluster"], retries=2) as executor:
            yield {"executor": executor, "progress": bar.update}


def _what(choices: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The recipe, and what the user wrote down beside the videos."""
    from dmef_bench.building.split import SplitRule
    from dmef_bench.building.tables import Tables

    pick, split = choices["pick"], choices["split"]
    listed = None if pick in ("auto", "uniform") else Path(pick)
    sides = Path(split) if Path(split).is_file() else None
    rule = SplitRule() if sides else SplitRule.parse(split)
    tables = Tables.read(
        picks=listed, groups=choices["groups"], sources=choices["sources"], split=sides
    )
    recipe = _recipe(choices, "list" if listed else pick, rule)
    return recipe, {"tables": tables, "fps": choices["fps"]}


def _recipe(choices: dict[str, Any], pick: str, split: Any) -> Any:
    from dmef_bench.building.recipe import Recipe
    from dmef_bench.exposure.synthesis import DEFAULT_PRESET

    alike = (
        "model", "noise", "scenes_per_video", "store", "format", "seed", "allow_identity",
        "clip_share", "crf_jitter", "strict_audit", "hdr", "to_srgb", "salvage", "resize",
        "require_4k", "anonymous_names",
    )  # fmt: skip
    others = {name: choices[name] for name in alike} | {"pick": pick, "split": split}
    preset, ev = choices["preset"], choices["ev"]
    if ev is None:
        if others["noise"] is None:
            del others["noise"]
        return Recipe.from_preset(preset or DEFAULT_PRESET, **others)
    if preset is not None:
        raise UsageError("Give --preset or --ev, not both.")
    return Recipe(preset=None, ev=_evs(ev), **others)


def _evs(text: str) -> tuple[float, float, float]:
    try:
        low, medium, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--ev {text!r}: give three numbers LOW,MEDIUM,HIGH.") from error
    return low, medium, high
