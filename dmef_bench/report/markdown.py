"""A board as a Markdown table that reads well on a code host and in a terminal."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from tabulate import tabulate

from dmef_bench.metrics import METRICS

_DIGITS = {"dB": 2}


def markdown_board(frame: pd.DataFrame) -> str:
    """The frame of `leaderboard_frame` as a GitHub table with caption and footnotes.

    Best of the ranked rows in bold, second underlined; bounds in italics and without rank;
    failed rows at the end with their status.
    """
    metrics = [name for name in METRICS if name in frame]
    table = pd.DataFrame({"#": [_blank(rank) for rank in frame["rank"]]})
    table["method"] = [
        f"*{_cell(row.method)}*" if row.kind == "bound" else _cell(row.method)
        for row in frame.itertuples()
    ]
    table["fused size"] = frame["fused_size"]
    for name in metrics:
        table[_header(name)] = _column(frame, name)
        if name == "psnr":
            table["pooled PSNR ↑ dB"] = [_number(value, 2) for value in frame["psnr_pooled"]]
    table["s a scene"] = [_seconds(value) for value in frame["t_e2e_s"]]
    table["scenes"] = [_status(row) for row in frame.itertuples()]
    body = tabulate(
        table.to_numpy().tolist(),
        headers=list(table.columns),
        tablefmt="github",
        disable_numparse=True,
    )
    return "\n\n".join([_title(frame), body, *_footnotes(frame, metrics)]) + "\n"


def _title(frame: pd.DataFrame) -> str:
    rules = frame.attrs["protocol"]
    native = ", the native size" if rules["mr"] == "auto" else ""
    size = "" if rules["fit"] == "full" else f", MR {rules['mr']}{native}"
    return (
        f"# {rules['dataset']}, {rules['split']} split: {frame['scenes'].max()} scenes\n\n"
        f"Protocol `{frame.attrs['fingerprint']}` (fit {rules['fit']}{size}, {rules['resize']}), "
        f"measured {frame.attrs['measured']}."
    )


def _footnotes(frame: pd.DataFrame, metrics: list[str]) -> list[str]:
    conventions = ", ".join(f"{name} = `{METRICS[name].convention}`" for name in metrics)
    notes = [
        "Rows in italics are bounds, never ranked: *reference* copies the medium exposure, "
        "*oracle* is the ground truth at the fused size, *tone-curve* the best tone curve of the "
        "medium exposure, fitted on the ground truth.",
        f"Metrics: {conventions}. Means leave infinite scores out and count them (+n ∞).",
        "Seconds: median over scenes of one call each from decoded pictures to the 8-bit result, "
        "without warm-up.",
        *(f"Measured with {environment}." for environment in frame.attrs["environments"]),
    ]
    noted = (row for row in frame.itertuples() if row.note)
    notes += [f"`{row.method}`: {_cell(row.note)}" for row in noted]
    return notes


def _header(name: str) -> str:
    metric = METRICS[name]
    arrow = "↑" if metric.higher_is_better else "↓"
    return f"{name.upper()} {arrow} {metric.unit}".strip()


def _column(frame: pd.DataFrame, name: str) -> list[str]:
    digits = _DIGITS.get(METRICS[name].unit, 4)
    best = frame.loc[frame["rank"].notna(), name].dropna()
    marks = sorted(set(best.round(digits)), reverse=METRICS[name].higher_is_better)[:2]
    cells = []
    for row in frame.to_dict("records"):
        text = _number(row[name], digits)
        if row[f"{name}_infinite"] and math.isfinite(row[name]):
            text += f" (+{row[f'{name}_infinite']} ∞)"
        if row["scenes_ok"] and row["scenes_ok"] < row["scenes"]:
            text = f"({text})"
        if not pd.isna(row["rank"]) and len(best) > 1 and round(row[name], digits) in marks:
            first = round(row[name], digits) == marks[0]
            text = f"**{text}**" if first else f"<u>{text}</u>"
        cells.append(text)
    return cells


def _number(value: float, digits: int) -> str:
    if math.isnan(value):
        return "–"
    return "∞" if math.isinf(value) else f"{value:.{digits}f}"


def _seconds(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3g}"


def _cell(text: str) -> str:
    """Text that neither ends its cell nor its row."""
    return " ".join(text.replace("|", "\\|").split())


def _blank(rank: Any) -> str:
    return "" if pd.isna(rank) else str(rank)


def _status(row: Any) -> str:
    if row.status == "ok":
        return f"{row.scenes_ok}"
    words = {
        "oom": f"OOM @{row.fused_size}",
        "unavailable": "N/A",
        "interrupted": f"incomplete {row.scenes_ok}/{row.scenes}",
    }
    return f"{words.get(row.status, row.status)}, {row.scenes_ok}/{row.scenes} ok"
