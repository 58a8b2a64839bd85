"""A stream: one method stays warm, and the log tells what that gains and costs."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from skimage import data

from dmef_bench.building.video import VideoReader
from dmef_bench.cli import main
from dmef_bench.errors import UsageError, VideoError
from dmef_bench.exposure.camera_response import Sigmoid
from dmef_bench.exposure.synthesis import expose
from dmef_bench.harness.folder import STREAM_LOG
from dmef_bench.harness.frames import VideoFrames
from dmef_bench.harness.stream import fuse_stream
from dmef_bench.imagefile import read_image
from dmef_bench.metrics import psnr

PHOTO = data.coffee()[100:200, 150:300]

METHODS = '''
"""Methods with caches."""
import numpy as np

class Stale:
    """Shows the first reference it ever saw; counts hits and misses as a cache does."""
    name, paper = "stale", "none"

    def __init__(self):
        self.reset()

    def reset(self):
        self.kept = None
        self.counts = {"hits": 0, "misses": 0, "writes": 0, "bytes": 0}

    def cache_counters(self):
        return dict(self.counts)

    def fuse(self, stack):
        if self.kept is None:
            self.kept = stack.images[1].copy()
            self.counts["misses"] += 4
            self.counts["writes"] += 1
            self.counts["bytes"] = self.kept.nbytes
        else:
            self.counts["hits"] += 3
            self.counts["misses"] += 1
        return self.kept

class Calibrated(Stale):
    """Fills its cache only when told to."""
    name = "calibrated"

    def calibrate(self, stacks):
        for stack in stacks:
            self.kept = stack.images[0].copy()

    def fuse(self, stack):
        return stack.images[1].copy() if self.kept is None else self.kept

class Reference:
    name, paper = "still", "none"

    def fuse(self, stack):
        return stack.images[1].copy()
'''


@pytest.fixture
def methods(tmp_path):
    path = tmp_path / "methods.py"
    path.write_text(METHODS)
    return lambda name: f"{path}:{name}"


@pytest.fixture
def burst(tmp_path):
    """Three brackets, each brighter than the one before."""
    for number in (2, 10, 1):
        folder = tmp_path / "burst" / f"shot-{number}"
        folder.mkdir(parents=True)
        for ev in (-1.0, 1.0, 3.0):
            picture = expose(PHOTO, ev + number / 10, Sigmoid())
            Image.fromarray(picture).save(folder / f"{ev:g}.png")
    return tmp_path / "burst"


def read_log(out):
    return [json.loads(line) for line in (out / STREAM_LOG).read_text().splitlines()]


def test_the_log_tells_what_each_frame_added_to_the_counters(tmp_path, burst, methods) -> None:
    report = fuse_stream(methods("Stale"), {}, burst, tmp_path / "out")
    lines = read_log(tmp_path / "out")
    assert [line["frame"] for line in lines] == ["shot-1", "shot-2", "shot-10"]
    size = PHOTO.size * 4
    assert [line["cache"] for line in lines] == [
        {"hits": 0, "misses": 4, "writes": 1, "bytes": size},
        {"hits": 3, "misses": 1, "writes": 0, "bytes": size},
        {"hits": 3, "misses": 1, "writes": 0, "bytes": size},
    ]
    assert [line["hit_rate"] for line in lines] == [0, 0.75, 0.75]
    assert report.summary()["hit_rate"] == 0.5
    assert all(line["seconds"]["fuse"] >= 0 for line in lines)


def test_the_loss_is_what_staleness_costs(tmp_path, burst, methods) -> None:
    fuse_stream(methods("Stale"), {}, burst, tmp_path / "out", measure_loss=True)
    lines = read_log(tmp_path / "out")
    # A cold method shows each reference as it is; the warm one shows the first for ever.
    references = [read_image(burst / line["frame"] / "1.png") for line in lines]
    expected = [psnr(reference, references[0]) for reference in references]
    assert lines[0]["psnr_against_cold"] == "inf"
    assert [line["psnr_against_cold"] for line in lines[1:]] == pytest.approx(expected[1:])
    assert math.isinf(expected[0])
    for line in lines:
        assert np.array_equal(read_image(tmp_path / "out" / f"{line['frame']}.png"), references[0])


def test_a_method_that_has_to_be_told_is_calibrated_on_the_first_frame(
    tmp_path, burst, methods
) -> None:
    fuse_stream(methods("Calibrated"), {}, burst, tmp_path / "out", measure_loss=True)
    lines = read_log(tmp_path / "out")
    assert ["calibrate" in line["seconds"] for line in lines] == [True, False, False]
    first = read_image(burst / "shot-1" / "-1.png")
    assert np.array_equal(read_image(tmp_path / "out" / "shot-10.png"), first)
    # The cold one has no calibration, so even the first frame differs.
    assert lines[0]["psnr_against_cold"] == pytest.approx(
        psnr(first, read_image(burst / "shot-1" / "1.png"))
    )


def test_a_method_without_a_cache_says_nothing_of_one(tmp_path, burst, methods) -> None:
    report = fuse_stream(methods("Reference"), {}, burst, tmp_path / "out", limit=2)
    assert [line["cache"] for line in report.lines] == [None, None]
    assert report.summary()["hit_rate"] is None


def test_a_frame_of_a_video_is_its_own_truth(tmp_path, clips, methods) -> None:
    fuse_stream(methods("Reference"), {}, clips[0], tmp_path / "out", evs=(-2, 0, 2), limit=3)
    lines = read_log(tmp_path / "out")
    # The medium exposure at EV 0 is the frame itself.
    assert [line["psnr_against_truth"] for line in lines] == ["inf"] * 3
    with VideoReader(clips[0]) as reader:
        for index, frame in enumerate(reader.frames(range(1, 4)), start=1):
            shown = read_image(tmp_path / "out" / f"frame-{index:06d}.png")
            assert np.array_equal(shown, frame)


def test_low_comes_from_before_and_high_from_after(clips) -> None:
    frames = VideoFrames(clips[0])
    (frame,) = frames.read(1)
    frames.close()
    with VideoReader(clips[0]) as reader:
        before, now, after = reader.frames(range(3))
    assert frame.stack.evs == (-1, 1, 3)
    for shown, picture, ev in zip(
        frame.stack.encoded, (before, now, after), (-1.0, 1.0, 3.0), strict=True
    ):
        assert np.array_equal(shown, expose(picture, ev, Sigmoid()))


def test_a_stream_has_every_frame_but_the_ends(clips) -> None:
    frames = VideoFrames(clips[0])
    with VideoReader(clips[0]) as reader:
        assert len(frames) == len(reader) - 2
    frames.close()


def test_an_earlier_stream_is_kept_unless_asked(tmp_path, burst, methods) -> None:
    name = methods("Reference")
    fuse_stream(name, {}, burst, tmp_path / "out")
    before = (tmp_path / "out" / STREAM_LOG).read_bytes()
    with pytest.raises(UsageError, match="--overwrite"):
        fuse_stream(name, {}, burst, tmp_path / "out")
    assert (tmp_path / "out" / STREAM_LOG).read_bytes() == before
    fuse_stream(name, {}, burst, tmp_path / "out", overwrite=True, limit=1)
    assert len(read_log(tmp_path / "out")) == 1


def test_a_picture_that_happens_to_be_there_is_not_replaced(tmp_path, burst, methods) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "shot-2.png").write_bytes(b"dear")
    with pytest.raises(UsageError, match=r"shot-2\.png exists"):
        fuse_stream(methods("Reference"), {}, burst, tmp_path / "out")
    assert (tmp_path / "out" / "shot-2.png").read_bytes() == b"dear"
    assert [line["frame"] for line in read_log(tmp_path / "out")] == ["shot-1"]


def test_a_video_of_two_frames_is_no_stream(tmp_path, clips) -> None:
    import av

    with av.open(str(tmp_path / "two.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height = 64, 48
        for _ in range(2):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(VideoError, match="2 frames; a stream needs three"):
        VideoFrames(tmp_path / "two.mp4")


def test_the_command_sums_up(tmp_path, burst, methods) -> None:
    words = ["fuse", str(burst), "--stream", "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(main, [*words, "-m", methods("Stale"), "--measure-loss"])
    assert done.exit_code == 0
    assert "3 frames" in done.output
    assert "cache hit rate 50.0%" in done.output
    again = CliRunner().invoke(
        main, [*words, "-m", methods("Stale"), "--overwrite", "--limit", "2", "--json"]
    )
    assert json.loads(again.stdout)["frames"] == 2
