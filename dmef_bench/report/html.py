"""A board as one HTML page: nothing to fetch, nothing to install, readable without JavaScript."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dmef_bench.report.box_plot import Sample, box_plot
from dmef_bench.report.columns import metric_title
from dmef_bench.report.numbers import score
from dmef_bench.report.table import code_spans
from dmef_bench.report.wording import board_table

TEMPLATES = Path(__file__).with_name("templates")


def html_board(
    frame: pd.DataFrame,
    *,
    scenes: pd.DataFrame | None = None,
    title: str | None = None,
    pictures: Sequence[str] = (),
    commands: Sequence[str] = (),
    **_: Any,
) -> str:
    """A page with the board, what failed and why, each scene's scores, rules and machines.

    Parameters
    ----------
    frame : DataFrame
        From `leaderboard_frame`.
    scenes : DataFrame, optional
        From `scenes_frame`; without it there are no plots and no list of failed scenes.
    title : str, optional
        Instead of the data set's name and split.
    pictures : sequence of str
        Further sections, already HTML (`dmef_bench.report.comparison`).
    commands : sequence of str
        By which the page can be made again.

    Returns
    -------
    str
        HTML. Everything that comes from records is escaped; beyond that the page forbids, by its
        own policy, any script, style or address but those made here.
    """
    board = board_table(frame, title=title)
    metrics = [] if scenes is None else [m for m in frame.attrs["conventions"] if m in scenes]
    records = [] if scenes is None else scenes.to_dict("records")
    kinds = dict(zip(frame["method"], frame["kind"], strict=True))
    style, script = _asset("board.css"), _asset("board.js")
    return (
        _environment()
        .get_template("board.html")
        .render(
            board=board,
            rows=[
                (kind, list(zip(board.columns, row, strict=True)))
                for kind, row in zip(board.kinds, board.rows, strict=True)
            ],
            failures=[r for r in records if r["status"] != "ok"],
            plots=[Markup(_plot(records, kinds, metric)) for metric in metrics],
            scenes=[_scored(record, metrics) for record in records if record["status"] == "ok"],
            titles=[metric_title(metric) for metric in metrics],
            rules=_rules(frame.attrs["protocol"]),
            pictures=[Markup(picture) for picture in pictures],
            commands=commands,
            style=Markup(style),
            style_hash=_hash(style),
            script=Markup(script),
            script_hash=_hash(script),
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"spans": _spans, "sort_key": _sort_key}
    return environment


def _asset(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """What the page's policy knows a script or style by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _spans(note: str) -> Markup:
    parts = [
        Markup("<code>{}</code>").format(text) if code else Markup.escape(text)
        for code, text in code_spans(note)
    ]
    return Markup("").join(parts)


def _sort_key(value: float | str) -> str:
    """A value as the page's script compares it; nothing where there is no figure."""
    if isinstance(value, str):
        return value
    if math.isnan(value):
        return ""
    return repr(value) if math.isfinite(value) else f"{'-' * (value < 0)}Infinity"


def _plot(records: Sequence[dict[str, Any]], kinds: dict[str, str], metric: str) -> str:
    samples = {
        method: Sample(
            method,
            tuple(
                (record["scene"], float(record[metric]))
                for record in records
                if record["method"] == method and not pd.isna(record[metric])
            ),
            bound=kind == "bound",
        )
        for method, kind in kinds.items()
    }
    return box_plot(metric_title(metric), list(samples.values()), score(metric))


def _scored(record: dict[str, Any], metrics: Sequence[str]) -> dict[str, Any]:
    values = [math.nan if pd.isna(record[name]) else float(record[name]) for name in metrics]
    texts = [score(name)(value) for name, value in zip(metrics, values, strict=True)]
    return {**record, "scores": list(zip(values, texts, strict=True))}


def _rules(protocol: dict[str, Any]) -> list[tuple[str, str]]:
    def text(rule: Any) -> str:
        return ", ".join(map(str, rule)) if isinstance(rule, (list, tuple)) else str(rule)

    return [(name, text(rule)) for name, rule in protocol.items() if rule is not None]
