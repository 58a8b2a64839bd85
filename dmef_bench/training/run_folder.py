"""The folder of a run: what is in it, in which order it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from dmef_bench.checkpoint import state_digest
from dmef_bench.imagefile import bytes_sha256
from dmef_bench.training.checkpoints import STATE, save_state, save_weights, write_whole
from dmef_bench.training.curves import draw_curves
from dmef_bench.training.record import BEST, CURVE, LAST, LogRow, write_log, write_record


def save_run(
    folder: Path,
    *,
    network: nn.Module,
    header: Mapping[str, str],
    is_best: bool,
    state: Mapping[str, Any],
    log: Sequence[LogRow],
    record: Mapping[str, Any],
) -> None:
    """Put a run on the disk, each file whole or as it was.

    ``best.safetensors`` and ``last.safetensors`` are the weights, ``state.pt`` is what
    ``--resume`` reads, ``log.csv`` and ``curve.png`` show the course, ``train.json`` tells it all
    and comes last: what it says of the other files is so.

    Parameters
    ----------
    folder : Path
        Exists.
    network : Module
        As it is now.
    header : mapping of str to str
        Metadata of the weights files.
    is_best : bool
        Whether no weights so far have done better.
    state, log, record
        See `dmef_bench.training.trainer.Training`.

    Raises
    ------
    UnavailableError
        No room; the files not yet written are those of the checkpoint before.
    """
    if is_best:
        save_weights(folder / BEST, network, header)
    save_weights(folder / LAST, network, header)
    save_state(folder / STATE, state)
    write_log(folder, log)
    if log:
        write_whole(folder / CURVE, draw_curves(log, str(record["method"])))
    scores = {row.step: row for row in log if row.psnr_db is not None}
    write_record(
        folder,
        {
            **record,
            "validation": {
                name: _scores(scores.get(int(step)))
                for name, step in (("best", record["best_step"]), ("last", record["steps"]))
            },
            "weights": {name: bytes_sha256(folder / name) for name in (BEST, LAST)},
            "last_digest": state_digest(network.state_dict()),
        },
    )


def _scores(row: LogRow | None) -> dict[str, float | None] | None:
    if row is None:
        return None
    return {"step": row.step, "psnr_db": row.psnr_db, "ssim": row.ssim}
