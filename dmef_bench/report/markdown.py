"""A board as a Markdown table that reads well on a code host and in a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dmef_bench.report.table import Board, Cell, code_spans


def markdown_board(board: Board, *, brief: bool = False) -> str:
    """A GitHub table with caption and footnotes.

    Best of the ranked rows in bold, second underlined; bounds in italics and without rank.

    Parameters
    ----------
    board : Board
        From `board_table`.
    brief : bool
        Only the figures and what went wrong, so that it fits into a terminal.
    """
    body = _table(board, brief=brief)
    head = [f"# {_escaped(board.title)}", _note(board.caption), body]
    notes = board.remarks if brief else board.sentences
    return "\n\n".join([*head, *map(_note, notes)]) + "\n"


def _table(board: Board, *, brief: bool) -> str:
    """Padded by hand: the bytes must not depend on what a library knows of letters' widths."""
    lines = [[_escaped(column.title) for column in board.columns]]
    lines += [[_cell(cell, brief=brief) for cell in row] for row in board.rows]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    right = [column.numeric for column in board.columns]

    def joined(cells: Iterable[str]) -> str:
        return f"| {' | '.join(cells)} |"

    padded = [
        joined(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, right, strict=True)
        )
        for line in lines
    ]
    rule = joined(
        f"{'-' * (width - 1)}{':' if number else '-'}"
        for width, number in zip(widths, right, strict=True)
    )
    return "\n".join([padded[0], rule, *padded[1:]])


def _cell(cell: Cell, *, brief: bool) -> str:
    text = f"*{_escaped(cell.text)}*" if cell.italic else _escaped(cell.text)
    text = {"best": f"**{text}**", "second": f"<u>{text}</u>", "": text}[cell.mark]
    return text if brief else f"{text} {_escaped(cell.detail)}".strip()


def _note(note: str) -> str:
    return "".join(f"`{text}`" if code else _escaped(text) for code, text in code_spans(note))


def _escaped(text: str) -> str:
    """Plain text, so that nothing in it is taken for markup, ends its cell or its row."""
    return re.sub(r"([\\`*|<>~]|(?<!\w)_|_(?!\w)|(?<=\])\()", r"\\\1", re.sub(r"\s+", " ", text))
