"""Scores as Parquet: what the CSV says, with its types."""

from __future__ import annotations

import math

import pandas as pd

from dmef_bench.leaderboard import load_results
from dmef_bench.leaderboard.board import make_board
from dmef_bench.leaderboard.records import scenes_frame
from dmef_bench.protocol import Protocol
from dmef_bench.results import MethodResult, SceneScore, Status

RULES = Protocol("4k-dmef", "test", "c0ffee", ("psnr/rgb8",))


def result(row: str, *scores: float) -> MethodResult:
    scenes = tuple(
        SceneScore(f"scene-{number}", Status.OK, {"psnr/rgb8": score}, sse=number, samples=300)
        for number, score in enumerate(scores)
    )
    method = {"name": row, "target": f"m:{row}", "paper": "", "kind": "method", "options": {}}
    return MethodResult(row, method, RULES, scenes, expected=len(scenes), finished="2026-11-22")


def test_every_score_comes_back_as_it_was(tmp_path) -> None:
    for found in (result("one", 31.25, math.inf), result("two", 28.125, 1 / 3)):
        found.save(tmp_path / "runs" / found.row)
    folder, _ = make_board([tmp_path / "runs"], tmp_path / "boards", parquet=True)
    back = pd.read_parquet(folder / "scenes.parquet")
    frame = scenes_frame(load_results([tmp_path / "runs"]))
    assert back["psnr"].tolist() == frame["psnr"].tolist() == [31.25, math.inf, 28.125, 1 / 3]
    assert back["sse"].tolist() == [0, 1, 0, 1]
    assert back.columns.tolist() == frame.columns.tolist()
    first = (folder / "scenes.parquet").read_bytes()
    make_board([tmp_path / "runs"], tmp_path / "boards", parquet=True)
    assert (folder / "scenes.parquet").read_bytes() == first


def test_nobody_gets_one_unasked(tmp_path) -> None:
    result("one", 31.25).save(tmp_path / "runs" / "one")
    folder, _ = make_board([tmp_path / "runs"], tmp_path / "boards")
    assert not (folder / "scenes.parquet").exists()
