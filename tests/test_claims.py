"""The page on the paper's claims quotes what stands on the published boards."""

from __future__ import annotations

import csv
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "the-papers-claims.md").read_text(encoding="utf-8")
QUOTE = re.compile(r"^\| `([\w./@-]+)` \| ([\w.@-]+) \| (\w+) \| ([\d.]+) \|$", re.MULTILINE)


def on_board(board: str, row: str, column: str) -> str:
    """A cell, at full precision."""
    with (ROOT / "leaderboards" / board / "board.csv").open(encoding="utf-8", newline="") as file:
        (found,) = (line[column] for line in csv.DictReader(file) if line["method"] == row)
    return found


def test_every_figure_of_the_list_stands_on_its_board() -> None:
    quotes = QUOTE.findall(PAGE)
    assert len(quotes) >= 20
    for board, row, column, figure in quotes:
        digits = len(figure.partition(".")[2])
        assert f"{float(on_board(board, row, column)):.{digits}f}" == figure, (board, row, column)


def test_every_figure_of_the_list_is_used_above_it() -> None:
    text, _, _ = PAGE.partition("## Where the figures stand")
    for *_, figure in QUOTE.findall(PAGE):
        assert re.search(rf"(?<![\d.]){re.escape(figure)}(?!\d)", text), figure
