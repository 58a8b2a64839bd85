"""`dmef bench`: methods on a data set."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import click

from dmef_bench.cli.words import (
    DATASET,
    FOLDER,
    MEMORY,
    METHOD,
    METRIC,
    SIZE,
    config_option,
    names,
    options,
    words_without_paths,
)

_PLAN = (
    "lpips_weights", "offline", "save_fused", "resume", "retry_failed", "timeout",
    "method_timeout", "memory_limit", "probe_timeout", "mr_refresh", "timing", "throughput",
    "tile_memo", "forecast", "device", "dtype", "threads", "jobs", "seed",
)  # fmt: skip


@click.command()
@click.argument("root", type=FOLDER)
@click.option("--dataset", type=DATASET, help="Layout of the data set; recognised where left out.")
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
    type=METHOD,
    help="NAME, NAME@key=value,..., package.module:Class or file.py:Class; repeatable.",
)
@click.option("--option", "shared", multiple=True, help="key=value for every method; repeatable.")
@click.option(
    "--metrics",
    type=METRIC,
    help="Comma-separated, or ldr, hdr.  [default: psnr,ssim,lpips where to be had]",
)
@click.option(
    "--require", type=METRIC, default="", help="Metrics without which nothing is computed."
)
@click.option(
    "--fit",
    type=click.Choice(["full", "downsample", "tile"]),
    default="downsample",
    show_default=True,
    help="Native size; shrunk to MR and enlarged again; in tiles of MR.",
)
@click.option(
    "--mr",
    default="auto",
    show_default=True,
    help="Maximum resolution: WIDTHxHEIGHT, paper, or auto: native, else the largest that fits.",
)
@click.option("--tile", type=SIZE, help="Size of tiles.  [default: MR]")
@click.option("--overlap", default=64, show_default=True, help="Pixels that tiles share.")
@click.option(
    "--blend",
    type=click.Choice(["cosine", "linear", "none"]),
    default="cosine",
    show_default=True,
    help="Of tiles, over the overlap.",
)
@click.option("--tile-memo", is_flag=True, help="Fuse equal tiles once.")
@click.option("--memory-budget", type=MEMORY, help="Emulate a smaller device, e.g. 24GiB.")
@click.option("--memory-limit", type=MEMORY, help="End a method that takes more.")
@click.option(
    "--forecast/--no-forecast",
    default=True,
    help="Do not try networks that would not find the memory they need.",
)
@click.option("--mr-refresh", is_flag=True, help="Search the largest size anew.")
@click.option("--probe-timeout", default=120.0, show_default=True, help="Seconds a probe may take.")
@click.option("--device", help="cpu, cuda, cuda:1; for methods that know devices.")
@click.option("--devices", default="", help="GPUs that run a row each, e.g. cuda:0,cuda:1.")
@click.option("--dtype", help="float32, bfloat16 or float16; for methods that know precisions.")
@click.option("--threads", type=int, help="Of OpenCV and torch in each process.")
@click.option("--jobs", default=1, show_default=True, help="Processes that score at a time.")
@click.option("--dask", "cluster", help="Address of a Dask scheduler that runs the rows.")
@click.option("--limit", type=int, help="Only the first scenes.")
@click.option("--scenes", default="", help="Only these scenes, comma-separated.")
@click.option(
    "--resume",
    type=click.Choice(["missing", "all", "never"]),
    default="missing",
    show_default=True,
    help="Run what has no valid record, everything anew, or nothing.",
)
@click.option("--retry-failed", is_flag=True, help="Run failed scenes again.")
@click.option("--timeout", default=600.0, show_default=True, help="Seconds a scene may take.")
@click.option("--method-timeout", type=float, help="Seconds a whole row may take.")
@click.option("--timing/--no-timing", default=True, help="Measure times, memory and cost.")
@click.option("--throughput", is_flag=True, help="Also count scenes a second, pipelined.")
@click.option("--lpips-weights", type=FOLDER, help="File of the AlexNet backbone.")
@click.option("--offline", is_flag=True, help="Never download.")
@click.option("--save-fused", is_flag=True, help="Keep the fused pictures as PNG.")
@click.option("--seed", default=0, show_default=True)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("-o", "--out", default="runs", show_default=True, type=FOLDER)
@config_option
def bench(
    root: Path,
    metrics: str | None,
    require: str,
    out: Path,
    methods: tuple[str, ...],
    shared: tuple[str, ...],
    devices: str,
    scenes: str,
    cluster: str | None,
    dry_run: bool,
    as_json: bool,
    **choices: Any,
) -> None:
    """Run methods on the data set in ROOT; the bounds come by themselves."""
    from dmef_bench.harness.bench import bench as run_bench
    from dmef_bench.harness.plan import Plan, metric_names
    from dmef_bench.harness.preview import preview

    named = metric_names(names(metrics or ""))
    plan = Plan(
        # Whoever names a metric wants its numbers, not a column of N/A.
        require=(*metric_names(names(require)), *named),
        command=("dmef", *words_without_paths()),
        devices=names(devices),
        **{key: choices.pop(key) for key in _PLAN},
    )
    asked = {
        "metrics": named,
        "scenes": names(scenes) or None,
        "options": options(shared),
        "plan": plan,
        **choices,
    }
    if dry_run:
        for line in preview(root, methods, out, **asked):
            click.echo(line)
        return
    with _progress() as (update, stop), _executor(cluster) as executor:
        results = run_bench(
            root, methods, out, executor=executor, progress=update, stop=stop, **asked
        )
    _show(results, as_json=as_json)
    sys.exit(_exit_code(results, interrupted=stop.is_set()))


@contextmanager
def _progress() -> Iterator[tuple[Any, Event]]:
    """The bar, and an event that the first Ctrl-C sets; the second one ends at once."""
    from dmef_bench.progress import Bar

    stop = Event()

    def on_interrupt(_signal: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        click.echo("dmef: ending after the scene in work; Ctrl-C again ends at once.", err=True)

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        with Bar("bench", "scene", quiet_s=0) as bar:
            yield bar.update, stop
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _executor(address: str | None) -> Iterator[Any]:
    """A Dask cluster as an executor; None where none was asked for."""
    if address is None:
        yield None
        return
    from dmef_bench.cluster import dask_executor

    with ExitStack() as stack:
        yield stack.enter_context(dask_executor(address))


def _show(results: Any, *, as_json: bool) -> None:
    if as_json:
        from dmef_bench import strict_json

        rows = [{**result.to_record(), "means": result.means()} for result in results]
        click.echo(strict_json.dumps({"rows": rows}))
        return
    from dmef_bench.leaderboard import leaderboard_frame, render

    click.echo(render(leaderboard_frame(results), "md", brief=True))


def _exit_code(results: Any, *, interrupted: bool) -> int:
    if interrupted:
        return 130
    return 0 if all(result.status == "ok" for result in results) else 4
