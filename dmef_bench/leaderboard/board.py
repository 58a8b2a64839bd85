"""A board on disk: every format of it, and beside them the records it was made from."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dmef_bench.errors import RecordError, UsageError
from dmef_bench.imagefile import write_atomic
from dmef_bench.leaderboard.frame import leaderboard_frame
from dmef_bench.leaderboard.gallery import Gallery, gallery
from dmef_bench.leaderboard.records import run_folders, scenes_frame, select_fingerprint
from dmef_bench.leaderboard.remaking import remaking
from dmef_bench.report.latex import latex_board
from dmef_bench.report.markdown import markdown_board
from dmef_bench.report.wording import board_table
from dmef_bench.results import RUN_FILE, SCENES_FILE, MethodResult


def _html(frame: pd.DataFrame, **options: Any) -> str:
    # jinja2 is worth its tenth of a second only where a page is made.
    from dmef_bench.report.html import html_board

    return html_board(frame, **options)


FORMATS: dict[str, Callable[..., str]] = {
    "csv": lambda frame, **_: csv_text(frame),
    "md": lambda frame, *, title=None, brief=False, **_: markdown_board(
        board_table(frame, title=title), brief=brief
    ),
    "tex": lambda frame, *, title=None, **_: latex_board(board_table(frame, title=title)),
    "html": _html,
}


def render(frame: pd.DataFrame, format: str, **options: Any) -> str:  # noqa: A002 - the public name
    """A board as text.

    Parameters
    ----------
    frame : DataFrame
        From `leaderboard_frame`.
    format : {"csv", "md", "tex", "html"}
        ``csv`` at full precision; the others for readers, all with the same words.
    **options
        ``title``; for ``md`` also ``brief``, without intervals; for ``html`` also what
        `html_board` takes: ``scenes``, the frame of `scenes_frame`, and further parts.

    Raises
    ------
    UsageError
        An unknown format.
    """
    if format not in FORMATS:
        raise UsageError(f"No format is called {format!r}; choose from {', '.join(FORMATS)}.")
    return FORMATS[format](frame, **options)


def csv_text(frame: pd.DataFrame) -> str:
    """A frame as CSV, every figure at full precision, infinity as ``inf``, no figure as nothing."""
    return str(frame.to_csv(index=False, lineterminator="\n"))


def make_board(
    sources: Sequence[Path | str],
    out: Path | str | None = None,
    *,
    fingerprint: str | None = None,
    formats: Sequence[str] = ("csv", "md"),
    title: str | None = None,
    paper: str | None = None,
    scatter: bool = False,
    parquet: bool = False,
    data: Path | None = None,
    crops: str = "auto",
    panels: str | None = None,
    **choices: Any,
) -> tuple[Path, str]:
    """Make a board of saved results and, beside it, keep the records it was made from.

    Parameters
    ----------
    sources : sequence of Path
        Folders that hold results.
    out : Path, optional
        ``leaderboards/<dataset>`` unless given; the board goes to ``out/<fingerprint>/``.
    fingerprint : str, optional
        Which protocol, where the sources hold several.
    formats : sequence of str
        Keys of `FORMATS`; with ``csv`` comes ``scenes.csv``, one line a method and scene.
    title : str, optional
        Instead of the data set's name and split.
    paper : str, optional
        A table of the paper, ``"table1"`` to ``"table7"``, to stand beside ours.
    scatter : bool
        Also plot score against score and time against score, as SVG and PNG.
    parquet : bool
        Also ``scenes.parquet``, the lines of ``scenes.csv`` with their types.
    data : Path, optional
        The data set: the HTML page then shows pictures, where fused ones were kept.
    crops : str
        Which windows of them; see `comparisons`.
    panels : {"compare", "ablation"}, optional
        Also draw these windows as figures, as SVG and PNG.
    **choices
        ``against``, ``sort``, ``timing_group``, ``resamples`` of `leaderboard_frame`.

    Returns
    -------
    tuple of Path and str
        The board's folder, and the board as Markdown, in brief.

    Raises
    ------
    ProtocolMismatchError
        Several protocols and no ``fingerprint``.
    RecordError
        No result, a damaged one, or one whose names lead out of the board's folder.
    UsageError
        An unknown format, metric, row, table or timing group; before anything is written.
    UnavailableError
        The paper's tables are not beside this installation.
    """
    runs = {folder: MethodResult.load(folder) for folder in run_folders(sources)}
    results = select_fingerprint(list(runs.values()), fingerprint)
    rules = results[0].protocol
    runs = {folder: run for folder, run in runs.items() if run.protocol == rules}
    frame = leaderboard_frame(results, **choices)
    if paper:
        from dmef_bench.leaderboard.paper import beside_paper

        frame = beside_paper(frame, paper)
    scenes = scenes_frame(results)
    shown = _shown(runs, frame, data, crops, panels, formats)
    asked = {name: choices.get(name) for name in ("sort", "against", "timing_group")}
    asked |= {"paper": paper, "title": title, "data": data and "DATASET"}
    commands = remaking(results, **asked, crops=None if crops == "auto" else crops)
    options = {"title": title, "scenes": scenes, "pictures": shown.sections}
    options["commands"] = tuple(commands)
    files = {f"board.{name}": render(frame, name, **options).encode() for name in formats}
    files |= shown.panels
    if "csv" in formats:
        files["scenes.csv"] = csv_text(scenes).encode()
    if parquet:
        from dmef_bench.leaderboard.parquet import parquet_bytes

        files["scenes.parquet"] = parquet_bytes(scenes)
    if scatter:
        from dmef_bench.report.scatter import scatter_plots

        files |= scatter_plots(frame)
    targets = {_folder_name(run.row): folder for folder, run in runs.items()}
    base = Path(out) if out else Path("leaderboards") / _folder_name(rules.dataset)
    folder = base / rules.fingerprint
    folder.mkdir(parents=True, exist_ok=True)
    _copy_records(targets, folder)
    for name, content in files.items():
        write_atomic(folder / name, content)
    return folder, render(frame, "md", title=title, brief=True)


def _shown(
    runs: Mapping[Path, MethodResult],
    frame: pd.DataFrame,
    data: Path | None,
    crops: str,
    panels: str | None,
    formats: Sequence[str],
) -> Gallery:
    """The pictures that were asked for."""
    if "html" in formats or panels:
        return gallery(runs, frame, data, crops=crops, panels=panels)
    if data or crops != "auto":
        raise UsageError(
            "--data and --crops are of pictures on the HTML page and in panels; add "
            "--format csv,md,html, or --panels."
        )
    return Gallery(())


def _folder_name(name: str) -> str:
    """A name from a record that is to be a folder: one step down, and nowhere else."""
    if name in ("", ".", "..") or "/" in name or "\\" in name:
        raise RecordError(f"A record calls itself {name!r}, which is no name for a folder.")
    return name


def _copy_records(targets: Mapping[str, Path], folder: Path) -> None:
    for name, run in targets.items():
        target = folder / name
        if target.resolve() == run.resolve():
            continue
        target.mkdir(exist_ok=True)
        for part in (RUN_FILE, SCENES_FILE):
            if (run / part).exists():
                shutil.copyfile(run / part, target / part)
