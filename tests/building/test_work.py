"""Whoever does the work, and in whatever order, the data set is the same."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

from dmef_bench.building.build import build_dataset, opened_root
from dmef_bench.building.describing import describe_dataset
from dmef_bench.building.room import NoRoomError
from dmef_bench.building.sources import Source, hash_sources
from dmef_bench.building.task import build_video, check_visible
from dmef_bench.building.verify import verify_dataset
from dmef_bench.building.work import work
from dmef_bench.cluster import dask_executor
from dmef_bench.errors import UnavailableError

from .recipes import FAST
from .test_build import contents


@pytest.fixture(scope="module")
def serial(quick) -> dict[str, bytes]:
    """What one process makes of the clips."""
    return contents(quick)


def shuffled(clips) -> list[Path]:
    order = list(clips)
    random.Random(3).shuffle(order)
    assert order != list(clips)
    return order


def test_two_processes_make_the_same_data_set_in_any_order(serial, clips, tmp_path) -> None:
    build_dataset(shuffled(clips), tmp_path / "two", FAST, jobs=2, name="dataset")
    assert contents(tmp_path / "two") == serial


def test_any_executor_will_do(serial, clips, tmp_path) -> None:
    with ThreadPoolExecutor(1) as executor:
        build_dataset(shuffled(clips), tmp_path / "out", FAST, executor, ahead=1, name="dataset")
    assert contents(tmp_path / "out") == serial


@pytest.mark.slow
def test_a_dask_cluster_makes_the_same_data_set(serial, clips, tmp_path) -> None:
    pytest.importorskip("distributed", reason="dask[distributed] (extra cluster) is not installed")
    from distributed import LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        dask_executor(cluster.scheduler_address, retries=2) as executor,
    ):
        build_dataset(shuffled(clips), tmp_path / "out", FAST, executor, name="dataset")
        assert contents(tmp_path / "out") == serial
        # Equal tasks are asked for again, not answered from memory.
        build_dataset(clips, tmp_path / "out", FAST, executor, rebuild=True, name="dataset")
        assert contents(tmp_path / "out") == serial


def test_without_a_scheduler_the_address_is_named() -> None:
    pytest.importorskip("distributed", reason="dask[distributed] (extra cluster) is not installed")
    with (
        pytest.raises(UnavailableError, match=r"No Dask scheduler answers at 'nowhere:1:2'"),
        dask_executor("nowhere:1:2"),
    ):
        pass


def die_once(source, recipe, root):
    """A worker that is killed at its first video, wherever it may be."""
    mark = root / ".dmef" / "died"
    if not mark.exists():
        mark.touch()
        os._exit(9)
    return build_video(source, recipe, root)


class Deadly(ProcessPoolExecutor):
    """A pool whose first worker is killed in mid-work."""

    def submit(self, _build_video, /, *args, **kwargs):
        return super().submit(die_once, *args, **kwargs)


def test_a_killed_worker_costs_nothing_but_time(serial, clips, tmp_path) -> None:
    with Deadly(1, mp_context=get_context("spawn")) as executor:
        report = build_dataset(clips, tmp_path / "out", FAST, executor, name="dataset")
    assert report.refused == {}
    assert contents(tmp_path / "out") == serial


def source_of(clip) -> Source:
    return next(iter(hash_sources([clip])[0].values()))


def test_a_worker_that_sees_another_disk_says_so(clips, tmp_path) -> None:
    source = source_of(clips[0])
    with pytest.raises(UnavailableError, match=r"does not see .*out as host .* does"):
        build_video(source, FAST, tmp_path / "out")
    with opened_root(tmp_path / "out", FAST) as root:
        away = replace(source, host="another", path=tmp_path / "gone.mp4")
        with pytest.raises(UnavailableError, match=r"does not see .*gone\.mp4"):
            check_visible(away, FAST, root)
        # On the machine that hashed it, a video that has gone is a refused one.
        gone = replace(source, path=tmp_path / "gone.mp4")
        assert "does not exist" in build_video(gone, FAST, root)["refused"]


def test_a_video_that_changes_while_it_is_read_is_refused(clips, tmp_path) -> None:
    shutil.copy(clips[0], tmp_path / "clip.mp4")
    source = source_of(tmp_path / "clip.mp4")
    os.utime(tmp_path / "clip.mp4", ns=(1, 1))
    with opened_root(tmp_path / "out", FAST) as root:
        record = build_video(source, FAST, root)
        assert "was changed while" in record["refused"]
        assert record["scenes"] == []
        assert not list((root / ".dmef" / "scenes").iterdir())


def test_the_same_task_twice_leaves_one_scene(clips, tmp_path) -> None:
    source = source_of(clips[0])
    with opened_root(tmp_path / "out", FAST) as root:
        first, again = (build_video(source, FAST, root) for _ in range(2))
        assert first == again
        assert len(list((root / ".dmef" / "scenes").iterdir())) == 1
        assert list((root / ".dmef" / "staging").iterdir()) == []


def test_no_more_videos_are_submitted_than_asked_for(clips, tmp_path) -> None:
    most = 0

    class Counting(ThreadPoolExecutor):
        def submit(self, fn, /, *args, **kwargs):
            nonlocal most
            future = super().submit(fn, *args, **kwargs)
            open_now.append(future)
            most = max(most, sum(not each.done() for each in open_now))
            return future

    open_now: list = []
    sources = hash_sources(clips)[0]
    with opened_root(tmp_path / "out", FAST) as root, Counting(1) as executor:
        assert len(list(work(sources, FAST, root, executor, ahead=2))) == 4
    assert most <= 2


def test_what_goes_wrong_with_the_disk_stops_the_build_and_keeps_what_is_done(
    clips, tmp_path
) -> None:
    """The system itself refuses to write: files may not grow beyond what the second scene needs."""
    resource = pytest.importorskip("resource", reason="limits on file sizes are a Unix matter")
    order = sorted(clips, key=lambda clip: clip.stat().st_size)
    whole = build_dataset(order, tmp_path / "whole", FAST, name="dataset")
    largest = {scene.source["name"]: max(f.bytes for f in scene.files) for scene in whole.scenes}
    order.sort(key=lambda clip: largest[clip.name])
    limit = (largest[order[-2].name] + largest[order[-1].name]) // 2
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(NoRoomError, match=r"GB free\. Finished scenes are kept") as caught:
            build_dataset(order, tmp_path / "out", FAST)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.exit_code == 4
    assert len(list((tmp_path / "out" / ".dmef" / "records").iterdir())) == 3
    assert not list((tmp_path / "out" / ".dmef" / "staging").iterdir())
    finished = {truth.parent.name: stamp(truth) for truth in tmp_path.glob("out/.dmef/*/*/gt.png")}
    build_dataset(order, tmp_path / "out", FAST, name="dataset")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    truths = {truth.parent.name: stamp(truth) for truth in tmp_path.glob("out/t*/*/gt.png")}
    assert len(finished) == 3
    assert finished.items() <= truths.items()


def stamp(path) -> int:
    return path.stat().st_mtime_ns


def test_a_place_that_cannot_be_written_is_named_before_anything_is_done(clips, tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError, match=r"file/out cannot be written: ") as caught:
        build_dataset(clips[:1], tmp_path / "file" / "out", FAST)
    assert caught.value.exit_code == 3


def test_a_data_set_that_has_become_unwritable_is_named_and_stays(dataset, clips, recipe) -> None:
    """The system refuses every byte, as it does where a disk was mounted again for reading."""
    resource = pytest.importorskip("resource", reason="limits on file sizes are a Unix matter")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(UnavailableError, match="cannot be written: "):
            build_dataset(clips, dataset, recipe)
        with pytest.raises(UnavailableError, match="cannot be written: "):
            describe_dataset(dataset, {"licence": "CC0-1.0"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert verify_dataset(dataset).ok


def test_what_the_dead_left_unfinished_is_swept_away_and_the_living_are_let_be(
    dataset, clips, recipe
) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    here = socket.gethostname()
    staging = dataset / ".dmef" / "staging"
    names = [f"a-1.{here}.{dead.pid}", f"a-1.{here}.{os.getpid()}", f"a-1.elsewhere.{dead.pid}"]
    for name in names:
        (staging / name).mkdir(parents=True)
        (staging / name / "gt.png").touch()
    build_dataset(clips, dataset, recipe)
    assert {path.name for path in staging.iterdir()} == set(names[1:])
