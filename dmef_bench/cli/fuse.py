"""`dmef fuse`: any bracket of pictures to one picture."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from dmef_bench.cli.words import FOLDER, METHOD, SIZE, options
from dmef_bench.errors import UsageError


@click.command()
@click.argument("pictures", nargs=-1, required=True, type=FOLDER)
@click.option("-o", "--out", required=True, type=FOLDER, help="Fused picture, or folder of them.")
@click.option(
    "-m",
    "--method",
    type=METHOD,
    help="NAME, NAME@key=value,..., package.module:Class or file.py:Class.  "
    "[default: ipl if its weights are here, else response-fill where EVs are known, else mertens]",
)
@click.option("--option", "given", multiple=True, help="KEY=VALUE for the method; repeatable.")
@click.option("--ev", help="Stops A,B,C, one for each picture in its order.  [default: EXIF]")
@click.option(
    "--fit", type=click.Choice(["full", "downsample", "tile"]), default="full", show_default=True
)
@click.option("--mr", type=SIZE, help="Size to shrink to, or of a tile, WIDTHxHEIGHT.")
@click.option("--overlap", default=64, show_default=True, help="Pixels that tiles share.")
@click.option(
    "--blend",
    type=click.Choice(["cosine", "linear", "none"]),
    default="cosine",
    show_default=True,
    help="Of tiles.",
)
@click.option("--device", help="cpu, cuda, cuda:N.")
@click.option("--dtype", type=click.Choice(["float32", "bfloat16", "float16"]))
@click.option(
    "--streaming",
    type=click.Choice(["auto", "yes", "no"]),
    default="auto",
    show_default=True,
    help="Band by band in bounded memory, by methods that can.",
)
@click.option(
    "--sheet",
    type=FOLDER,
    help="Also draw what was fused: clipped pixels and motion marked.  .png, .tif or .jpg",
)
@click.option(
    "--forecast/--no-forecast",
    default=True,
    help="Refuse what would not find the memory it needs.",
)
@click.option("--quality", default=95, show_default=True, help="Of a JPEG, 1 to 100.")
@click.option("--overwrite", is_flag=True, help="Replace what exists; exposures never.")
@click.option("--stream", is_flag=True, help="One warm method for all brackets, or for a video.")
@click.option("--measure-loss", is_flag=True, help="With --stream: compare with a cold method.")
@click.option("--limit", type=int, help="With --stream: only the first frames.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def fuse(
    pictures: tuple[Path, ...],
    out: Path,
    method: str | None,
    given: tuple[str, ...],
    ev: str | None,
    stream: bool,
    measure_loss: bool,
    limit: int | None,
    as_json: bool,
    device: str | None,
    dtype: str | None,
    overwrite: bool,
    sheet: Path | None,
    **how: Any,
) -> None:
    """Fuse the exposures PICTURES, in any order, into the picture OUT.

    One folder fuses each bracket in it into the folder OUT: every sub-folder of two to nine
    pictures, or pictures named alike (room_1.jpg, room_2.jpg). With --stream, a folder or a video
    goes through one warm method, and OUT/stream.jsonl tells of every frame.
    """
    from dmef_bench import strict_json
    from dmef_bench.harness.fuse import How

    asked: dict[str, Any] = {"evs": _evs(ev), "how": How(**how), "overwrite": overwrite}
    if stream:
        asked |= {"measure_loss": measure_loss, "limit": limit}
        run: Callable[..., Told] = _stream
    elif measure_loss or limit is not None:
        raise UsageError("--measure-loss and --limit go with --stream.")
    else:
        run = _folder if len(pictures) == 1 and pictures[0].is_dir() else _files
    if sheet:
        if run is not _files:
            raise UsageError("--sheet draws one bracket; give its pictures, not a folder.")
        asked["sheet"] = sheet
    told = run(*_method(method, given, device, dtype), pictures, out, **asked)
    click.echo(strict_json.dumps(told.record) if as_json else "\n".join(told.lines))
    sys.exit(told.code)


class Told(NamedTuple):
    """What a run says, to programs and to people, and its exit code."""

    record: dict[str, Any]
    lines: Sequence[str]
    code: int = 0


def _files(
    name: str | None, options: dict[str, Any], pictures: Sequence[Path], out: Path, **asked: Any
) -> Told:
    from dmef_bench.harness.fuse import Fused, fuse_files

    fused: list[Fused] = []
    fuse_files(name, options, pictures, out, on_fused=fused.append, **asked)
    return Told(fused[0].to_record(), fused[0].lines())


def _folder(
    name: str | None, options: dict[str, Any], pictures: Sequence[Path], out: Path, **asked: Any
) -> Told:
    from dmef_bench.harness.folder import fuse_folder
    from dmef_bench.progress import Bar

    with Bar("fuse", "bracket") as bar:
        outcomes = fuse_folder(name, options, pictures[0], out, progress=bar.update, **asked)
    return Told(
        {"out": str(out), "brackets": [outcome.to_record() for outcome in outcomes]},
        [line for outcome in outcomes for line in outcome.lines()],
        code=4 if any(outcome.status == "failed" for outcome in outcomes) else 0,
    )


def _stream(
    name: str | None, options: dict[str, Any], pictures: Sequence[Path], out: Path, **asked: Any
) -> Told:
    from dmef_bench.harness.stream import fuse_stream
    from dmef_bench.progress import Bar

    if len(pictures) != 1:
        raise UsageError("A stream has one source: a video, or a folder of brackets.")
    with Bar("stream", "frame") as bar:
        report = fuse_stream(name, options, pictures[0], out, progress=bar.update, **asked)
    return Told(report.summary(), report.text())


def _method(
    method: str | None, texts: Sequence[str], device: str | None, dtype: str | None
) -> tuple[str | None, dict[str, Any]]:
    from dmef_bench.registry import parse_method

    name, given = parse_method(method) if method else (None, {})
    given |= options(texts)
    given |= {key: value for key, value in (("device", device), ("dtype", dtype)) if value}
    given.pop("label", None)  # of a row, and a picture has none
    return name, given


def _evs(text: str | None) -> tuple[float, ...] | None:
    try:
        return None if text is None else tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--ev {text!r}: give stops, one a picture, e.g. --ev=-2,0,2.") from error
