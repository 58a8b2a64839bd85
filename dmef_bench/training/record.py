"""What a run leaves behind for people: the record of how the weights came about, and the log."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dmef_bench import strict_json
from dmef_bench.errors import RecordError
from dmef_bench.training.checkpoints import write_whole

RECORD, LOG, CURVE = "train.json", "log.csv", "curve.png"
BEST, LAST = "best.safetensors", "last.safetensors"
SCHEMA = "dmef-train/1"


@dataclass(frozen=True)
class LogRow:
    """One line of ``log.csv``: the steps since the line before, and a validation.

    Parameters
    ----------
    step : int
        Steps done.
    epoch : float
        Passes over the training scenes done.
    minutes : float
        Of training, pauses between resumed runs left out.
    loss : float
        Mean since the line before.
    gradient_norm : float
        Mean since the line before, as it was before clipping.
    learning_rate : float
        Of the last step.
    loading_share : float
        Of the time since the line before, what was spent waiting for crops and preparing them.
    psnr_db, ssim : float or None
        Of the held-out crops; None where there are none.
    """

    step: int
    epoch: float
    minutes: float
    loss: float
    gradient_norm: float
    learning_rate: float
    loading_share: float
    psnr_db: float | None
    ssim: float | None


def write_log(folder: Path, rows: Iterable[LogRow]) -> None:
    """Write ``log.csv`` anew, whole."""
    buffer = io.StringIO()
    names = [part.name for part in fields(LogRow)]
    writer = csv.DictWriter(buffer, names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        values = asdict(row).items()
        writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in values})
    write_whole(folder / LOG, buffer.getvalue().encode())


def read_log(folder: Path, until: int) -> list[LogRow]:
    """The lines of a run up to a step; none where there is no log.

    Raises
    ------
    RecordError
        The file is damaged.
    """
    path = folder / LOG
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [_row(line) for line in csv.DictReader(file)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{path}: damaged ({error}). Remove it, and the run goes on.") from error
    return [row for row in rows if row.step <= until]


def _row(line: Mapping[str, str]) -> LogRow:
    numbers = {
        part.name: float(line[part.name]) if line[part.name] else None for part in fields(LogRow)
    }
    return LogRow(**{**numbers, "step": int(line["step"])})  # type: ignore[arg-type]


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write ``train.json``."""
    text = strict_json.dumps({"schema": SCHEMA, "ended": _now(), **record}, indent=2)
    write_whole(folder / RECORD, (text + "\n").encode())


def read_record(folder: Path) -> dict[str, Any]:
    """Read ``train.json`` of a run folder.

    Raises
    ------
    RecordError
        Missing, damaged, or of another schema.
    """
    path = folder / RECORD
    try:
        record = strict_json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: no record of a training ({error}).") from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise RecordError(f"{path}: not a record that this version of dmef reads ({SCHEMA}).")
    return record


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def summary(record: Mapping[str, Any]) -> list[str]:
    """A record in a few lines, for people."""
    best = (record.get("validation") or {}).get("best")
    return [
        f"{record['method']}: {record['steps']} steps in {record['minutes']:.1f} minutes, ended by "
        f"{record['ended_by']}.",
        f"Held-out crops: {best['psnr_db']:.2f} dB, SSIM {best['ssim']:.4f} (step {best['step']})."
        if best
        else "Nothing was held out: best.safetensors is the last step.",
    ]
