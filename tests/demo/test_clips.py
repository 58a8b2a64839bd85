from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from dmef_bench.demo.clips import PLACES, shoot, write_clips
from dmef_bench.demo.subjects import Course, Flapping, Swaying, Swimming, Tumbling, Turning
from dmef_bench.errors import UsageError, VideoError

SMALL = (270, 480)
FRAMES = 12
LUMA_709 = (0.2126, 0.7152, 0.0722)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    return write_clips(folder, size=SMALL, seconds=FRAMES / 30)


@pytest.fixture(scope="module")
def shots():
    return {name: shoot(name, SMALL, seed=0) for name in PLACES}


@pytest.fixture(scope="module")
def moments(shots):
    """Frames 2 and 7 of each place, 167 ms apart."""
    return {name: [shot.frame(i, i / 30) for i in (2, 7)] for name, shot in shots.items()}


def decoded(path):
    with av.open(path) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        codec = stream.codec_context
        return frames, (codec.name, codec.profile, codec.pix_fmt), stream.average_rate, codec


def test_there_is_one_clip_for_each_place(clips):
    assert [path.stem for path in clips] == list(PLACES)
    assert all(path.is_file() for path in clips)


def test_a_clip_decodes_to_every_frame_that_was_shot(clips, shots):
    for path in clips:
        frames, kind, rate, _ = decoded(path)
        assert len(frames) == FRAMES
        assert rate == 30
        assert kind == ("h264", "High", "yuv420p")
        first, last = shots[path.stem].frame(0, 0), shots[path.stem].frame(11, 11 / 30)
        # Halved chroma costs most; a frame of another moment is below 25 dB.
        assert cv2.PSNR(frames[0], first) > 27
        assert cv2.PSNR(frames[11], last) > 27
        assert cv2.PSNR(frames[0], last) < 25


def test_clips_say_which_colours_they_hold(clips):
    for path in clips:
        _, _, _, codec = decoded(path)
        assert (codec.color_primaries, codec.color_trc, codec.colorspace) == (1, 1, 1)  # BT.709
        assert codec.color_range == 1  # limited


def test_luma_is_weighted_as_the_tag_says(clips, shots):
    with av.open(clips[3]) as container:
        frame = next(container.decode(video=0))
    luma = frame.to_ndarray()[: SMALL[0]].astype(float).mean()
    expected = 16 + 219 / 255 * (shots["reef"].frame(0, 0) @ LUMA_709).mean()
    # The blue reef tells the matrices apart: BT.601 weights would give 3.1 codes less.
    assert abs(luma - expected) < 0.5


def test_the_same_seed_shoots_the_same_frames(moments):
    for name, (_, later) in moments.items():
        assert np.array_equal(shoot(name, SMALL, seed=0).frame(7, 7 / 30), later)


def test_another_seed_shoots_another_place(moments):
    for name, (first, _) in moments.items():
        other = shoot(name, SMALL, seed=1).frame(2, 2 / 30)
        assert np.abs(other.astype(int) - first).mean() > 5


def test_a_small_clip_shows_the_scene_of_a_large_one(moments):
    for name in ("windmill", "courtyard"):
        large = shoot(name, (540, 960), seed=0).frame(2, 2 / 30)
        halved = cv2.resize(large, SMALL[::-1], interpolation=cv2.INTER_AREA)
        soft = [cv2.GaussianBlur(picture, (0, 0), 3) for picture in (halved, moments[name][0])]
        # Fine octaves and grain differ; what is left after blurring is the scene.
        assert np.abs(soft[0].astype(int) - soft[1]).mean() < 8


def flow_beyond_the_camera(first, second):
    """Length of optical flow that no homography explains, in pixels at 4K; the camera's own."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (first, second)]
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*grey, None)
    y, x = np.mgrid[: SMALL[0], : SMALL[1]].astype(np.float32)
    points = np.stack([x, y], axis=-1)
    few = points[::5, ::5].reshape(-1, 1, 2)
    cv2.setRNGSeed(0)
    home, _ = cv2.findHomography(few, few + flow[::5, ::5].reshape(-1, 1, 2), cv2.RANSAC, 1.0)
    camera = cv2.perspectiveTransform(points.reshape(-1, 1, 2), home).reshape(points.shape) - points
    scale = 3840 / SMALL[1]
    rest = np.linalg.norm(flow - camera, axis=-1)
    return scale * rest, scale * float(np.median(np.linalg.norm(camera, axis=-1)))


def test_subjects_move_and_the_camera_shakes_within_the_limits_of_selection(moments):
    for name, (first, second) in moments.items():
        beyond, camera = flow_beyond_the_camera(first, second)
        assert 0.02 < (beyond > 12).mean() < 0.70, name
        assert np.percentile(beyond, 95) < 300, name
        assert 0.5 < camera < 192, name


def painted(subject, time, ground):
    frame = np.zeros_like(ground)
    subject.paint(frame, time, np.eye(2, 3))
    return frame.astype(int)


def test_subjects_turn_flap_bend_and_sway_where_they_stand(shots):
    kinds = set()
    for shot in shots.values():
        for subject in shot.subjects:
            if hasattr(subject, "course"):
                subject = dataclasses.replace(subject, course=Course((0.8, 0.5)))
            first, second = (painted(subject, time, shot.ground) for time in (0.0, 0.1))
            shown = first.max(axis=2) > 0
            if shown.any():
                assert np.abs(first - second)[shown].mean() > 1, subject
                kinds.add(type(subject))
    assert kinds >= {Turning, Tumbling, Flapping, Swimming, Swaying}


def test_nearer_subjects_hide_farther_ones(shots):
    """The big balloon is in front of the small one, and the sails in front of both."""
    far, near, sails, *_ = shots["windmill"].subjects
    view = np.eye(2, 3)
    hidden = 0
    for under, over in ((far, near), (near, sails)):
        alone = painted(over, 0.5, shots["windmill"].ground)
        both = np.zeros(alone.shape, np.uint8)
        under.paint(both, 0.5, view)
        touched = (both.max(axis=2) > 0) & (alone.min(axis=2) > 60)
        over.paint(both, 0.5, view)
        hidden += touched.sum()
        assert np.abs(both - alone)[touched].mean() < 12
    assert hidden > 100


def test_light_lies_within_the_limits_of_selection(moments):
    for name, (first, second) in moments.items():
        assert (first.max(axis=2) >= 250).mean() < 0.05, name
        assert (first.max(axis=2) <= 5).mean() < 0.10, name
        assert 0.15 < first.mean() / 255 < 0.75, name
        assert abs(float(first.mean()) - float(second.mean())) < 0.02 * 255, name


def test_a_third_of_each_picture_is_lost_one_stop_up_and_much_is_dark(moments):
    for name, (first, _) in moments.items():
        brightest = first.max(axis=2)
        # Sigmoid's clip points at +1 and +3 EV: 0.755 and 0.327 of full scale.
        assert 0.15 < (brightest >= 193).mean() < 0.50, name
        assert (brightest < 83).mean() > 0.05, name


def test_an_interrupted_run_leaves_whole_clips_only(tmp_path):
    def stop_near_the_end_of_the_second(done, total):
        if done == 2 * FRAMES:
            assert len(list(tmp_path.iterdir())) == 2, "nothing is written that could be left"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_clips(
            tmp_path,
            size=SMALL,
            seconds=FRAMES / 30,
            progress=stop_near_the_end_of_the_second,
        )
    assert [path.name for path in tmp_path.iterdir()] == ["windmill.mp4"]
    assert len(decoded(tmp_path / "windmill.mp4")[0]) == FRAMES


def test_finished_clips_are_left_alone_and_others_made_anew(clips):
    folder = clips[0].parent
    before = {path: path.stat().st_mtime_ns for path in clips}
    calls = []
    write_clips(folder, size=SMALL, seconds=FRAMES / 30, progress=lambda *call: calls.append(call))
    assert {path: path.stat().st_mtime_ns for path in clips} == before
    assert calls == [(12, 48), (24, 48), (36, 48), (48, 48)]


def stop_after(frames):
    def tell(done, total):
        if done > frames:
            raise KeyboardInterrupt

    return tell


def test_a_clip_of_another_size_is_replaced(tmp_path):
    for size in ((128, 192), (144, 256)):
        with pytest.raises(KeyboardInterrupt):
            write_clips(tmp_path, size=size, seconds=0.04, progress=stop_after(1))
    (clip,) = tmp_path.iterdir()
    assert decoded(clip)[0][0].shape == (144, 256, 3)


def test_progress_counts_every_frame_once(tmp_path):
    calls = []
    write_clips(tmp_path, size=(128, 192), seconds=0.1, progress=lambda *call: calls.append(call))
    assert calls == [(done, 12) for done in range(1, 13)]


def test_a_foreign_file_is_not_overwritten(tmp_path):
    foreign = tmp_path / "windmill.mp4"
    foreign.write_bytes(b"my holidays")
    with pytest.raises(VideoError, match=re.escape(str(foreign))):
        write_clips(tmp_path, size=SMALL, seconds=0.1)
    assert foreign.read_bytes() == b"my holidays"


@pytest.mark.parametrize(
    "wrong", [{"size": (271, 480)}, {"size": (64, 64)}, {"seconds": 0}, {"fps": 0}]
)
def test_clips_that_cannot_be_are_refused(tmp_path, wrong):
    with pytest.raises(UsageError):
        write_clips(tmp_path / "new", **wrong)
    assert not Path(tmp_path / "new").exists()
