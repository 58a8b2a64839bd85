"""From the frame to its words: each figure is written once, and all formats show the same."""

from __future__ import annotations

import pandas as pd

from dmef_bench.report.columns import board_columns
from dmef_bench.report.notes import (
    board_caption,
    board_notes,
    board_title,
    machines,
    row_remarks,
)
from dmef_bench.report.table import Board, Kind, Record


def board_table(frame: pd.DataFrame, *, title: str | None = None) -> Board:
    """The words of a board.

    Parameters
    ----------
    frame : DataFrame
        From `leaderboard_frame`.
    title : str, optional
        Instead of the data set's name and split.
    """
    attrs, rows = frame.attrs, frame.to_dict("records")
    columns = board_columns(rows, attrs)
    absent = [column.title for column in columns if column.empty and column.expected]
    return Board(
        title=title or board_title(rows, attrs),
        caption=board_caption(attrs),
        kinds=tuple(_kind(row) for row in rows),
        columns=tuple(column for column in columns if not column.empty),
        notes=tuple(board_notes(rows, attrs, absent)),
        machines=tuple(machines(rows, attrs)),
        remarks=tuple(row_remarks(rows)),
        fingerprint=attrs["fingerprint"],
    )


def _kind(row: Record) -> Kind:
    if row["kind"] == "bound":
        return "bound"
    return "unranked" if pd.isna(row["rank"]) else "method"
