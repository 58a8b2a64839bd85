"""The course of a training as one picture: the loss, and PSNR on held-out crops."""

from __future__ import annotations

import io
from collections.abc import Sequence

from dmef_bench.training.record import LogRow


def draw_curves(rows: Sequence[LogRow], title: str) -> bytes:
    """Loss (logarithmic, unless in decibels) and validation PSNR over the steps, as PNG.

    Parameters
    ----------
    rows : sequence of LogRow
        At least one.
    title : str
        What was trained.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps = [row.step for row in rows]
    losses = [row.loss for row in rows]
    left.plot(steps, losses, color="#1f5fa8")
    left.set(xlabel="step", ylabel="loss", yscale="log" if min(losses) > 0 else "linear")
    scored = [(row.step, row.psnr_db) for row in rows if row.psnr_db is not None]
    if scored:
        right.plot(*zip(*scored, strict=True), color="#1f5fa8", marker=".")
    right.set(xlabel="step", ylabel="PSNR of held-out crops, dB")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, fontsize=10)
    buffer = io.BytesIO()
    # Without the version of matplotlib in the file, the same run gives the same bytes.
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()
