"""A board in words: the cells, columns and notes that every format shows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from dmef_bench.report.numbers import NOTHING

Mark = Literal["", "best", "second"]
Kind = Literal["method", "bound", "unranked"]
Record = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """One figure as it is read.

    Parameters
    ----------
    text : str
        The figure; plain text, as is everything here: each format escapes it in its own way.
    detail : str
        Its interval or count, where there is one, in smaller type.
    mark : "", "best" or "second"
        Among the ranked rows.
    faint : bool
        A difference that might as well be none.
    italic : bool
        The name of a bound.
    value : float or str
        What the row is sorted by, if a reader sorts by this column.
    """

    text: str
    detail: str = ""
    mark: Mark = ""
    faint: bool = False
    italic: bool = False
    value: float | str = math.nan


@dataclass(frozen=True)
class Column:
    """A column of cells, one a row of the board.

    Parameters
    ----------
    title : str
        Its heading, with arrow and unit.
    cells : tuple of Cell
        From the best row down.
    expected : bool
        Whether a reader should be told where no row has a figure here.
    """

    title: str
    cells: tuple[Cell, ...]
    expected: bool = True

    @property
    def numeric(self) -> bool:
        """Whether it is read by its figures, and set flush right."""
        return all(isinstance(cell.value, float) for cell in self.cells)

    @property
    def empty(self) -> bool:
        """Whether no row has anything to say here."""
        return all(cell.text in ("", NOTHING) for cell in self.cells)


@dataclass(frozen=True)
class Board:
    """Everything that a page shows of a board.

    Parameters
    ----------
    title, caption : str
        The heading, and the protocol in a sentence.
    kinds : tuple of "method", "bound" or "unranked"
        One a row: bounds are shown in a lighter style.
    columns : tuple of Column
        Those in which any row has a figure.
    notes : tuple of str
        How to read it: sentences, in which backticks set off what is code.
    machines : tuple of str
        Where it was measured, likewise.
    remarks : tuple of str
        What single rows ran into, likewise.
    fingerprint : str
        Of the protocol.
    """

    title: str
    caption: str
    kinds: tuple[Kind, ...]
    columns: tuple[Column, ...]
    notes: tuple[str, ...]
    machines: tuple[str, ...]
    remarks: tuple[str, ...]
    fingerprint: str

    @property
    def sentences(self) -> tuple[str, ...]:
        """Everything that stands below the table."""
        return self.notes + self.machines + self.remarks

    @property
    def rows(self) -> list[tuple[Cell, ...]]:
        """The cells row by row."""
        return list(zip(*(column.cells for column in self.columns), strict=True))


def code_spans(note: str) -> list[tuple[bool, str]]:
    """A note cut at its backticks: (is code, text) piece by piece.

    Examples
    --------
    >>> code_spans("fit `tile` only")
    [(False, 'fit '), (True, 'tile'), (False, ' only')]
    """
    return [(index % 2 == 1, part) for index, part in enumerate(note.split("`")) if part]
