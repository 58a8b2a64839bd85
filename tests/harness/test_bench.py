"""Methods that misbehave in every way are recorded as what they are, and the others go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from dmef_bench import load_scenes
from dmef_bench.cli import main
from dmef_bench.errors import MethodNotFoundError, UnavailableError, UsageError
from dmef_bench.exposure.audit import tone_curve_bound
from dmef_bench.harness.bench import bench
from dmef_bench.harness.fit import oracle_bound
from dmef_bench.harness.plan import Plan
from dmef_bench.leaderboard import leaderboard_frame
from dmef_bench.manifest import Manifest
from dmef_bench.metrics import psnr, ssim
from dmef_bench.results import RUN_FILE, SCENES_FILE, MethodResult, Status

QUICK = {"split": "all", "metrics": ("psnr", "ssim"), "plan": Plan(timing=False)}

ZOO = '''
"""Methods that misbehave, each in its own way."""
import os, sys, time
import numpy as np

class Good:
    name, paper = "good", "none"
    def fuse(self, stack):
        return stack.images[0].copy()

class Raises(Good):
    def fuse(self, stack):
        raise RuntimeError("no fusion today")

class RaisesOnce(Good):
    calls = 0
    def fuse(self, stack):
        RaisesOnce.calls += 1
        if RaisesOnce.calls == 2:
            raise ValueError("the second one was too much")
        return super().fuse(stack)

class Nan(Good):
    def fuse(self, stack):
        return stack.images[0] * np.float32("nan")

class TooBright(Good):
    def fuse(self, stack):
        return stack.images[0] + np.float32(1)

class WrongSize(Good):
    def fuse(self, stack):
        return stack.images[0][1:]

class Writes(Good):
    def fuse(self, stack):
        stack.images[1][:] = 0
        return stack.images[0]

class Exits(Good):
    def fuse(self, stack):
        os._exit(7)

class ExitsOnSecond(Good):
    def fuse(self, stack):
        mark = os.environ["ZOO_MARK"]
        if os.path.exists(mark) and open(mark).read() == "1":
            open(mark, "w").write("2")
            os._exit(7)
        if not os.path.exists(mark):
            open(mark, "w").write("1")
        return super().fuse(stack)

class KilledAtBirth(Good):
    def __init__(self):
        os.kill(os.getpid(), 11)

class OutOfMemory(Good):
    def fuse(self, stack):
        raise MemoryError("needs 99 GiB")

class Shouts(Good):
    def fuse(self, stack):
        print("x" * 1_000_000)
        sys.stderr.write("y" * 1_000_000)
        os.write(1, b'{"event": "done"}')
        return super().fuse(stack)

class Sleeps(Good):
    def fuse(self, stack):
        time.sleep(60)

class Unready(Good):
    def __init__(self):
        from dmef_bench.errors import UnavailableError
        raise UnavailableError("weights.bin is missing; train it first")

class Slow(Good):
    def fuse(self, stack):
        time.sleep(0.3)
        return super().fuse(stack)
'''


@pytest.fixture(scope="module")
def zoo(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("zoo") / "zoo.py"
    path.write_text(ZOO)
    return path


def rows(results) -> dict[str, MethodResult]:
    return {result.row: result for result in results}


@pytest.fixture(scope="module")
def wild(built, zoo, tmp_path_factory) -> dict[str, MethodResult]:
    """One run with every animal that needs no special care."""
    names = (
        "Raises", "RaisesOnce", "Nan", "TooBright", "WrongSize", "Writes", "Exits",
        "KilledAtBirth", "OutOfMemory", "Shouts", "Unready", "Good",
    )  # fmt: skip
    out = tmp_path_factory.mktemp("wild")
    return rows(bench(built, [f"{zoo}:{name}" for name in names], out, **QUICK))


def test_the_bounds_are_there_without_being_asked_for(wild) -> None:
    assert list(wild)[:3] == ["reference", "oracle@native", "tone-curve"]
    assert all(wild[name].is_bound for name in list(wild)[:3])
    assert not wild["Good"].is_bound


def test_bounds_equal_the_functions_they_stand_on(built, wild) -> None:
    for scene in load_scenes(built, "all"):
        truth = scene.ground_truth
        expected = {
            "reference": scene.stack.images[1],
            "oracle@native": oracle_bound(truth, scene.stack.size),
            "tone-curve": tone_curve_bound(scene.stack.encoded[1], truth),
        }
        for name, picture in expected.items():
            score = next(s for s in wild[name].scenes if s.scene_id == scene.scene_id)
            assert score.scores["psnr/rgb8"] == psnr(picture, truth)
            assert score.scores["ssim/wang04-rgb-valid"] == ssim(picture, truth)


def test_scores_are_those_of_the_functions(built, wild) -> None:
    for scene, score in zip(load_scenes(built, "all"), wild["Good"].scenes, strict=True):
        assert score.scene_id == scene.scene_id
        assert score.scores["psnr/rgb8"] == psnr(scene.stack.encoded[0], scene.ground_truth)
        error = scene.stack.encoded[0].astype(int) - scene.ground_truth
        assert score.sse == (error**2).sum()
        assert score.samples == scene.ground_truth.size


def test_every_record_names_the_clip_of_its_scene(built, wild) -> None:
    clips = {scene.scene: scene.group for scene in Manifest.load(built).scenes}
    assert all(clips.values())
    for result in wild.values():
        assert {s.scene_id: s.group for s in result.scenes}.items() <= clips.items(), result.row


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("Raises", "RuntimeError", "no fusion today"),
        ("Nan", "ImageContractError", "NaN"),
        ("TooBright", "ImageContractError", "clip or rescale"),
        ("WrongSize", "ImageContractError", "480x269; 480x270 is expected"),
        ("Writes", "ValueError", "read-only"),
        ("Exits", "ProcessDied", "exit code 7"),
    ],
)
def test_each_misdeed_is_recorded_as_what_it_is(wild, name, kind, told) -> None:
    result = wild[name]
    assert result.status is Status.ERROR
    assert len(result.scenes) == result.expected == 4
    assert result.scenes[0].error["type"] == kind
    assert told in result.scenes[0].error["message"]
    assert not result.scenes[0].scores


def test_memory_is_told_from_error(wild) -> None:
    assert wild["OutOfMemory"].status is Status.OOM
    assert "99 GiB" in wild["OutOfMemory"].scenes[0].error["message"]


def test_a_missing_prerequisite_is_not_a_crash(wild) -> None:
    assert wild["Unready"].status is Status.UNAVAILABLE
    assert "train it first" in wild["Unready"].reason


def test_a_method_that_dies_while_loading_has_a_row(wild) -> None:
    assert wild["KilledAtBirth"].status is Status.ERROR
    assert "SIGSEGV" in wild["KilledAtBirth"].reason


def test_one_failed_scene_costs_one_scene(wild) -> None:
    statuses = [scene.status for scene in wild["RaisesOnce"].scenes]
    assert statuses == [Status.OK, Status.ERROR, Status.OK, Status.OK]


def test_a_method_may_shout_what_it_likes(wild) -> None:
    assert wild["Shouts"].status is Status.OK
    assert [s.scores for s in wild["Shouts"].scenes] == [s.scores for s in wild["Good"].scenes]


def test_all_rows_stand_on_one_board(wild) -> None:
    frame = leaderboard_frame(list(wild.values()))
    assert set(frame["method"]) == set(wild)
    # Shouts gives the same pictures as Good: the only two that may be ranked.
    assert set(frame.loc[frame["rank"].notna(), "method"]) == {"Good", "Shouts"}


def test_a_dying_process_costs_the_scene_it_died_in(built, zoo, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("ZOO_MARK", str(tmp_path / "mark"))
    result = rows(bench(built, [f"{zoo}:ExitsOnSecond"], tmp_path, **QUICK))["ExitsOnSecond"]
    statuses = [scene.status for scene in result.scenes]
    assert statuses == [Status.OK, Status.ERROR, Status.OK, Status.OK]


def test_a_hanging_method_is_ended(built, zoo, tmp_path) -> None:
    results = bench(
        built,
        [f"{zoo}:Sleeps"],
        tmp_path,
        **{**QUICK, "plan": Plan(timing=False, timeout=3.0)},
        limit=1,
    )
    result = rows(results)["Sleeps"]
    assert result.status is Status.TIMEOUT
    assert "3 s" in result.scenes[0].error["message"]
    assert rows(results)["tone-curve"].status is Status.OK


def records(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.name in {RUN_FILE, SCENES_FILE}
    }


def test_a_second_run_does_no_work(built, zoo, tmp_path) -> None:
    news: list[str] = []
    for _ in range(2):
        before = records(tmp_path)
        news.clear()
        bench(
            built, [f"{zoo}:Good", f"{zoo}:Raises"], tmp_path, **QUICK,
            progress=lambda _done, _total, last: news.append(last.partition(": ")[2]),
        )  # fmt: skip
    assert records(tmp_path) == before
    assert set(news) == {"already done"}


def test_a_second_run_names_clips_that_older_records_lack(built, zoo, tmp_path) -> None:
    first = bench(built, [f"{zoo}:Good"], tmp_path, **QUICK, limit=1)
    for path in tmp_path.rglob(SCENES_FILE):
        record = json.loads(path.read_text())
        del record["group"]
        path.write_text(json.dumps({**record, "schema": "dmef.scene/1.1"}) + "\n")
    news: list[str] = []
    second = bench(
        built, [f"{zoo}:Good"], tmp_path, **QUICK, limit=1,
        progress=lambda _done, _total, last: news.append(last.partition(": ")[2]),
    )  # fmt: skip
    assert set(news) == {"already done"}
    assert [result.scenes for result in second] == [result.scenes for result in first]
    assert all(result.scenes[0].group for result in second)


def test_a_changed_method_is_run_again(built, zoo, tmp_path) -> None:
    own = tmp_path / "own.py"
    own.write_text(ZOO)
    first = rows(bench(built, [f"{own}:Good"], tmp_path, **QUICK, limit=1))["Good"]
    own.write_text(ZOO.replace("stack.images[0].copy()", "stack.images[2].copy()"))
    second = rows(bench(built, [f"{own}:Good"], tmp_path, **QUICK, limit=1))["Good"]
    assert len(second.scenes) == 1
    assert first.scenes[0].scores != second.scenes[0].scores


def test_failures_are_results_until_asked_to_retry(built, zoo, tmp_path) -> None:
    arguments = (built, [f"{zoo}:Raises"], tmp_path)
    bench(*arguments, **QUICK, limit=1)
    before = records(tmp_path)
    bench(*arguments, **QUICK, limit=1)
    assert records(tmp_path) == before
    again = Plan(timing=False, retry_failed=True)
    bench(*arguments, **{**QUICK, "plan": again}, limit=1)
    assert records(tmp_path) != before


def test_a_killed_run_loses_one_scene_at_most(built, zoo, tmp_path) -> None:
    command = [
        sys.executable, "-m", "dmef_bench.cli", "bench", str(built), "--method", f"{zoo}:Slow",
        "--metrics", "psnr,ssim", "--split", "all", "--no-timing", "-o", str(tmp_path / "killed"),
    ]  # fmt: skip
    child = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    scenes: list[Path] = []
    while not (scenes and scenes[0].read_bytes().count(b"\n") >= 2):
        assert time.monotonic() < deadline
        scenes = list((tmp_path / "killed").rglob("Slow/scenes.jsonl"))
        time.sleep(0.01)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    kept = scenes[0].read_bytes()
    assert kept.count(b"\n") >= 2
    resumed = rows(bench(built, [f"{zoo}:Slow"], tmp_path / "killed", **QUICK))["Slow"]
    # The lines that were there were not measured again.
    assert scenes[0].read_bytes().startswith(kept[: kept.rindex(b"\n") + 1])
    whole = rows(bench(built, [f"{zoo}:Slow"], tmp_path / "whole", **QUICK))["Slow"]
    assert [s.scores for s in resumed.scenes] == [s.scores for s in whole.scenes]


def test_shrinking_bounds_every_method(built, tmp_path) -> None:
    results = rows(bench(built, ["mertens"], tmp_path, **QUICK, mr="120x68"))
    assert {s.fused_size for s in results["mertens"].scenes} == {(68, 120)}
    oracle = results["oracle@120x68"]
    for name in ("mertens", "reference"):
        for score, bound in zip(results[name].scenes, oracle.scenes, strict=True):
            assert score.scores["psnr/rgb8"] < bound.scores["psnr/rgb8"]


def test_a_bound_asked_for_is_not_run_twice(built, tmp_path) -> None:
    results = bench(built, ["reference", "oracle"], tmp_path, **QUICK, limit=1)
    assert [result.row for result in results] == ["reference", "oracle@native", "tone-curve"]


def test_labels_and_options_name_rows(built, tmp_path) -> None:
    methods = ["gdc@window=5", "gdc@window=5,label=small"]
    results = bench(built, methods, tmp_path, **QUICK, limit=1)
    assert [result.row for result in results][3:] == ["gdc@window=5", "small"]
    assert results[3].method["options"] == {"window": 5}


def test_two_rows_of_one_name_are_refused(built, zoo, tmp_path) -> None:
    twin = tmp_path / "twin.py"
    twin.write_text(ZOO)
    with pytest.raises(UsageError, match="label=NAME"):
        bench(built, [f"{zoo}:Good", f"{twin}:Good"], tmp_path, **QUICK)


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        ({"methods": ["gcd"]}, MethodNotFoundError, "did you mean gdc"),
        ({"metrics": ("psrn",)}, UsageError, "psnr, ssim, lpips"),
        ({"mr": "big"}, UsageError, "WIDTHxHEIGHT"),
        ({"fit": "tile", "mr": "64x64"}, UsageError, "smaller overlap"),
        ({"fit": "tile", "blend": "hanning"}, UsageError, "cosine, linear, none"),
        ({"scenes": ("nowhere",)}, UsageError, "no scene nowhere"),
        ({"limit": 0}, UsageError, "at least 1"),
        ({"methods": ["gone.py:X"]}, MethodNotFoundError, r"gone\.py"),
        ({"methods": ["no.such.module:X"]}, MethodNotFoundError, "no module"),
    ],
)
def test_mistakes_are_found_before_anything_is_computed(
    built, tmp_path, change, error, told
) -> None:
    arguments = {"methods": ["gdc"], **QUICK, **change}
    methods = arguments.pop("methods")
    with pytest.raises(error, match=told):
        bench(built, methods, tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_lpips_that_cannot_be_had_is_an_empty_column_with_its_reason(
    built, tmp_path, monkeypatch
) -> None:
    for name in ("DMEF_WEIGHTS", "TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    monkeypatch.setenv("DMEF_OFFLINE", "1")
    arguments = {"split": "all", "limit": 1}
    (result, *_) = bench(built, [], tmp_path / "out", **arguments)
    score = result.scenes[0]
    assert score.scores["lpips/alex-v0.1"] is None
    assert "alexnet" in score.unavailable["lpips/alex-v0.1"]
    assert np.isfinite(score.scores["psnr/rgb8"])
    with pytest.raises(UnavailableError, match="alexnet"):
        bench(built, [], tmp_path / "no", **arguments, plan=Plan(require=("lpips",)))
    assert not (tmp_path / "no").exists()
    demanded = CliRunner().invoke(
        main, ["bench", str(built), "--metrics", "lpips", "-o", str(tmp_path / "no")]
    )
    assert demanded.exit_code == 3


def test_lpips_stands_on_the_board_where_its_weights_are(built, tmp_path, shared) -> None:
    weights = shared("weights/alexnet_features_torchvision_layout.pth")
    results = rows(
        bench(built, [], tmp_path, split="all", limit=1, plan=Plan(lpips_weights=weights))
    )
    assert results["oracle@native"].scenes[0].scores["lpips/alex-v0.1"] == 0.0
    assert results["reference"].scenes[0].scores["lpips/alex-v0.1"] > 0.05


def test_the_command_prints_the_board_and_ends_by_its_rules(built, zoo, tmp_path) -> None:
    words = ["bench", str(built), "--split", "all", "--limit", "1", "--metrics", "psnr"]
    words.append("--no-timing")
    good = CliRunner().invoke(main, [*words, "-m", f"{zoo}:Good", "-o", str(tmp_path / "runs")])
    assert good.exit_code == 0
    assert "| Good" in good.output
    bad = CliRunner().invoke(main, [*words, "-m", f"{zoo}:Raises", "-o", str(tmp_path / "runs")])
    assert bad.exit_code == 4
    assert "no fusion today" in bad.output
    board = CliRunner().invoke(
        main, ["leaderboard", str(tmp_path / "runs"), "-o", str(tmp_path / "boards")]
    )
    assert board.exit_code == 0
    assert "| Good" in board.output
    assert "no fusion today" in board.output


def test_records_name_neither_folders_nor_people(built, zoo, tmp_path) -> None:
    bench(built, [f"{zoo}:Good"], tmp_path, **QUICK, limit=1)
    for text in records(tmp_path).values():
        assert str(zoo.parent).encode() not in text
        assert str(built).encode() not in text
        assert os.uname().nodename.encode() not in text
