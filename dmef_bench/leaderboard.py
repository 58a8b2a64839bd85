"""From saved results to one table: refuses mixed protocols, ranks methods, keeps failures."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from dmef_bench.errors import ProtocolMismatchError, RecordError, UsageError
from dmef_bench.imagefile import write_atomic
from dmef_bench.metrics import METRICS
from dmef_bench.report.markdown import markdown_board
from dmef_bench.results import RUN_FILE, SCENES_FILE, MethodResult, Status
from dmef_bench.scene import size_text

FORMATS: dict[str, Callable[[pd.DataFrame], str]] = {
    "csv": lambda frame: frame.to_csv(index=False, lineterminator="\n"),
    "md": markdown_board,
}


def load_results(paths: Iterable[Path | str]) -> list[MethodResult]:
    """Every result under the given folders.

    Raises
    ------
    RecordError
        A folder without a single result, or a damaged one.
    """
    results = []
    for path in map(Path, paths):
        runs = sorted(path.rglob(RUN_FILE)) if path.is_dir() else []
        if not runs:
            raise RecordError(
                f"{path} holds no result; give the folder that `dmef bench -o` wrote."
            )
        results += [MethodResult.load(run.parent) for run in runs]
    return results


def select_fingerprint(
    results: Sequence[MethodResult], fingerprint: str | None = None
) -> list[MethodResult]:
    """The results of one protocol.

    Raises
    ------
    ProtocolMismatchError
        Two protocols and no ``fingerprint`` to choose by; the message says how they differ.
    UsageError
        No result has this fingerprint.
    """
    protocols = {result.protocol.fingerprint: result.protocol for result in results}
    if fingerprint is not None:
        chosen = [result for result in results if result.protocol.fingerprint == fingerprint]
        if not chosen:
            raise UsageError(f"No result has fingerprint {fingerprint}; there are {[*protocols]}.")
        return chosen
    if len(protocols) > 1:
        (first, one), (second, other), *_ = protocols.items()
        counts = [sum(r.protocol.fingerprint == f for r in results) for f in (first, second)]
        raise ProtocolMismatchError(
            f"These records were measured under {len(protocols)} protocols: "
            f"{first} ({one.fit}, mr {one.mr}; {counts[0]} rows) and "
            f"{second} ({other.fit}, mr {other.mr}; {counts[1]} rows). "
            f"Give one directory, or --fingerprint {first}. "
            f"They differ in: {', '.join(one.differences(other))}."
        )
    return list(results)


def leaderboard_frame(results: Sequence[MethodResult]) -> pd.DataFrame:
    """One row a method, full precision; what every format is written from.

    Parameters
    ----------
    results : sequence of MethodResult
        Of one protocol.

    Returns
    -------
    pandas.DataFrame
        Columns ``rank`` (missing for bounds and incomplete rows), ``method``, ``kind``,
        ``fused_size``, one column a metric (mean over scenes where it is finite; its short name)
        with ``<metric>_infinite`` counting the others, ``psnr_pooled``, ``t_e2e_s`` (median of one
        call a scene), ``scenes_ok``, ``scenes``, ``status``, ``note``; sorted by PSNR.
        ``attrs["protocol"]`` and ``attrs["environments"]`` say how and where it was measured.

    Raises
    ------
    ProtocolMismatchError
        More than one protocol.
    UsageError
        No result, or one row name twice.
    """
    results = select_fingerprint(results)
    if not results:
        raise UsageError("There is no result to make a board of.")
    names = [result.row for result in results]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(
            f"The row {twice!r} stands twice under one protocol; give one of the folders."
        )
    frame = pd.DataFrame([_row(result) for result in results])
    sort_by = "psnr" if "psnr" in frame else frame.columns[4]
    frame = frame.sort_values(
        ["ranked", sort_by, "method"], ascending=[False, False, True], na_position="last"
    )
    contests = (frame["kind"] == "method") & frame["ranked"]
    frame.insert(0, "rank", contests.cumsum().where(contests).astype("Int64"))
    frame = frame.drop(columns="ranked").reset_index(drop=True)
    frame.attrs = {
        "protocol": results[0].protocol.in_force,
        "fingerprint": results[0].protocol.fingerprint,
        "environments": _environments(results),
        "measured": max(result.finished for result in results)[:10],
    }
    return frame


def _row(result: MethodResult) -> dict[str, object]:
    complete = result.status is Status.OK and len(result.ok) == result.expected
    by_convention = {metric.convention: name for name, metric in METRICS.items()}
    row: dict[str, object] = {
        "method": result.row,
        "kind": result.method.get("kind", "method"),
        "fused_size": _fused_size(result),
        "ranked": complete and any(score.scores.values() for score in result.ok),
    }
    for convention in result.protocol.metrics:
        name = by_convention.get(convention, convention)
        row[name] = result.mean(convention)
        row[f"{name}_infinite"] = sum(
            math.isinf(value) for s in result.ok if (value := s.scores.get(convention)) is not None
        )
        if name == "psnr":
            row["psnr_pooled"] = _pooled_psnr(result)
    seconds = [time for scene in result.ok if (time := scene.seconds.get("e2e")) is not None]
    return row | {
        "t_e2e_s": float(np.median(seconds)) if seconds else math.nan,
        "scenes_ok": len(result.ok),
        "scenes": result.expected,
        "status": str(result.status),
        "note": _note(result),
    }


def _pooled_psnr(result: MethodResult) -> float:
    """PSNR of the squared error pooled over all scenes: no rule for infinities is needed."""
    sse = sum(scene.sse or 0 for scene in result.ok)
    samples = sum(scene.samples or 0 for scene in result.ok)
    if not samples:
        return math.nan
    return 10 * math.log10(255**2 * samples / sse) if sse else math.inf


def _fused_size(result: MethodResult) -> str:
    """The size the scenes were fused at: one, or how many there are."""
    sizes = {scene.fused_size for scene in result.scenes if scene.fused_size}
    if len(sizes) == 1:
        return size_text(next(iter(sizes)))
    return f"native, {len(sizes)} sizes" if sizes else ""


def _note(result: MethodResult) -> str:
    """What the reader must know of this row, failures first."""
    if result.reason:
        return result.reason
    failed = [scene for scene in result.scenes if scene.status is not Status.OK]
    notes = []
    if failed:
        error = failed[0].error or {}
        notes.append(f"{failed[0].scene_id}: {error.get('type', '')}: {error.get('message', '')}")
    notes += sorted({reason for scene in result.ok for reason in scene.unavailable.values()})
    return "; ".join(notes)


def _environments(results: Sequence[MethodResult]) -> list[str]:
    """The distinct machines and versions of a board, one sentence each."""
    return sorted(
        {
            f"dmef {env.get('dmef')}, Python {env.get('python')}, {env.get('platform')}, "
            f"{env.get('cpu')}, device {env.get('device')}, "
            + ", ".join(f"{name} {number}" for name, number in env.get("packages", {}).items())
            for result in results
            if (env := result.environment)
        }
    )


def render(frame: pd.DataFrame, format: str) -> str:  # noqa: A002 - the public name
    """A board as text: ``"csv"`` at full precision, ``"md"`` for readers."""
    if format not in FORMATS:
        raise UsageError(f"No format is called {format!r}; choose from {', '.join(FORMATS)}.")
    return FORMATS[format](frame)


def make_board(
    sources: Sequence[Path | str],
    out: Path | str | None = None,
    *,
    fingerprint: str | None = None,
    formats: Sequence[str] = ("csv", "md"),
) -> tuple[Path, str]:
    """Make a board of saved results and, beside it, keep the records it was made from.

    Parameters
    ----------
    sources : sequence of Path
        Folders that hold results.
    out : Path, optional
        ``leaderboards/<dataset>`` unless given; the board goes to ``out/<fingerprint>/``.
    fingerprint : str, optional
        Which protocol, where the sources hold several.
    formats : sequence of str
        Keys of `FORMATS`.

    Returns
    -------
    tuple of Path and str
        The board's folder, and the board as Markdown.

    Raises
    ------
    ProtocolMismatchError
        Several protocols and no ``fingerprint``.
    RecordError
        No result, or a damaged one.
    """
    results = select_fingerprint(load_results(sources), fingerprint)
    frame = leaderboard_frame(results)
    texts = {name: render(frame, name) for name in formats}
    protocol = results[0].protocol
    base = Path(out) if out else Path("leaderboards") / protocol.dataset
    folder = base / protocol.fingerprint
    folder.mkdir(parents=True, exist_ok=True)
    _copy_records(sources, folder, protocol.fingerprint)
    for name, text in texts.items():
        write_atomic(folder / f"board.{name}", text.encode())
    return folder, render(frame, "md")


def _copy_records(sources: Iterable[Path | str], folder: Path, fingerprint: str) -> None:
    runs = [run.parent for source in sources for run in sorted(Path(source).rglob(RUN_FILE))]
    for run in runs:
        result = MethodResult.load(run)
        target = folder / result.row
        if result.protocol.fingerprint != fingerprint or target.resolve() == run.resolve():
            continue
        target.mkdir(exist_ok=True)
        for name in (RUN_FILE, SCENES_FILE):
            if (run / name).exists():
                shutil.copyfile(run / name, target / name)
