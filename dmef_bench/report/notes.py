"""What a board says in sentences: its rules, its conventions, its machines, its failures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from dmef_bench.report.table import Record


def board_title(rows: Sequence[Record], attrs: dict[str, Any]) -> str:
    """Data set, split and how many scenes."""
    rules = attrs["protocol"]
    part = ", a part" if rules["scenes"] else ""
    scenes = max(row["scenes"] for row in rows)
    return f"{rules['dataset']}, {rules['split']} split{part}: {scenes} scenes"


def board_caption(attrs: dict[str, Any]) -> str:
    """The protocol in a sentence, with its date and where it was measured."""
    rules = attrs["protocol"]
    fit = [f"fit {rules['fit']}"]
    fit += [f"MR {rules['mr']}", rules["resize"]] if rules["mr"] else []
    if rules["fit"] == "tile":
        fit += [f"tile {rules['tile'] or 'MR'}", f"overlap {rules['overlap']}"]
        fit += [f"blend {rules['blend']}"]
    if rules["memory_budget"]:
        fit.append(f"memory budget {rules['memory_budget'] / 2**30:g} GiB, emulated")
    on = f" on {_plain(attrs['timed_on'])}" if attrs["timed_on"] else ""
    return (
        f"Protocol `{attrs['fingerprint']}` ({', '.join(fit)}), "
        f"measured {attrs['measured']}{on} with dmef {_plain(attrs['dmef'])}."
    )


def board_notes(
    rows: Sequence[Record], attrs: dict[str, Any], absent: Sequence[str]
) -> Iterator[str]:
    """Everything a reader must know to read the figures, general things first.

    Parameters
    ----------
    rows : sequence of dict
        Of the frame.
    attrs : dict
        Of the frame.
    absent : sequence of str
        Titles of columns without a single figure.
    """
    if any(row["kind"] == "bound" for row in rows):
        yield (
            "Names in italics are bounds, never ranked: reference copies the medium exposure, "
            "oracle is the ground truth at the fused size, tone-curve the best tone curve of the "
            "medium exposure, fitted on the ground truth."
        )
    yield from _metric_notes(rows, attrs)
    yield from _interval_notes(rows, attrs)
    yield from _cost_notes(rows, attrs, absent)
    yield from attrs.get("paper_notes", ())


def machines(rows: Sequence[Record], attrs: dict[str, Any]) -> Iterator[str]:
    """Devices and versions; with the rows they are true of, where those are not all."""
    for sentence, names in attrs["environments"]:
        whose = "" if len(names) == len(rows) else f" ({_plain(', '.join(names))})"
        yield f"Measured with {_plain(sentence)}{whose}."


def row_remarks(rows: Sequence[Record]) -> Iterator[str]:
    """Why rows failed, or lack scores: one sentence a reason, with the rows it is true of."""
    rows_by_note: dict[str, list[str]] = {}
    for row in rows:
        if row["note"]:
            rows_by_note.setdefault(_plain(row["note"]), []).append(f"`{_plain(row['method'])}`")
    for note, names in rows_by_note.items():
        yield f"{', '.join(names)}: {note}"


def _metric_notes(rows: Sequence[Record], attrs: dict[str, Any]) -> Iterator[str]:
    ids = ", ".join(f"{name} = `{convention}`" for name, convention in attrs["conventions"].items())
    ranked = "" if attrs["sort"] == "psnr" else f" Ranked by {attrs['sort']}."
    yield (
        f"Metrics: {ids}. Means leave infinite scores out and count them (+n ∞); pooled PSNR is "
        f"that of the squared error of all scenes together.{ranked}"
    )
    if any(row[f"{name}_missing"] for row in rows for name in attrs["conventions"]):
        yield "(n without): scenes on which a score is not to be had; the mean is over the others."
    if any(row["status"] != "ok" and row["scenes_ok"] for row in rows):
        yield "In parentheses: means over the scenes that did not fail; never ranked."
    if sum(not pd.isna(row["rank"]) for row in rows) > 1:
        yield "Best in bold and second best underlined, among ranked rows."


def _interval_notes(rows: Sequence[Record], attrs: dict[str, Any]) -> Iterator[str]:
    drawn = attrs["drawn"]
    if drawn["groups"] > 1:
        note = (
            "Brackets after a score: 95 % interval of the mean, paired bootstrap, "
            f"{attrs['resamples']:,} resamples of {_population(**drawn)}."
        )
        if any(not pd.isna(row["rank_low"]) for row in rows):
            note += (
                " Rank range: the ranks of 95 % of the resamples; beside it, how many of them keep "
                "the printed rank."
            )
        yield note
        yield from _few(**drawn)
    elif drawn["scenes"] > 1:
        yield f"No intervals: the {drawn['scenes']} scenes are of one clip, and tell of no other."
    if attrs["against"] and drawn["scenes"]:
        alike = f"≈: not distinguishable on {drawn['scenes']} scenes, the interval holds 0."
        told = f"; {alike}" if drawn["groups"] > 1 else "."
        yield f"Δ: mean of the paired differences to `{_plain(attrs['against'])}`{told}"


def _population(scenes: int, groups: int, unnamed: int, **_: Any) -> str:
    """What was drawn; where records do not name its clip, a scene was drawn alone."""
    if unnamed == scenes:
        return f"{scenes} scenes, whose clips the records do not name"
    alone = f", {unnamed} of them of unnamed clips and drawn alone" if unnamed else ""
    return f"{groups} clips ({scenes} scenes{alone})"


def _few(scenes: int, groups: int, unnamed: int, coverage: float | None) -> Iterator[str]:
    """How much too narrow intervals are that come from a handful of clips."""
    if coverage is None:
        return
    what = "scenes" if unnamed == scenes else "clips"
    yield (
        f"{groups} {what} are few, and such intervals too narrow: of {what} that scatter normally "
        f"they hold the true mean in {coverage * 100:.0f} % of all cases, not in 95 %."
    )


def _cost_notes(
    rows: Sequence[Record], attrs: dict[str, Any], absent: Sequence[str]
) -> Iterator[str]:
    if attrs["timing_group"]:
        yield (
            "t_core: median of one fusion from frames on the device to the fused tensor there, "
            "brackets 5 % and 95 % of the samples; t_e2e: from native 8-bit frames in host memory "
            "to the native 8-bit picture there; warm: the same input once more, caches filled. "
            f"Timing group `{_plain(attrs['timing_group'])}`."
        )
    elif any(not pd.isna(row["t_single_s"]) for row in rows):
        yield (
            "Seconds a scene: median over scenes of one call each from decoded pictures to the "
            "8-bit result, without warm-up."
        )
    if any(not pd.isna(row["paper_convention_g"]) for row in rows):
        yield (
            "Paper convention: twice the MACs of convolutions and linear layers at the fused "
            "size, in G."
        )
    if absent:
        yield f"Not on record: {', '.join(absent)}."


def _plain(text: str) -> str:
    """Text from a record on one line, without what a note means something by."""
    return " ".join(text.replace("`", "'").split())
