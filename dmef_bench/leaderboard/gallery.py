"""What there is to see of a board: sections of its page, panels beside it, or why none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from dmef_bench.errors import UsageError
from dmef_bench.leaderboard.pictures import comparisons, fused_files
from dmef_bench.report.comparison import Comparison, sections
from dmef_bench.results import MethodResult

_WITHOUT_DATA = (
    "<p>This page was made without pictures. Given the data set, <code>--data DATASET</code>, it "
    "shows those that <code>dmef bench --save-fused</code> kept beside the records.</p>"
)
_NONE_KEPT = (
    "<p>No fused pictures lie beside these records: <code>dmef bench --save-fused</code> keeps "
    "them, and this page, made again from its folder, shows them.</p>"
)


@dataclass(frozen=True)
class Gallery:
    """Sections of the page, as HTML, and panels by file name."""

    sections: tuple[str, ...]
    panels: Mapping[str, bytes] = field(default_factory=dict)


def gallery(
    runs: Mapping[Path, MethodResult],
    frame: pd.DataFrame,
    data: Path | None,
    *,
    crops: str = "auto",
    panels: str | None = None,
) -> Gallery:
    """The pictures of a board, from what was kept beside its records.

    Parameters
    ----------
    runs : mapping of Path to MethodResult
        Records of one protocol, by the folder they were loaded from.
    frame : DataFrame
        Their board.
    data : Path or None
        The data set; None for a page without pictures.
    crops : str
        Which scenes and windows; see `comparisons`.
    panels : {"compare", "ablation"}, optional
        Also draw the windows as figures; see `dmef_bench.report.panels.panels`.

    Raises
    ------
    UsageError
        ``crops`` or ``panels`` of pictures that are not there; see also `comparisons`.
    """
    if data is None:
        if crops != "auto" or panels:
            asked = "--panels draws" if panels else "--crops cuts"
            raise UsageError(f"{asked} windows out of pictures; say where with --data ROOT.")
        return Gallery((_WITHOUT_DATA,))
    if panels and crops == "none":
        raise UsageError("--panels draws windows; choose them by --crops auto or SCENE:X,Y.")
    results = list(runs.values())
    files = fused_files(results, list(runs))
    drawn: dict[str, bytes] = {}
    shown = comparisons(results, frame, files, data, crops=crops)
    made = tuple(sections(_drawing(shown, panels, drawn)))
    if panels and not drawn:
        raise UsageError(
            "No fused pictures lie beside these records, so there are no panels to draw; run "
            "`dmef bench --save-fused` again and give its folder."
        )
    return Gallery(made or (_NONE_KEPT,), drawn)


def _drawing(
    shown: Iterator[Comparison], kind: str | None, drawn: dict[str, bytes]
) -> Iterator[Comparison]:
    """Hand scenes on, and draw each on its way: no two of them are in memory at once."""
    for comparison in shown:
        if kind:
            # matplotlib is imported only where figures are drawn.
            from dmef_bench.report.panels import panels

            drawn.update(panels(comparison, kind))
        yield comparison
