r"""A board as a LaTeX table (booktabs), to be taken into a paper by \input."""

from __future__ import annotations

import re
import unicodedata

from dmef_bench.report.table import Board, Cell, Kind, code_spans

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    "–": "--",
    "−": r"$-$",
    "≈": r"$\approx$",
    "∞": r"$\infty$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "Δ": r"$\Delta$",
    "×": r"$\times$",
    "†": r"\dag{}",
    "⚠": r"\textbf{!}",
    "…": r"\dots{}",
    "\u00a0": "~",
    "\N{WORD JOINER}": "{}",
}


def latex_board(board: Board) -> str:
    r"""A ``table*`` with caption, ``\label{tab:dmef-FINGERPRINT}`` and notes below.

    Needs the packages booktabs, graphicx, textcomp and xcolor.
    """
    align = "".join("r" if column.numeric else "l" for column in board.columns)
    lines = [
        "% Made by dmef leaderboard. Needs \\usepackage{booktabs,graphicx,textcomp,xcolor}.",
        r"\begin{table*}",
        r"\centering",
        rf"\caption{{{latex_text(board.title)}. {_note(board.caption)}}}",
        rf"\label{{tab:dmef-{board.fingerprint}}}",
        # Shrunk to the page's width where it is wider, and never enlarged.
        r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{@{{}}{align}@{{}}}}",
        r"\toprule",
        " & ".join(latex_text(column.title) for column in board.columns) + r" \\",
        r"\midrule",
        *(_row(kind, row) for kind, row in zip(board.kinds, board.rows, strict=True)),
        r"\bottomrule",
        r"\end{tabular}}",
        "",
        r"\medskip",
        r"\begin{minipage}{\textwidth}\footnotesize\raggedright",
        *(rf"{_note(note)}\par" for note in board.sentences),
        r"\end{minipage}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def latex_text(text: str) -> str:
    r"""Plain text that typesets as it reads.

    Letters that a Latin font lacks are named by their code point, since an engine would stop
    at them.

    Examples
    --------
    >>> latex_text("50 % of a_b")
    '50 \\% of a\\_b'
    """
    # Two hyphens in a row would become a dash.
    apart = re.sub("-(?=-)", "-\N{WORD JOINER}", " ".join(text.split()))
    return "".join(_SPECIAL.get(letter) or _letter(letter) for letter in apart)


def _letter(letter: str) -> str:
    if letter.isascii():
        return letter if letter.isprintable() else ""
    if unicodedata.name(letter, "").startswith("LATIN"):
        return letter
    return rf"\texttt{{U+{ord(letter):04X}}}"


def _row(kind: Kind, row: tuple[Cell, ...]) -> str:
    line = " & ".join(_cell(cell, kind) for cell in row) + r" \\"
    # After the \\ of the row above, a bracket or a star would be its argument.
    return f"{{}}{line}" if line[0] in "[*" else line


def _cell(cell: Cell, kind: Kind) -> str:
    text = latex_text(cell.text)
    text = rf"\textit{{{text}}}" if cell.italic else text
    text = {"best": rf"\textbf{{{text}}}", "second": rf"\underline{{{text}}}", "": text}[cell.mark]
    if cell.detail:
        text += rf" {{\scriptsize {latex_text(cell.detail)}}}"
    if text and (cell.faint or kind == "bound"):
        text = rf"\textcolor{{gray}}{{{text}}}"
    return text


def _note(note: str) -> str:
    return "".join(
        rf"\texttt{{{latex_text(text)}}}" if code else _spaced(text)
        for code, text in code_spans(note)
    )


def _spaced(text: str) -> str:
    """Text between two code spans keeps the blanks at its ends."""
    before = " " if text[:1].isspace() else ""
    after = " " if text[-1:].isspace() and text.strip() else ""
    return f"{before}{latex_text(text)}{after}"
