"""From saved results to one board: one protocol, every row there, figures with their intervals."""

from __future__ import annotations

from dmef_bench.leaderboard.board import FORMATS, make_board, render
from dmef_bench.leaderboard.frame import leaderboard_frame
from dmef_bench.leaderboard.records import load_results, scenes_frame, select_fingerprint

__all__ = [
    "FORMATS",
    "leaderboard_frame",
    "load_results",
    "make_board",
    "render",
    "scenes_frame",
    "select_fingerprint",
]
