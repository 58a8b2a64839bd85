"""The columns of a board, from frame to words: names, scores with intervals, costs, remarks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd

from dmef_bench.metrics import METRICS
from dmef_bench.report.numbers import (
    NOTHING,
    Writer,
    decimals,
    engineering,
    gibibytes,
    score,
    signed,
    significant,
)
from dmef_bench.report.table import Cell, Column, Mark, Record

_EXPENSES: tuple[tuple[str, str, Writer, bool], ...] = (
    ("t_core_s", "t_core s", significant, True),
    ("t_core_warm_s", "t_core warm s", significant, False),
    ("t_e2e_s", "t_e2e s", significant, True),
    ("peak_bytes", "peak GiB", gibibytes, True),
    ("parameters", "parameters M", decimals(4, scale=1e-6), True),
    ("macs_per_pixel", "MACs a pixel", engineering, True),
    ("macs_at_fused_size", "MACs at fused size", engineering, True),
    ("paper_convention_g", "paper convention G", decimals(2), True),
)
"""Column of the frame, heading, how it is written, whether its absence is worth a word."""


def board_columns(rows: Sequence[Record], attrs: dict[str, Any]) -> list[Column]:
    """Every column a board can have, in order; empty ones included."""
    columns = _names(rows)
    for name in attrs["conventions"]:
        columns += _qualities(rows, attrs, name)
    return [*columns, *_expenses(rows), *_remarks(rows)]


def metric_title(name: str) -> str:
    """A metric's heading: its name, which way is up, its unit."""
    if name not in METRICS:
        return name
    metric = METRICS[name]
    return f"{name.upper()} {'↑' if metric.higher_is_better else '↓'} {metric.unit}".strip()


def _column(
    rows: Sequence[Record], title: str, cell: Callable[[Record], Cell], *, expected: bool = True
) -> Column:
    return Column(title, tuple(cell(row) for row in rows), expected)


def _names(rows: Sequence[Record]) -> list[Column]:
    words = partial(_column, rows, expected=False)
    columns = [
        words("#", _rank),
        words("rank range", _rank_range),
        words("method", _method),
        words("fused size", partial(_word, "fused_size")),
        words("MR from", partial(_word, "mr_source")),
    ]
    if rows and "fused_size_paper" in rows[0]:
        columns.append(words("MR (paper)", partial(_word, "fused_size_paper")))
    return columns


def _word(name: str, row: Record) -> Cell:
    return Cell(row[name], value=row[name])


def _method(row: Record) -> Cell:
    return replace(_word("method", row), italic=row["kind"] == "bound")


def _rank(row: Record) -> Cell:
    return Cell("") if pd.isna(row["rank"]) else Cell(str(row["rank"]), value=float(row["rank"]))


def _rank_range(row: Record) -> Cell:
    if pd.isna(row["rank_low"]):
        return Cell("")
    low, high = row["rank_low"], row["rank_high"]
    text = f"{low}" if low == high else f"{low}–{high}"
    return Cell(text, f"({100 * row['rank_kept']:.0f} %)", value=float(row["rank_kept"]))


def _qualities(rows: Sequence[Record], attrs: dict[str, Any], name: str) -> list[Column]:
    """A metric's mean with all that belongs to it: pooled, difference, printed value."""
    title, write = metric_title(name), score(name)
    # What a row without scores ran into stands where its numbers would.
    instead = "outcome" if name == attrs["sort"] else ""
    means = _column(rows, title, partial(_mean, name, write, instead))
    columns = [_marked(means, rows, name, write)]
    if name == "psnr":
        pooled = _column(rows, f"pooled {title}", partial(_part_mean, "psnr_pooled", write))
        columns.append(_marked(pooled, rows, name, write))
    if attrs["against"]:
        columns.append(_column(rows, f"Δ {title}", partial(_difference, name, write)))
    return [*columns, *_printed(rows, name, title, write)]


def _mean(name: str, write: Writer, instead: str, row: Record) -> Cell:
    """A mean with what was left out of it, and its interval."""
    plain = _part_mean(name, write, row)
    if math.isnan(row[name]):
        return replace(plain, text=row.get(instead) or NOTHING)
    text = plain.text
    if row[f"{name}_infinite"] and math.isfinite(row[name]):
        text += f" (+{row[f'{name}_infinite']} ∞)"
    if row[f"{name}_missing"]:
        text += f" ({row[f'{name}_missing']} without)"
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    if math.isnan(low) or math.isinf(row[name]):
        return replace(plain, text=text)
    return replace(plain, text=text, detail=f"[{write(low)}, {write(high)}]")


def _part_mean(name: str, write: Writer, row: Record) -> Cell:
    """A mean, in parentheses and with its count where it is one over some scenes only."""
    text = write(row[name])
    if row["status"] == "ok" or math.isnan(row[name]):
        return Cell(text, value=row[name])
    return Cell(f"({text})", f"{row['scenes_ok']} of {row['scenes']}", value=row[name])


def _marked(column: Column, rows: Sequence[Record], metric: str, write: Writer) -> Column:
    """Best and second of the ranked rows; figures that read the same share the mark."""
    cells = list(column.cells)
    ranked = [index for index, row in enumerate(rows) if not pd.isna(row["rank"])]
    read = {index: write(float(cells[index].value)) for index in ranked}
    values = {read[index]: float(cells[index].value) for index in ranked}
    values.pop(NOTHING, None)
    if len(ranked) < 2:
        return column
    upward = metric not in METRICS or METRICS[metric].higher_is_better
    order = sorted(values, key=lambda text: values[text], reverse=upward)
    marks: dict[str, Mark] = dict(zip(order, ("best", "second"), strict=False))
    for index in ranked:
        cells[index] = replace(cells[index], mark=marks.get(read[index], ""))
    return replace(column, cells=tuple(cells))


def _difference(name: str, write: Writer, row: Record) -> Cell:
    """The paired difference to one row; faint where its interval holds 0."""
    difference, low, high = (row[f"{name}_difference{end}"] for end in ("", "_low", "_high"))
    if math.isnan(difference):
        return Cell(NOTHING)
    text = signed(write)
    alike = low <= 0 <= high
    ends = "" if math.isnan(low) else f"[{text(low)}, {text(high)}]"
    return Cell(f"{'≈ ' * alike}{text(difference)}", ends, faint=alike, value=difference)


def _expenses(rows: Sequence[Record]) -> list[Column]:
    columns = []
    for name, title, write, expected in _EXPENSES:
        cell = _core if name == "t_core_s" else partial(_figure, name, write)
        columns.append(_column(rows, title, cell, expected=expected))
        columns += _printed(rows, name, title, write)
    if all(math.isnan(row["t_e2e_s"]) for row in rows):
        # A single call, not warmed up, is shown only where no clock was running.
        single = partial(_figure, "t_single_s", significant)
        columns.insert(0, _column(rows, "s a scene", single, expected=False))
    return columns


def _figure(name: str, write: Writer, row: Record) -> Cell:
    value = math.nan if pd.isna(row[name]) else float(row[name])
    return Cell(write(value), value=value)


def _core(row: Record) -> Cell:
    low, high = row["t_core_p5_s"], row["t_core_p95_s"]
    spread = "" if math.isnan(low) else f"[{significant(low)}, {significant(high)}]"
    return replace(_figure("t_core_s", significant, row), detail=spread)


def _printed(rows: Sequence[Record], name: str, title: str, write: Writer) -> list[Column]:
    """What a paper printed of this column, and how far ours is from it."""
    if not rows or f"{name}_paper" not in rows[0]:
        return []
    printed = partial(_figure, f"{name}_paper", write)
    apart = partial(_figure, f"{name}_minus_paper", signed(write))
    return [
        _column(rows, f"{title} (paper)", printed, expected=False),
        _column(rows, f"{title} (difference)", apart, expected=False),
    ]


def _remarks(rows: Sequence[Record]) -> list[Column]:
    return [
        _column(rows, "flags", partial(_word, "flags"), expected=False),
        _column(rows, "scenes", _scenes),
    ]


def _scenes(row: Record) -> Cell:
    count = str(row["scenes_ok"])
    text = f"{row['outcome']}, {count}/{row['scenes']} ok" if row["outcome"] else count
    return Cell(text, value=float(row["scenes_ok"]))
