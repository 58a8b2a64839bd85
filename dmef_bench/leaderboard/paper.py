"""What the paper printed, beside what was measured here; never part of the ranking."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from dmef_bench import strict_json
from dmef_bench.errors import UnavailableError, UsageError

FOLDER = Path(__file__).resolve().parents[2] / "leaderboards" / "paper"
"""In a clone of dmef; a wheel does not hold it."""


def provenance(folder: Path = FOLDER) -> dict[str, Any]:
    """Where the printed tables come from, and how their columns are to be read.

    Raises
    ------
    UnavailableError
        dmef was installed without them.
    """
    path = folder / "provenance.json"
    if not path.exists():
        raise UnavailableError(
            "The paper's tables lie in dmef's clone, in leaderboards/paper, and this dmef was "
            "installed without a clone: clone the repository, `pip install -e .` there, and run "
            "`dmef leaderboard --paper` from it."
        )
    found: dict[str, Any] = strict_json.loads(path.read_text(encoding="utf-8"))
    return found


def printed_table(name: str, folder: Path = FOLDER) -> pd.DataFrame:
    """One table as printed, every field as text; empty where nothing was printed.

    Raises
    ------
    UsageError
        No table has this name.
    UnavailableError
        dmef was installed without them.
    """
    tables = provenance(folder)["tables"]
    if name not in tables:
        raise UsageError(f"The paper has no {name!r}; choose from {', '.join(tables)}.")
    return pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False)


def beside_paper(frame: pd.DataFrame, name: str, folder: Path = FOLDER) -> pd.DataFrame:
    """The board with a printed table beside it.

    Parameters
    ----------
    frame : DataFrame
        From `leaderboard_frame`.
    name : str
        ``"table1"`` to ``"table7"``.
    folder : Path
        Of the printed tables.

    Returns
    -------
    pandas.DataFrame
        With ``<column>_paper`` and, for figures, ``<column>_minus_paper`` (ours minus printed) at
        the end. Rows are matched by method or by label; ``attrs`` say how the units were read.

    Raises
    ------
    UsageError
        No table has this name.
    UnavailableError
        dmef was installed without them.
    """
    table, source = printed_table(name, folder), provenance(folder)
    facts = source["tables"][name]
    by_row = {facts["rows"][record[facts["key"]]]: record for record in table.to_dict("records")}
    matches = [_match(row, by_row) for row in frame.to_dict("records")]
    beside = frame.copy()
    for printed, reading in facts["columns"].items():
        for ours in reading["ours"]:
            if ours in frame:
                fields = [match.get(printed, "") for match in matches]
                _add_columns(beside, ours, fields, reading.get("scale", 1))
    met = {id(match) for match in matches}
    absent = [record[facts["key"]] for record in by_row.values() if id(record) not in met]
    beside.attrs = {**frame.attrs, "paper_notes": _notes(frame, source, name, absent)}
    return beside


def _match(row: Mapping[str, Any], by_row: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The printed row of one of ours: by its label, else by its method's name."""
    if row["kind"] == "bound":
        return {}
    name = str(row["method"])
    return by_row.get(name) or by_row.get(re.split(r"[@\[ ]", name)[0]) or {}


def _add_columns(beside: pd.DataFrame, ours: str, fields: list[str], scale: float) -> None:
    if beside[ours].dtype.kind not in "if":
        beside[f"{ours}_paper"] = fields
        return
    figures = [float(field) * scale if field else math.nan for field in fields]
    beside[f"{ours}_paper"] = figures
    beside[f"{ours}_minus_paper"] = beside[ours].astype(float) - figures


def _notes(
    frame: pd.DataFrame, source: Mapping[str, Any], name: str, absent: list[str]
) -> tuple[str, ...]:
    facts = source["tables"][name]
    number = name.removeprefix("table")
    notes = [
        f"(paper): as printed in Table {number} of arXiv:{source['arxiv']} ({facts['caption']}), "
        f"measured there on {source['device']}; (difference): ours minus printed. Not ranked.",
        *facts["reading"],
    ]
    dataset = frame.attrs["protocol"]["dataset"]
    if facts["dataset"] != dataset:
        notes.append(f"The printed table is about {facts['dataset']}, this board about {dataset}.")
    if absent:
        notes.append(f"Printed, and not on this board: {', '.join(absent)}.")
    return tuple(notes)
