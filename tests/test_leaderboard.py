"""Boards: one protocol, every row there, bounds unranked, failures visible, bytes repeatable."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import pandas as pd
import pytest

from dmef_bench.errors import ProtocolMismatchError, RecordError, UsageError
from dmef_bench.leaderboard import (
    leaderboard_frame,
    load_results,
    make_board,
    render,
    scenes_frame,
)
from dmef_bench.protocol import Protocol
from dmef_bench.results import MethodResult, SceneScore, Status, summarise

RULES = Protocol("4k-dmef", "test", "c0ffee", metrics=("psnr/rgb8", "ssim/wang04-rgb-valid"))


def row(name, psnrs, *, kind="method", expected=None, flags=(), error=None, clips=None, **parts):
    """A result with one scene a PSNR; None is a scene that failed, of memory unless told."""
    scenes = []
    error = error or {"kind": "oom", "type": "MemoryError", "message": "too large"}
    for number, psnr in enumerate(psnrs):
        ok = psnr is not None
        mse = 0 if psnr in (None, math.inf) else 255**2 / 10 ** (psnr / 10)
        scenes.append(
            SceneScore(
                f"scene-{number}",
                Status.OK if ok else Status(error["kind"]),
                scores={"psnr/rgb8": psnr, "ssim/wang04-rgb-valid": 0.9} if ok else {},
                fused_size=(1080, 1920),
                native_size=(1080, 1920),
                flags=flags,
                group=clips[number] if clips else None,
                seconds={"e2e": number + 1.0} if ok else {},
                sse=round(mse * 1000) if ok else None,
                samples=1000 if ok else None,
                method_digest="d",
                error=None if ok else error,
            )
        )
    expected = expected or len(scenes)
    result = MethodResult(
        row=name,
        method={"name": name, "kind": kind, "digest": "d"},
        protocol=RULES,
        scenes=tuple(scenes),
        environment={
            "dmef": "0.1.0",
            "python": "3.11",
            "platform": "x",
            "cpu": "y",
            "device": "cpu",
        },
        status=summarise(scenes, expected),
        expected=expected,
        finished="2026-11-22T10:00:00Z",
    )
    return replace(result, **parts)


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
    other = replace(RULES, fit="tile", tile="256x256")
    bound = row("reference", [30.0], kind="bound", protocol=other)
    with pytest.raises(ProtocolMismatchError) as refused:
        leaderboard_frame([*BOARD[:2], row("gdc", [30.0], protocol=other), bound])
    assert str(refused.value) == (
        f"These records were measured under two protocols: {RULES.fingerprint} (downsample, mr "
        f"auto; 2 methods) and {other.fingerprint} (tile; 1 method). Give one directory, or "
        f"--fingerprint {RULES.fingerprint}. They differ in: fit, tile, overlap, blend."
    )


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
    assert (first / "scenes.csv").read_text().count("\n") == 1 + 5 * 2
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
    with pytest.raises(UsageError, match="csv, md, tex, html"):
        render(leaderboard_frame(BOARD), "xlsx")


def test_equal_means_share_a_rank() -> None:
    frame = leaderboard_frame(
        [row("a", [30.0, 31.0]), row("b", [31.0, 30.0]), row("c", [1.0, 2.0])]
    )
    assert list(frame["rank"]) == [1, 1, 3]


def test_every_status_says_what_it_ran_into() -> None:
    def failing(kind, message, **parts):
        error = {"kind": kind, "type": "ValueError", "message": message}
        return row(kind, [30.0, None], error=error, **parts)

    search = {"size": None, "probes": [{"size": "3840x2160", "outcome": "oom"}]}
    frame = leaderboard_frame(
        [
            row("oom", [30.0, None]),
            row("nothing fits", [], expected=2, status=Status.OOM, max_resolution=search),
            failing("timeout", "took longer than 600 s"),
            failing("error", "bad picture"),
            row("unavailable", [], expected=2, status=Status.UNAVAILABLE, reason="no weights"),
            row("interrupted", [30.0], expected=30),
        ]
    ).set_index("method")
    assert frame["rank"].isna().all()
    assert frame["outcome"].to_dict() == {
        "oom": "OOM @1920x1080",
        "nothing fits": "OOM @3840x2160",
        "timeout": "> 600 s",
        "error": "error ValueError",
        "unavailable": "N/A",
        "interrupted": "incomplete 1/30",
    }


def test_random_weights_show_times_and_no_figure_of_quality() -> None:
    # Even where a record holds scores, they would be those of noise.
    untrained = row("net", [30.0, 31.0], flags=("untrained",), timing=timing("a", 0.25))
    shown = leaderboard_frame([untrained, *BOARD]).set_index("method").loc["net"]
    assert pd.isna(shown[["rank", "psnr", "psnr_low", "psnr_pooled", "ssim"]]).all()
    assert shown["t_core_s"] == 0.25
    assert shown["flags"] == "untrained"


def test_a_flag_of_some_scenes_says_of_how_many() -> None:
    result = row("a", [30.0, 31.0, 32.0])
    scenes = (replace(result.scenes[0], flags=("clamped",)), *result.scenes[1:])
    frame = leaderboard_frame([replace(result, scenes=scenes)])
    assert frame.loc[0, "flags"] == "clamped (1 of 3 scenes)"


def timing(group, seconds, flags=()):
    clock = {"median_s": seconds, "p5_s": seconds * 0.9, "p95_s": seconds * 1.1}
    return {"group": group, "core": clock, "core_warm": None, "e2e": clock, "flags": list(flags)}


def test_times_of_two_machines_do_not_share_a_column() -> None:
    rows = [row(name, [30.0], timing=timing("fast", 0.1)) for name in "ab"]
    rows.append(row("c", [30.0], timing=timing("slow", 9.0, flags=["clock_mismatch"])))
    times = leaderboard_frame(rows).set_index("method")
    assert times["t_core_s"].notna().to_dict() == {"a": True, "b": True, "c": False}
    assert times.loc["c", "flags"] == "clock_mismatch; timed in group slow, not shown"
    chosen = leaderboard_frame(rows, timing_group="slow").set_index("method")
    assert chosen["t_e2e_s"].dropna().to_dict() == {"c": 9.0}
    with pytest.raises(UsageError, match="There are: fast, slow"):
        leaderboard_frame(rows, timing_group="medium")


def test_an_implausible_time_says_what_it_would_take() -> None:
    told = timing("a", 0.0017, flags=["implausible"]) | {"plausibility": {"implied_tflops": 563.49}}
    frame = leaderboard_frame([row("fshdr", [30.0], timing=told)])
    assert frame.loc[0, "flags"] == "⚠ implausible: 563 TFLOP/s"


def test_costs_come_from_the_record_and_old_records_have_none() -> None:
    cost = {"parameters": 1313635, "macs_at_fused_size": 2929906200000, "macs_per_pixel": 1241856}
    memory = {
        "core": {"resident_bytes": 2**20, "reserved_bytes": 2**30},
        "e2e": {"resident_bytes": 2**20, "reserved_bytes": 3 * 2**30},
    }
    new = row("new", [30.0], cost=cost, memory=memory, timing=timing("a", 0.0911))
    frame = leaderboard_frame([new, row("old", [20.0])]).set_index("method")
    assert frame.loc["new", "peak_bytes"] == 3 * 2**30
    assert frame.loc["new", "parameters"] == 1313635
    assert frame.loc["old", ["t_core_s", "peak_bytes", "parameters"]].isna().all()
    text = render(leaderboard_frame([new, row("old", [20.0])]), "md")
    for figure in ("0.0911 [0.0820, 0.100]", "3.00", "1.3136", "1.242 M", "2.930 T"):
        assert figure in text
    assert "Not on record: paper convention G." in text
    old = next(line for line in text.splitlines() if "| old" in line)
    assert "| s a scene |" not in text
    assert old.count(" – ") == 6


def test_a_board_without_any_clock_shows_single_calls() -> None:
    text = render(leaderboard_frame(BOARD), "md")
    assert "| s a scene |" in text
    assert "Not on record: t_core s, t_e2e s" in text


def test_the_sort_metric_ranks_and_knows_which_way_is_up() -> None:
    rules = replace(RULES, metrics=(*RULES.metrics, "lpips/alex-v0.1"))

    def scored(name, psnr, lpips):
        (scene,) = row(name, [psnr]).scenes
        scene = replace(scene, scores={**scene.scores, "lpips/alex-v0.1": lpips})
        return row(name, [], protocol=rules, scenes=(scene,), expected=1, status=Status.OK)

    rows = [scored("sharp", 30.0, 0.4), scored("like", 20.0, 0.1), scored("unknown", 40.0, None)]
    assert list(leaderboard_frame(rows)["method"]) == ["unknown", "sharp", "like"]
    by_lpips = leaderboard_frame(rows, sort="lpips").set_index("method")
    assert by_lpips["rank"].dropna().to_dict() == {"like": 1, "sharp": 2}
    with pytest.raises(UsageError, match="did you mean lpips"):
        leaderboard_frame(rows, sort="lpisp")


def test_scores_beyond_the_protocol_stand_on_the_board_too() -> None:
    result = row("a", [30.0, 31.0])
    scenes = tuple(
        replace(scene, scores={**scene.scores, "lpips/alex-v0.1": 0.25}) for scene in result.scenes
    )
    frame = leaderboard_frame([replace(result, scenes=scenes), row("b", [20.0, 21.0])])
    assert list(frame.set_index("method")["lpips"].dropna().items()) == [("a", 0.25)]
    assert list(frame["lpips_missing"]) == [0, 2]


def test_a_score_above_the_oracle_of_its_size_raises_an_alarm() -> None:
    oracle = row("oracle@1920x1080", [25.0, 25.0], kind="bound")
    flags = leaderboard_frame([*BOARD[:3], oracle]).set_index("method")["flags"]
    assert flags["gdc"] == "⚠ above oracle@1920x1080"
    assert flags["mertens"] == flags["oracle@1920x1080"] == ""


def test_pictures_that_equal_a_bound_raise_an_alarm() -> None:
    def hashed(result, digests):
        scenes = zip(result.scenes, digests, strict=True)
        return replace(result, scenes=tuple(replace(s, fused_sha256=d) for s, d in scenes))

    copy, bound = hashed(BOARD[0], ["x", "y"]), hashed(BOARD[2], ["x", "z"])
    flags = leaderboard_frame([copy, bound, BOARD[1]]).set_index("method")["flags"]
    assert flags["gdc"] == "⚠ equals reference on 1 of 2 scenes"
    assert flags["mertens"] == ""


def test_what_a_tile_run_owes_the_reader_is_flagged() -> None:
    rules = replace(RULES, fit="tile", memory_budget=24 * 2**30)
    method = {"name": "net", "kind": "method", "digest": "d", "is_global": True}
    frame = leaderboard_frame([row("net", [30.0], protocol=rules, method=method)])
    assert "† global" in frame.loc[0, "flags"]
    assert "budget 24 GiB (emulated)" in frame.loc[0, "flags"]


def test_the_frame_does_not_depend_on_the_order_of_results_or_scenes() -> None:
    psnrs = [[20.0 + 3 * n + (7 * s * n) % 5 for s in range(9)] for n in range(4)]
    results = [row(f"m{number}", scores) for number, scores in enumerate(psnrs)]
    turned = [replace(r, scenes=r.scenes[::-1]) for r in results[::-1]]
    pd.testing.assert_frame_equal(leaderboard_frame(results), leaderboard_frame(turned))


def test_intervals_hold_the_mean_and_shrink_with_agreement() -> None:
    apart = leaderboard_frame([row("a", [20.0, 25.0, 30.0, 35.0, 40.0])]).loc[0]
    alike = leaderboard_frame([row("a", [29.0, 29.5, 30.0, 30.5, 31.0])]).loc[0]
    assert apart["psnr_low"] < 30.0 < apart["psnr_high"]
    # The spread is ten times as wide, and the draws are the same: so are the intervals.
    width, narrow = (x["psnr_high"] - x["psnr_low"] for x in (apart, alike))
    assert width == pytest.approx(10 * narrow, rel=1e-12)
    assert leaderboard_frame([row("a", [30.0])])[["psnr_low", "psnr_high"]].isna().all(axis=None)


SIX = [20.0, 21.0, 22.0, 30.0, 31.0, 32.0]


def test_scenes_of_one_clip_are_drawn_together() -> None:
    alone = leaderboard_frame([row("a", SIX)])
    clips = leaderboard_frame([row("a", SIX, clips="xxxyyy")])
    assert (clips.loc[0, "psnr_low"], clips.loc[0, "psnr_high"]) == (21.0, 31.0)
    assert alone.loc[0, "psnr_high"] - alone.loc[0, "psnr_low"] < 10.0
    assert "10,000 resamples of 2 clips (6 scenes)." in render(clips, "md")
    assert "2 clips are few" in render(clips, "md")
    told = "10,000 resamples of 6 scenes, whose clips the records do not name."
    assert told in render(alone, "md")


def test_clips_of_one_scene_each_change_no_figure() -> None:
    named = leaderboard_frame([row("a", SIX, clips="uvwxyz"), row("b", SIX[::-1], clips="uvwxyz")])
    alone = leaderboard_frame([row("a", SIX), row("b", SIX[::-1])])
    pd.testing.assert_frame_equal(named, alone)
    assert "resamples of 6 clips (6 scenes)." in render(named, "md")


def test_one_record_that_names_the_clips_is_enough() -> None:
    rows = [row("a", SIX, clips="xxxyyy"), row("b", SIX[::-1])]
    frame = leaderboard_frame(rows).set_index("method")
    assert frame.loc["b", "psnr_low"] == 21.0
    some = leaderboard_frame([row("a", SIX, clips=["x", "x", "x", "y", "y", None])])
    told = "3 clips (6 scenes, 1 of them of unnamed clips and drawn alone)"
    assert told in render(some, "md")


def test_the_latest_record_says_which_clip_a_scene_is_of() -> None:
    old = row("b", SIX, clips="xxxyyy")
    new = row("a", SIX, clips="xxxxxx", finished="2026-11-23T10:00:00Z")
    for rows in ([old, new], [new, old]):
        assert leaderboard_frame(rows).attrs["drawn"]["groups"] == 1


def test_a_single_clip_has_no_interval_and_says_so() -> None:
    rows = [row("a", SIX, clips="xxxxxx"), row("b", [s - 1 for s in SIX], clips="xxxxxx")]
    frame = leaderboard_frame(rows, against="b").set_index("method")
    assert frame[["psnr_low", "psnr_high", "rank_low", "rank_kept"]].isna().all(axis=None)
    assert frame.loc["a", "psnr_difference"] == 1.0
    assert pd.isna(frame.loc["a", "psnr_difference_low"])
    text = render(leaderboard_frame(rows, against="b"), "md")
    assert "No intervals: the 6 scenes are of one clip, and tell of no other." in text
    assert "≈" not in text


def test_a_constant_lead_is_certain_however_much_the_scenes_differ() -> None:
    scenes = [15.0, 25.0, 35.0, 45.0]
    rows = [row("a", [s + 0.5 for s in scenes]), row("b", scenes), row("c", scenes[::-1])]
    frame = leaderboard_frame(rows, against="b").set_index("method")
    # Paired: the difference is 0.5 in every resample, though the means' intervals overlap widely.
    lead = frame.loc["a", ["psnr_difference", "psnr_difference_low", "psnr_difference_high"]]
    assert list(lead.astype(float)) == pytest.approx([0.5, 0.5, 0.5], abs=1e-9)
    assert frame.loc["a", "psnr_low"] < frame.loc["b", "psnr_high"]
    assert frame.loc["a", "rank_kept"] < 1.0  # c beats it in many resamples
    text = render(leaderboard_frame(rows, against="b"), "md")
    assert "≈ +0.00" in text
    assert "not distinguishable on 4 scenes" in text
    with pytest.raises(UsageError, match="no complete row called 'd'"):
        leaderboard_frame(rows, against="d")


def test_differences_leave_infinite_scores_out() -> None:
    frame = leaderboard_frame(
        [row("a", [31.0, math.inf, 33.0]), row("b", [30.0, 20.0, 30.0])], against="b"
    )
    assert frame.set_index("method").loc["a", "psnr_difference"] == 2.0


def test_scenes_are_listed_one_by_one() -> None:
    frame = scenes_frame([row("a", [30.0, math.inf, None])])
    assert list(frame["psnr"].fillna(-1)) == [30.0, math.inf, -1]
    assert frame.loc[2, "reason"] == "MemoryError: too large"


def test_a_broken_request_leaves_nothing_behind(tmp_path) -> None:
    BOARD[0].save(tmp_path / "runs" / "gdc")
    for wrong in ({"formats": ["docx"]}, {"sort": "beauty"}, {"paper": "table8"}):
        with pytest.raises(UsageError):
            make_board([tmp_path / "runs"], tmp_path / "boards", **wrong)
    assert not (tmp_path / "boards").exists()


def test_a_record_cannot_name_a_folder_elsewhere(tmp_path) -> None:
    for number, hostile in enumerate(("../out", "/out", "..", "a\\b")):
        row(hostile, [30.0]).save(tmp_path / f"{number}" / "x")
        with pytest.raises(RecordError, match="no name for a folder"):
            make_board([tmp_path / f"{number}"], tmp_path / "boards")
    rules = replace(RULES, dataset="../../out")
    row("a", [30.0], protocol=rules).save(tmp_path / "dataset" / "x")
    with pytest.raises(RecordError, match="no name for a folder"):
        make_board([tmp_path / "dataset"])
    assert not (tmp_path / "boards").exists()


def test_every_format_has_the_same_words(tmp_path) -> None:
    frame = leaderboard_frame(BOARD, against="mertens")
    for name in ("md", "tex", "html"):
        text = render(frame, name, title="A heading of my own")
        for word in ("A heading of my own", "OOM @1920x1080", "32.00", "+11.00", "oracle"):
            assert word in text, (name, word)
        assert text == render(frame, name, title="A heading of my own")
