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
from dmef_bench.leaderboard.records import run_folders, scenes_frame, select_fingerprint
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
        ``title``; for ``md`` also ``brief``, without intervals; for ``html`` also ``scenes``, the
        frame of `scenes_frame`.

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
    data: Path | None = None,
    crops: str = "auto",
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
    data : Path, optional
        The data set: the HTML page then shows pictures, where fused ones were kept.
    crops : str
        Which windows of them; see `comparisons`.
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
    pictures = _pictures(runs, frame, data, crops, formats)
    files = {
        f"board.{name}": render(frame, name, title=title, scenes=scenes, pictures=pictures).encode()
        for name in formats
    }
    if "csv" in formats:
        files["scenes.csv"] = csv_text(scenes).encode()
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


def _pictures(
    runs: Mapping[Path, MethodResult],
    frame: pd.DataFrame,
    data: Path | None,
    crops: str,
    formats: Sequence[str],
) -> list[str]:
    """Sections of the page that show scenes, from pictures kept beside the records."""
    if data is None:
        if crops != "auto":
            raise UsageError("--crops cuts windows out of pictures; say where with --data ROOT.")
        return []
    from dmef_bench.leaderboard.pictures import comparisons, fused_files
    from dmef_bench.report.comparison import sections

    if "html" not in formats:
        raise UsageError("--data puts pictures on the HTML page; add --format csv,md,html.")
    results = list(runs.values())
    files = fused_files(results, list(runs))
    return list(sections(comparisons(results, frame, files, data, crops=crops)))


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
