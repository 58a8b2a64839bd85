"""LaTeX that compiles whatever a method is called: nothing in a record is markup."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dmef_bench.leaderboard import leaderboard_frame, load_results, render
from dmef_bench.report.latex import latex_text

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "leaderboards" / "4k-dmef" / "a96e16da6511"
HOSTILE = r"[a_b]{c} & 50% #1 $x^2$ \end{table*} ~ <i> -- ``q'' 雪 é"


@pytest.fixture(scope="module")
def table() -> str:
    first, *others = load_results([PUBLISHED])
    results = [replace(first, row=HOSTILE, reason=HOSTILE), *others]
    return render(leaderboard_frame(results, against="mertens"), "tex", title=HOSTILE)


def unescaped(text: str) -> str:
    """The text without the letters that are escaped by a backslash."""
    return re.sub(r"\\[\\{}$&%#_]", "", text)


def test_braces_and_environments_are_balanced(table) -> None:
    depth = 0
    for letter in unescaped(table):
        depth += (letter == "{") - (letter == "}")
        assert depth >= 0
    assert depth == 0
    opened = []
    for verb, name in re.findall(r"\\(begin|end)\{([^}]*)\}", unescaped(table)):
        if verb == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert not opened


def test_every_row_has_as_many_cells_as_the_head(table) -> None:
    body = table[table.index(r"\toprule") : table.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 1 + 7
    assert len({unescaped(line.replace(r"\\", "")).count("&") for line in rows}) == 1


def test_no_row_begins_like_an_argument_of_the_row_break() -> None:
    # Without a ranked row there is no column of ranks, and the name comes first.
    results = [replace(r, row=f"[{r.row}", expected=99) for r in load_results([PUBLISHED])]
    table = render(leaderboard_frame(results, resamples=100), "tex")
    assert "{}[mertens &" in table
    assert not re.search(r"(\\\\|rule)\s*[\[*]", table)


def test_mathematics_opens_and_closes_on_every_line(table) -> None:
    assert all(unescaped(line).count("$") % 2 == 0 for line in table.splitlines())


def test_a_comment_only_stands_where_we_write_one(table) -> None:
    comments = [line for line in table.splitlines() if "%" in unescaped(line)]
    assert [line[:10] for line in comments] == ["% Made by ", r"\resizebox"]


def test_best_is_bold_second_underlined_bounds_are_grey(table) -> None:
    assert r"\textbf{0.9911}" in table
    assert r"\underline{0.9904}" in table
    assert r"\textcolor{gray}{\textit{tone-curve}}" in table


@settings(max_examples=50)
@given(st.text())
def test_any_text_becomes_plain_text(text) -> None:
    escaped = latex_text(text)
    bare = unescaped(escaped)
    for letter in "%#&_":
        assert letter not in bare
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert "---" not in escaped


@pytest.mark.slow
def test_the_table_compiles(table, tmp_path) -> None:
    engine = shutil.which("pdflatex") or shutil.which("tectonic")
    if not engine:
        pytest.skip("neither pdflatex nor tectonic is installed")
    packages = r"\usepackage[T1]{fontenc}\usepackage{booktabs,graphicx,textcomp,xcolor}"
    document = rf"\documentclass{{article}}{packages}\begin{{document}}{table}\end{{document}}"
    (tmp_path / "board.tex").write_text(document, encoding="utf-8")
    words = ["-interaction=nonstopmode", "-halt-on-error"] if "pdflatex" in engine else []
    subprocess.run([engine, *words, "board.tex"], cwd=tmp_path, check=True, capture_output=True)
