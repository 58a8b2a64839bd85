"""Boards: one protocol, every row there, bounds unranked, failures visible, bytes repeatable."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import pandas as pd
import pytest

from dmef_bench.errors import ProtocolMismatchError, RecordError, UsageError
from dmef_bench.leaderboard import leaderboard_frame, load_results, make_board, render
from dmef_bench.protocol import Protocol
from dmef_bench.results import MethodResult, SceneScore, Status, summarise

RULES = Protocol("4k-dmef", "test", "c0ffee", metrics=("psnr/rgb8", "ssim/wang04-rgb-valid"))


def row(name, psnrs, *, kind="method", expected=None, rules=RULES, reason="", status=None):
    """A result with one scene a PSNR; None is a scene that ran out of memory."""
    scenes = []
    for number, psnr in enumerate(psnrs):
        ok = psnr is not None
        mse = 0 if psnr in (None, math.inf) else 255**2 / 10 ** (psnr / 10)
        scenes.append(
            SceneScore(
                f"scene-{number}",
                Status.OK if ok else Status.OOM,
                scores={"psnr/rgb8": psnr, "ssim/wang04-rgb-valid": 0.9} if ok else {},
                fused_size=(1080, 1920),
                seconds={"e2e": number + 1.0} if ok else {},
                sse=round(mse * 1000) if ok else None,
                samples=1000 if ok else None,
                method_digest="d",
                error=None if ok else {"type": "MemoryError", "message": "too large"},
            )
        )
    expected = expected or len(scenes)
    return MethodResult(
        row=name,
        method={"name": name, "kind": kind, "digest": "d"},
        protocol=rules,
        scenes=tuple(scenes),
        environment={
            "dmef": "0.1.0",
            "python": "3.11",
            "platform": "x",
            "cpu": "y",
            "device": "cpu",
        },
        status=status or summarise(scenes, expected),
        reason=reason,
        expected=expected,
        finished="2026-11-22T10:00:00Z",
    )


BOARD = [
    row("gdc", [30.0, 34.0]),
    row("mertens", [20.0, 22.0]),
    row("reference", [14.0, 16.0], kind="bound"),
    row("oracle@native", [math.inf, math.inf], kind="bound"),
    row("greedy", [None, 40.0]),
    row("absent", [], expected=2, status=Status.UNAVAILABLE, reason="install torch"),
]


def test_methods_are_ranked_and_bounds_and_failures_are_not() -> None:
    frame = leaderboard_frame(BOARD).set_index("method")
    ranks = frame["rank"].dropna().to_dict()
    assert ranks == {"gdc": 1, "mertens": 2}


def test_every_row_asked_for_is_on_the_board() -> None:
    assert set(leaderboard_frame(BOARD)["method"]) == {result.row for result in BOARD}


def test_failed_rows_stand_below_all_complete_ones() -> None:
    frame = leaderboard_frame(BOARD)
    assert list(frame["method"][-2:]) == ["greedy", "absent"]


def test_the_mean_is_over_finite_scenes_and_infinities_are_counted() -> None:
    frame = leaderboard_frame([row("a", [30.0, 32.0, math.inf])])
    assert frame.loc[0, "psnr"] == 31.0
    assert frame.loc[0, "psnr_infinite"] == 1
    assert "31.00 (+1 ∞)" in render(frame, "md")


def test_pooled_psnr_is_that_of_all_samples_together() -> None:
    # Equal sizes: the pooled MSE is the mean of the MSEs of 20 and 40 dB.
    frame = leaderboard_frame([row("a", [20.0, 40.0])])
    mse = (255**2 / 10**2 + 255**2 / 10**4) / 2
    # The record's SSE is an integer, here rounded to half of one in a thousand samples.
    assert frame.loc[0, "psnr_pooled"] == pytest.approx(10 * math.log10(255**2 / mse), abs=1e-4)


def test_two_protocols_share_no_board() -> None:
    other = row("gdc", [30.0], rules=replace(RULES, fit="full"))
    with pytest.raises(ProtocolMismatchError, match=r"two|2 protocols.*fit"):
        leaderboard_frame([BOARD[0], other])


def test_a_row_that_stands_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="stands twice"):
        leaderboard_frame([BOARD[0], BOARD[0]])


def test_csv_keeps_full_precision_and_reads_back() -> None:
    frame = leaderboard_frame([row("a", [31.123456789012, 33.0])])
    read = pd.read_csv(io.StringIO(render(frame, "csv")))
    assert read.loc[0, "psnr"] == frame.loc[0, "psnr"]
    assert render(leaderboard_frame(BOARD), "csv").count("inf") >= 1


def test_markdown_marks_best_and_second_among_ranked_rows_only() -> None:
    text = render(leaderboard_frame(BOARD), "md")
    assert "**32.00**" in text
    assert "<u>21.00</u>" in text
    assert "*oracle@native*" in text
    assert "**∞**" not in text


def test_markdown_shows_failures_with_their_reason() -> None:
    text = render(leaderboard_frame(BOARD), "md")
    assert "OOM @1920x1080, 1/2 ok" in text
    assert "(40.00)" in text
    assert "`greedy`: scene-0: MemoryError: too large" in text
    assert "`absent`: install torch" in text


def test_a_pipe_in_a_message_does_not_break_the_table() -> None:
    text = render(leaderboard_frame([row("a|b", [30.0])]), "md")
    line = next(line for line in text.splitlines() if "a\\|b" in line)
    assert line.replace("\\|", "").count("|") == text.splitlines()[4].count("|")


def test_the_board_states_protocol_and_environment() -> None:
    text = render(leaderboard_frame(BOARD), "md")
    for fact in (RULES.fingerprint, "psnr/rgb8", "dmef 0.1.0", "device cpu", "2026-11-22"):
        assert fact in text


def test_a_published_board_is_remade_byte_for_byte_from_its_own_records(tmp_path) -> None:
    for result in BOARD:
        result.save(tmp_path / "runs" / result.row)
    first, _ = make_board([tmp_path / "runs"], tmp_path / "boards")
    before = {path.name: path.read_bytes() for path in first.glob("board.*")}
    assert set(before) == {"board.csv", "board.md"}
    again, _ = make_board([first], tmp_path / "boards")
    assert again == first
    assert {path.name: path.read_bytes() for path in again.glob("board.*")} == before


def test_results_come_back_from_anywhere_below_the_folder(tmp_path) -> None:
    BOARD[0].save(tmp_path / "deep" / "down" / "gdc")
    (loaded,) = load_results([tmp_path])
    assert loaded.row == "gdc"
    with pytest.raises(RecordError, match="holds no result"):
        load_results([tmp_path / "deep" / "elsewhere"])


def test_an_unknown_format_names_those_that_exist() -> None:
    with pytest.raises(UsageError, match="csv, md"):
        render(leaderboard_frame(BOARD), "xlsx")
