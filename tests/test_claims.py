"""Pages that quote the published boards quote what stands there."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from dmef_bench.leaderboard import leaderboard_frame, load_results

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


def test_the_table_of_two_tracks_is_that_of_its_boards() -> None:
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    section = page.partition("## Two tracks")[2]
    known, unknown = re.findall(r"leaderboards/([\w-]+/\w{12})/board\.md", section)[:2]
    rows = re.findall(r"^\| (`.*) \| ([\d./ ]+|–) \| ([\d./ ]+|–) \|$", section, re.MULTILINE)
    assert len(rows) >= 8
    for words, *cells in rows:
        names = re.findall(r"`([\w-]+)`", words)
        for board, name, cell in zip((known, unknown), (names[0], names[-1]), cells, strict=True):
            if cell != "–":
                columns = ("psnr", "psnr-clipped", "psnr-moving")
                figures = [f"{float(on_board(board, name, column)):.2f}" for column in columns]
                assert cell == " / ".join(figures), (board, name)


def test_gains_over_response_fill_are_those_of_the_boards() -> None:
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w-]+/\w{12})` \| (.*\]) \|$", page, re.MULTILINE)
    assert len(rows) == 2
    for board, cells in rows:
        results = load_results([ROOT / "leaderboards" / board])
        frame = leaderboard_frame(results, against="response-fill").set_index("method")
        parts = [f"{metric}_difference" for metric in ("psnr", "psnr-clipped", "psnr-moving")]
        figures = [
            [f"{frame.loc['gated-fill', part + end]:.2f}" for end in ("", "_low", "_high")]
            for part in parts
        ]
        assert cells == " | ".join(f"{mean} [{low}, {high}]" for mean, low, high in figures)
