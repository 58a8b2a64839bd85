"""Sizes are searched when memory runs out, times are taken apart, caches get rows of their own."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from dmef_bench.cli import main
from dmef_bench.errors import UsageError
from dmef_bench.harness.bench import bench
from dmef_bench.harness.clock import Rules
from dmef_bench.harness.plan import Plan
from dmef_bench.results import RUN_FILE, SCENES_FILE, MethodResult, Status

ZOO = '''
"""Methods with limits, caches and children."""
import os, subprocess, sys, time
import numpy as np

class Good:
    name, paper, stride = "good", "none", 8
    def fuse(self, stack):
        return np.mean(stack.images, axis=0, dtype=np.float32)

class Small(Good):
    def fuse(self, stack):
        if stack.size[0] * stack.size[1] > 200 * 130:
            raise MemoryError("needs more")
        return super().fuse(stack)

class Swallows(Good):
    def fuse(self, stack):
        if stack.size[0] > 140:
            kept = np.ones((1 << 30,), np.uint8)
            time.sleep(30)
        return super().fuse(stack)

class Forks(Good):
    def fuse(self, stack):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        with open(os.environ["ZOO_MARK"], "a") as file:
            file.write(f"{child.pid}\\n")
        return super().fuse(stack)

class Remembers(Good):
    """Returns its first answer for ever: fast, and wrong."""
    kept = None
    def reset(self):
        self.kept = None
    def fuse(self, stack):
        if self.kept is None or self.kept.shape[:2] != stack.size:
            self.kept = super().fuse(stack)
        else:
            self.kept = np.clip(self.kept * np.float32(0.9), 0, 1)
        return self.kept

class Honest(Good):
    """An exact cache: the same answer, counted."""
    def __init__(self):
        self.reset()
    def reset(self):
        self.kept, self.counted = {}, {"hits": 0, "misses": 0}
    def cache_counters(self):
        return self.counted
    def fuse(self, stack):
        key = stack.images[1].tobytes()
        self.counted["hits" if key in self.kept else "misses"] += 1
        if key not in self.kept:
            self.kept[key] = super().fuse(stack)
        return self.kept[key]

class Learns(Good):
    seen = 0
    def calibrate(self, stacks):
        self.seen = sum(1 for _ in stacks)
    def fuse(self, stack):
        if not self.seen:
            raise RuntimeError("was shown nothing")
        return super().fuse(stack)

class Staged(Good):
    device = "cpu"
    def upload(self, stack):
        time.sleep(0.02)
        return stack.images
    def compute(self, inputs):
        return np.mean(inputs, axis=0, dtype=np.float32)
    def download(self, outputs):
        return outputs
    def fuse(self, stack):
        return self.download(self.compute(self.upload(stack)))

class Cheats(Good):
    """Knows where the truth lies."""
    paper_size = (68, 120)
    def fuse(self, stack):
        return stack.images[1].copy()

class Net(Good):
    """Claims a network that it does not run."""
    device = "cpu"
    def network(self):
        import torch
        class Wide(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = torch.nn.Conv2d(9, 4096, 9, padding=4)
            def forward(self, low, medium, high):
                return self.layer(torch.cat((low, medium, high), 1))
        return Wide()
    def fuse(self, stack):
        return stack.images[1] * np.float32(0.5)

class Where(Good):
    def fuse(self, stack):
        sys.stderr.write("sees " + os.environ.get("CUDA_VISIBLE_DEVICES", "all") + "\\n")
        return super().fuse(stack)

class Slow(Good):
    def fuse(self, stack):
        time.sleep(0.5)
        return super().fuse(stack)
'''

BRIEF = Rules(min_warmup=3, max_warmup=3, min_samples=5, min_s=0.01, slow_s=100)
UNTIMED = {"split": "all", "metrics": ("psnr",), "plan": Plan(timing=False)}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("zoo") / "zoo.py"
    path.write_text(ZOO)
    return path


def rows(results) -> dict[str, MethodResult]:
    return {result.row: result for result in results}


@pytest.fixture(scope="module")
def timed(built, zoo, tmp_path_factory) -> dict[str, MethodResult]:
    """One run in which times are taken."""
    names = ("Good", "Staged", "Remembers", "Honest", "Learns")
    out = tmp_path_factory.mktemp("timed")
    plan = Plan(rules=BRIEF)
    return rows(bench(built, [f"{zoo}:{n}" for n in names], out, metrics=("psnr",), plan=plan))


def test_three_clocks_are_kept_apart(timed) -> None:
    for name in ("Good", "Staged"):
        timing = timed[name].timing
        assert len(timing["core"]["samples_s"]) >= 5
        assert timing["core"]["warmup"] == 3
        assert timing["core"]["distinct_inputs"] == 2
        assert timing["e2e"]["median_s"] > 0
        assert timing["io"]["read_median_s"] > 0
    # The upload of 20 ms is part of the way from bytes to bytes, and not of the core.
    assert timed["Staged"].timing["core"]["scope"] == "compute"
    assert timed["Staged"].timing["core"]["median_s"] < 0.02
    assert timed["Staged"].timing["e2e"]["median_s"] >= 0.02
    assert timed["Good"].timing["core"]["scope"] == "fuse"


def test_memory_and_cost_stand_beside_the_times(timed) -> None:
    memory = timed["Good"].memory
    # The mean of three 480x270 pictures is 1.6 MB of float32.
    assert 10**6 < memory["core"]["resident_bytes"] < 10**8
    assert memory["host_peak_bytes"] > memory["core"]["resident_bytes"]
    assert timed["Good"].cost["macs_at_4k"] is None
    assert "no network" in timed["Good"].cost["reason"]


def test_a_time_that_cannot_be_true_is_flagged(built, zoo, tmp_path) -> None:
    plan = Plan(rules=BRIEF)
    result = rows(bench(built, [f"{zoo}:Net"], tmp_path, metrics=("psnr",), plan=plan))["Net"]
    # 4096 filters of 9x9x9 on 480x270 pixels are 387 GMAC; halving a picture takes a millisecond.
    assert result.cost["macs_at_fused_size"] == 270 * 480 * 4096 * 9 * 81
    assert "implausible" in result.timing["flags"]
    assert result.timing["plausibility"]["utilisation"] > 1


def test_bounds_are_not_timed(timed) -> None:
    assert timed["reference"].timing is None


def test_a_cache_that_changes_pictures_gets_a_second_row(timed) -> None:
    assert "lossy_cache" in timed["Remembers"].timing["flags"]
    cold, warm = timed["Remembers"], timed["Remembers[warm]"]
    assert [s.scores for s in cold.scenes] == [s.scores for s in timed["Good"].scenes]
    for score, other in zip(cold.scenes, warm.scenes, strict=True):
        assert score.scores["psnr/rgb8"] != other.scores["psnr/rgb8"]
    assert warm.method["cache_state"] == "warm"


def test_a_cache_that_changes_nothing_keeps_one_row(timed) -> None:
    assert "Honest[warm]" not in timed
    assert timed["Honest"].timing["flags"] == []
    assert timed["Honest"].timing["core_warm"]["median_s"] > 0
    assert timed["Honest"].scenes[0].cache == {"hits": 0, "misses": 1}


def test_training_scenes_calibrate_and_are_named(timed) -> None:
    assert timed["Learns"].status is Status.OK
    (seen,) = timed["Learns"].method["calibrated_on"]
    assert seen not in {scene.scene_id for scene in timed["Learns"].scenes}


def test_times_survive_a_rerun(built, zoo, tmp_path) -> None:
    arguments = (built, [f"{zoo}:Good"], tmp_path)
    plan = Plan(rules=BRIEF)
    first = rows(bench(*arguments, metrics=("psnr",), plan=plan))["Good"]
    again = rows(bench(*arguments, metrics=("psnr",), plan=plan))["Good"]
    assert again.timing == first.timing


def test_a_method_that_runs_out_of_memory_gets_the_largest_size_that_fits(
    built, zoo, tmp_path
) -> None:
    results = rows(bench(built, [f"{zoo}:Small", f"{zoo}:Good"], tmp_path, **UNTIMED))
    small = results["Small"]
    assert small.status is Status.OK
    assert {scene.mr_source for scene in small.scenes} == {"search"}
    assert {scene.fused_size for scene in small.scenes} == {(120, 216)}
    assert small.max_resolution["size"] == "216x120"
    assert {scene.mr_source for scene in results["Good"].scenes} == {"native"}
    # The ceiling of that size stands on the board, and the method below it.
    for score, bound in zip(small.scenes, results["oracle@216x120"].scenes, strict=True):
        assert score.scores["psnr/rgb8"] < bound.scores["psnr/rgb8"]
    before = (tmp_path / "4k-dmef-all").rglob(SCENES_FILE)
    sizes = {path: path.stat().st_size for path in before}
    again = rows(bench(built, [f"{zoo}:Small", f"{zoo}:Good"], tmp_path, **UNTIMED))
    assert {path: path.stat().st_size for path in sizes} == sizes
    assert again["Small"].max_resolution == small.max_resolution


def test_full_is_never_shrunk(built, zoo, tmp_path) -> None:
    result = rows(bench(built, [f"{zoo}:Small"], tmp_path, **UNTIMED, fit="full"))["Small"]
    assert {scene.status for scene in result.scenes} == {Status.OOM}


def test_a_budget_is_a_limit_like_any_other(built, zoo, tmp_path) -> None:
    budget = 600 * 2**20
    result = rows(
        bench(built, [f"{zoo}:Swallows"], tmp_path, **UNTIMED, limit=1, memory_budget=budget)
    )["Swallows"]
    assert result.status is Status.OK
    assert result.scenes[0].mr_source == "search"
    assert result.scenes[0].fused_size[0] <= 140
    lines = [json.loads(line) for line in next(tmp_path.rglob("Swallows/scenes.jsonl")).open()]
    assert lines[0]["error"]["oom_kind"] == "budget"


def test_a_memory_limit_ends_a_glutton(built, zoo, tmp_path) -> None:
    plan = Plan(timing=False, memory_limit=600 * 2**20)
    given = {**UNTIMED, "plan": plan, "fit": "full"}
    result = rows(bench(built, [f"{zoo}:Swallows"], tmp_path, **given, limit=1))["Swallows"]
    assert result.status is Status.OOM
    assert "600 MiB are allowed" in result.scenes[0].error["message"]


def test_paper_sizes_are_the_methods_own(built, zoo, tmp_path) -> None:
    results = rows(bench(built, [f"{zoo}:Cheats", f"{zoo}:Good"], tmp_path, **UNTIMED, mr="paper"))
    assert {s.fused_size for s in results["Cheats"].scenes} == {(68, 120)}
    assert {s.mr_source for s in results["Cheats"].scenes} == {"paper"}
    assert {s.mr_source for s in results["Good"].scenes} == {"native"}
    assert "oracle@120x68" in results


def test_a_copy_of_an_input_is_told(built, zoo, tmp_path) -> None:
    result = rows(bench(built, [f"{zoo}:Cheats"], tmp_path, **UNTIMED, limit=1))["Cheats"]
    assert result.scenes[0].flags == ("copies_input",)


def test_tiles_are_recorded_with_their_seams(built, zoo, tmp_path) -> None:
    tiles = {"fit": "tile", "tile": "96x96", "overlap": 16}
    results = rows(bench(built, [f"{zoo}:Good", f"{zoo}:Small"], tmp_path, **UNTIMED, **tiles))
    for name in ("Good", "Small"):
        (score, *_) = results[name].scenes
        assert (score.tile, score.fused_size, score.mr_source) == ((96, 96), (270, 480), "given")
        # A pointwise method leaves no seams.
        assert 0.5 < score.seam_score < 1.6
    assert results["oracle@native"].scenes[0].scores["psnr/rgb8"] == float("inf")


def test_what_a_method_started_ends_with_it(built, zoo, tmp_path, monkeypatch) -> None:
    mark = tmp_path / "mark"
    monkeypatch.setenv("ZOO_MARK", str(mark))
    result = rows(bench(built, [f"{zoo}:Forks"], tmp_path, **UNTIMED, limit=2))["Forks"]
    assert result.status is Status.OK
    started = [int(line) for line in mark.read_text().split()]
    assert len(started) == 2
    deadline = time.monotonic() + 10
    while any(_alive(pid) for pid in started) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_alive(pid) for pid in started)


def _alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_everything_anew_keeps_the_old_scores_aside(built, zoo, tmp_path) -> None:
    arguments = (built, [f"{zoo}:Good"], tmp_path)
    bench(*arguments, **UNTIMED)
    anew = {**UNTIMED, "plan": Plan(timing=False, resume="all")}
    bench(*arguments, **anew)
    (folder,) = (path.parent for path in tmp_path.rglob("Good/run.json"))
    (old,) = folder.glob("scenes-*.jsonl")
    assert old.read_bytes().count(b"\n") == 4
    assert (folder / SCENES_FILE).read_bytes().count(b"\n") == 4


def test_nothing_is_run_where_only_records_are_asked_for(built, zoo, tmp_path) -> None:
    never = {**UNTIMED, "plan": Plan(timing=False, resume="never")}
    missing = rows(bench(built, [f"{zoo}:Good"], tmp_path, **never))["Good"]
    assert missing.status is Status.INTERRUPTED
    assert missing.reason == "4 of 4 scenes have no valid record"
    done = rows(bench(built, [f"{zoo}:Good"], tmp_path, **UNTIMED))["Good"]
    there = rows(bench(built, [f"{zoo}:Good"], tmp_path, **never))["Good"]
    assert (there.status, there.scenes) == (Status.OK, done.scenes)


def test_rows_and_scenes_side_by_side_give_the_same_board(built, zoo, tmp_path) -> None:
    methods = [f"{zoo}:Good", f"{zoo}:Small"]
    alone = rows(bench(built, methods, tmp_path / "alone", **UNTIMED))
    beside = {**UNTIMED, "plan": Plan(timing=False, jobs=3)}
    together = rows(bench(built, methods, tmp_path / "together", **beside))
    sharded = {**UNTIMED, "plan": Plan(timing=False, jobs=16)}
    shards = rows(bench(built, methods[:1], tmp_path / "shards", **sharded))
    with ThreadPoolExecutor(2) as executor:
        far = rows(bench(built, methods, tmp_path / "far", **UNTIMED, executor=executor))
    assert list(alone) == list(together) == list(far)
    for name, result in alone.items():
        assert together[name].means() == far[name].means() == result.means()
    assert shards["Good"].means() == alone["Good"].means()


def test_two_runs_on_one_folder_do_the_work_once(built, zoo, tmp_path) -> None:
    with ThreadPoolExecutor(2) as pool:
        waiting = [
            pool.submit(bench, built, [f"{zoo}:Good"], tmp_path, **UNTIMED) for _ in range(2)
        ]
        first, second = (rows(one.result()) for one in waiting)
    assert first["Good"].scenes == second["Good"].scenes
    (lines,) = tmp_path.rglob("Good/scenes.jsonl")
    assert lines.read_bytes().count(b"\n") == 4


def test_each_gpu_sees_only_itself(built, zoo, tmp_path) -> None:
    plan = Plan(timing=False, devices=("cuda:0", "cuda:3"))
    bench(built, [f"{zoo}:Where"], tmp_path, **{**UNTIMED, "plan": plan}, limit=1)
    (log,) = tmp_path.rglob("Where/log.txt")
    assert log.read_text().split("sees ")[1][0] in "03"


def test_device_and_devices_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="not both"):
        Plan(device="cuda:1", devices=("cuda:0",))


def test_the_plan_is_shown_and_nothing_done(built, zoo, tmp_path) -> None:
    words = ["bench", str(built), "--split", "all", "-m", f"{zoo}:Good", "--metrics", "psnr"]
    words += ["-o", str(tmp_path / "runs"), "--dry-run"]
    shown = CliRunner().invoke(main, words)
    assert shown.exit_code == 0, shown.output
    assert "4 scenes of 4k-dmef" in shown.output
    assert "Good                     4 of 4 scenes to fuse" in shown.output
    assert not (tmp_path / "runs").exists()


def test_json_is_one_object_on_stdout(built, zoo, tmp_path) -> None:
    words = ["bench", str(built), "--limit", "1", "-m", f"{zoo}:Good", "--metrics", "psnr"]
    done = CliRunner().invoke(main, [*words, "--no-timing", "--json", "-o", str(tmp_path)])
    found = json.loads(done.stdout)
    assert [row["row"] for row in found["rows"]][3] == "Good"
    assert found["rows"][3]["means"]["psnr/rgb8"] > 5
    assert found["rows"][1]["means"]["psnr/rgb8"] == "inf"


def test_a_config_file_is_overridden_by_words(built, zoo, tmp_path) -> None:
    config = tmp_path / "run.toml"
    config.write_text(
        f'method = ["{zoo}:Good", "{zoo}:Small"]\nmetrics = ["psnr"]\nmr = "120x68"\n'
        f'timing = false\nlimit = 1\nout = "{tmp_path / "runs"}"\n'
    )
    words = ["bench", str(built), "--config", str(config)]
    plain = CliRunner().invoke(main, [*words, "--dry-run"])
    assert plain.exit_code == 0, plain.output
    assert "mr 120x68" in plain.output
    assert "Small" in plain.output
    assert "mr 64x36" in CliRunner().invoke(main, [*words, "--dry-run", "--mr", "64x36"]).output
    config.write_text("metod = 3\n")
    wrong = CliRunner().invoke(main, words)
    assert wrong.exit_code == 2
    assert "has no option 'metod'" in wrong.output


def test_the_first_interrupt_ends_after_the_scene_and_the_rest_can_be_done(
    built, zoo, tmp_path
) -> None:
    words = [
        sys.executable, "-m", "dmef_bench.cli", "bench", str(built), "-m", f"{zoo}:Slow",
        "--metrics", "psnr", "--split", "all", "--no-timing", "-o", str(tmp_path),
    ]  # fmt: skip
    child = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("Slow/scenes.jsonl")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130, said
    assert "ending after the scene in work" in said
    (run,) = tmp_path.rglob(f"Slow/{RUN_FILE}")
    assert json.loads(run.read_text())["status"] == "interrupted"
    done = rows(bench(built, [f"{zoo}:Slow"], tmp_path, **UNTIMED))["Slow"]
    assert done.status is Status.OK


@pytest.mark.slow
def test_kills_at_random_moments_lose_a_scene_at_most_and_the_board_is_the_same(
    built, zoo, tmp_path
) -> None:
    words = [
        sys.executable, "-m", "dmef_bench.cli", "bench", str(built), "-m", f"{zoo}:Slow",
        "--metrics", "psnr", "--split", "all", "--no-timing", "-o", str(tmp_path / "killed"),
    ]  # fmt: skip
    moments = random.Random(7)
    lines = 0
    for _ in range(10):
        child = subprocess.Popen(words, start_new_session=True, stdout=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.2, 4.0))
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        kept = sum(path.read_bytes().count(b"\n") for path in tmp_path.rglob(SCENES_FILE))
        # Nothing that was on record is lost.
        assert kept >= lines
        lines = kept
    resumed = rows(bench(built, [f"{zoo}:Slow"], tmp_path / "killed", **UNTIMED))
    whole = rows(bench(built, [f"{zoo}:Slow"], tmp_path / "whole", **UNTIMED))
    for name, result in whole.items():
        told = [(s.scene_id, s.status, s.scores, s.sse, s.fused_sha256) for s in result.scenes]
        again = [
            (s.scene_id, s.status, s.scores, s.sse, s.fused_sha256) for s in resumed[name].scenes
        ]
        assert told == again
