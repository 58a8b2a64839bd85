from __future__ import annotations

import pickle
from collections import Counter
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from dmef_bench.building.motion import measure_motion
from dmef_bench.building.picking import uniform_triple
from dmef_bench.building.rules import SelectionRules
from dmef_bench.building.selection import select_triples
from dmef_bench.building.triples import NoTripleError
from dmef_bench.building.video import VideoReader
from dmef_bench.errors import UsageError, VideoError
from dmef_bench.metrics.optical_flow import unexplained

from .clips import CLOSED_GOP, camera_moves, damage, photograph, subject_moves, write_clip

SHARED = Path(__file__).resolve().parents[3] / "shared" / "videos"
FAST = {"preset": "ultrafast", "crf": "18"}


def shared(name):
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"needs the shared clip {name}")
    return path


def choose(path, scenes=1, **changes):
    with VideoReader(path) as reader:
        return select_triples(reader, replace(SelectionRules(), **changes), scenes)


def refusal(path, **changes):
    with pytest.raises(NoTripleError) as caught:
        choose(path, **changes)
    return caught.value


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Two seconds in which something moves all the time."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return write_clip(path, subject_moves(60), codec_options=FAST)


def grey(picture):
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def test_a_shift_of_the_camera_is_measured_and_is_no_motion_of_the_subject():
    first, _, third = camera_moves(3, height=270, width=480, step=4)
    motion = measure_motion(grey(first), grey(third))
    # Eight pixels of 480 are 64 of 3840; flow on real detail finds them to a quarter pixel.
    assert motion.global_px_4k == pytest.approx(64, abs=2)
    assert motion.visible < 0.002
    assert motion.drift < 0.005


def test_a_subject_that_moves_is_told_from_the_camera():
    first, second = subject_moves(2, height=270, width=480, step=9)
    motion = measure_motion(grey(first), grey(second))
    assert motion.global_px_4k < 4
    # The face covers a ninth of the height times 90 of 480 pixels: 6.2 % of the picture.
    assert 0.02 < motion.visible <= motion.moving12 < 0.2
    assert motion.moving12 <= motion.moving4


def test_a_change_of_light_is_drift_and_no_motion():
    picture = grey(photograph(270, 480)) // 2
    motion = measure_motion(picture, picture + 10)
    assert motion.drift == pytest.approx(10 / 255, abs=1e-3)
    assert motion.visible == 0


def test_repeated_patterns_and_small_shifts_explain_themselves():
    rows, columns = np.mgrid[0:270, 0:480]
    pegs = ((rows % 5 < 2) & (columns % 5 < 2)).astype(np.uint8) * 200
    for shift in (1, 2, 3, 4):
        # Away from the border, where the pattern has no neighbours.
        assert unexplained(pegs, np.roll(pegs, shift, axis=1), 12)[8:-8, 8:-8].max() == 0
    picture = grey(photograph(270, 480))
    near = unexplained(picture[:, 1:], picture[:, :-1], 12) > 8
    far = unexplained(picture[:, 8:], picture[:, :-8], 12) > 8
    assert near.mean() < 0.001 < 0.2 < far.mean()


def test_a_moving_subject_is_chosen(clip):
    selection = choose(clip)
    (triple,) = selection.triples
    with VideoReader(clip) as reader:
        assert triple.pts == tuple(reader.pts[index] for index in triple.indices)
    measured = triple.measurements
    assert all(66 <= gap <= 330 for gap in measured["gap_ms"])
    assert min(measured["visible"]) >= 0.02
    assert max(measured["drift"]) <= 0.02
    assert measured["score"] == pytest.approx(
        min(min(measured["visible"]), 0.3) / 0.3 + min(measured["sharpness"][1], 1), abs=1e-3
    )
    names = "shot global_px_4k moving4 moving12 residual_p95_px_4k clipped250 dark5 mean"
    assert set(names.split()) <= set(measured)
    assert measured["candidates"] == selection.candidates
    assert measured["rejected"] == len(selection.rejected)


def test_the_ends_of_a_clip_are_left_out(clip):
    # Hands move the camera when they start and stop it.
    tried = refusal(clip, moving_min=0.9).selection.rejected
    with VideoReader(clip) as reader:
        assert 0.3 <= min(reader.time(triple.indices[0]) for triple in tried) < 0.4
        last = max(reader.time(triple.indices[2]) for triple in tried)
        assert 0.3 <= reader.time(59) - last < 0.5


def test_the_choice_is_the_same_every_time(clip):
    with VideoReader(clip) as reader:
        once, again = (select_triples(reader) for _ in range(2))
    assert once == again


def test_scenes_of_one_clip_lie_apart(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", subject_moves(150), codec_options=FAST)
    triples = choose(path, scenes=5).triples
    with VideoReader(path) as reader:
        middles = sorted(reader.time(triple.indices[1]) for triple in triples)
    assert len(triples) == 2  # five seconds, less the ends, hold two that lie two seconds apart
    assert all(later - earlier >= 2 for earlier, later in pairwise(middles))
    scores = [triple.measurements["score"] for triple in triples]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("pictures", [camera_moves(45), [photograph()] * 45], ids=["pan", "still"])
def test_without_a_moving_subject_nothing_is_chosen(tmp_path, pictures):
    path = write_clip(tmp_path / "clip.mp4", pictures, codec_options=FAST)
    error = refusal(path)
    number = len(error.selection.rejected)
    assert str(error) == (
        f"clip.mp4: {number} candidates, none passed: {number} no local motion (< 2 %). "
        "See selection.jsonl; --pick uniform takes 25/50/75 %."
    )
    assert error.selection.triples == ()
    assert error.selection.candidates == number > 3


@pytest.mark.parametrize(
    ("name", "count"),
    [("media3_portrait_4k60_phone.mp4", 1), ("transcoder_sky_tilt_1080p.mp4", 14)],
)
def test_shaking_and_tilting_real_cameras_do_not_pass_for_motion(name, count):
    error = refusal(shared(name))
    assert Counter(triple.reason for triple in error.selection.rejected) == {
        "no local motion (< 2 %)": count
    }


def test_no_pair_of_frames_of_the_pegboard_shows_motion():
    with VideoReader(shared("media3_portrait_4k60_phone.mp4")) as reader:
        frames = [grey(frame.rgb) for frame in reader.small_frames(range(0, 18, 4))]
    for first, second in ((0, 2), (1, 3), (2, 4), (0, 4)):
        # Ten times below the threshold: it is not luck that the clip is refused.
        assert measure_motion(frames[first], frames[second]).visible < 0.002


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["sam2_dog_woman_720p.mp4", "sam2_juggle_man_720p.mp4", "sam2_cups_720p.mp4"]
)
def test_moving_subjects_of_real_clips_are_chosen(name):
    (triple,) = choose(shared(name)).triples
    assert min(triple.measurements["visible"]) > 0.05
    assert min(triple.measurements["sharpness"]) > 0.7


def test_all_three_samples_come_from_one_shot(tmp_path):
    other = photograph()[::-1, ::-1, ::-1] // 2
    pictures = subject_moves(30)
    after = [np.where(picture == photograph(), other, picture) for picture in subject_moves(30)]
    path = write_clip(tmp_path / "clip.mp4", [*pictures, *after], codec_options=FAST)
    selection = choose(path, scenes=1)
    first, _, last = selection.triples[0].indices
    assert last < 30 or first >= 30
    across = [each for each in selection.rejected if each.indices[0] < 30 <= each.indices[2]]
    assert across
    assert {triple.reason for triple in across} == {"cut between the samples"}
    for triple in (*selection.triples, *selection.rejected):
        if triple.reason != "cut between the samples":
            assert triple.measurements["shot"] == (triple.indices[1] >= 30)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda picture: picture // 40, "black (> 10 % at 5 or below)"),
        (lambda picture: picture // 6, "too dark or too bright (mean outside 0.15 to 0.75)"),
        (
            lambda picture: np.minimum(picture.astype(int) * 2, 255),
            "clipped (> 5 % at 250 or above)",
        ),
    ],
    ids=["black", "dark", "clipped"],
)
def test_badly_exposed_clips_are_refused(tmp_path, change, reason):
    pictures = [change(picture).astype(np.uint8) for picture in subject_moves(40)]
    path = write_clip(tmp_path / "clip.mp4", pictures, codec_options=FAST)
    assert {triple.reason for triple in refusal(path).selection.rejected} == {reason}


def test_automatic_exposure_at_work_is_refused(tmp_path):
    pictures = [
        (picture * (0.5 + 0.02 * number)).astype(np.uint8)
        for number, picture in enumerate(subject_moves(25))
    ]
    path = write_clip(tmp_path / "clip.mp4", pictures, codec_options=FAST)
    reasons = {triple.reason for triple in refusal(path).selection.rejected}
    assert "brightness drifts (> 2 %)" in reasons


def test_sample_2_is_not_taken_from_a_blurred_stretch(tmp_path):
    pictures = subject_moves(75)
    pictures[20:55] = [cv2.GaussianBlur(picture, (0, 0), 2.5) for picture in pictures[20:55]]
    path = write_clip(tmp_path / "clip.mp4", pictures, codec_options=FAST)
    selection = choose(path)
    assert selection.triples[0].indices[1] not in range(20, 55)
    blurred = [each for each in selection.rejected if each.reason == "blurred sample 2"]
    assert blurred
    assert all(each.indices[1] in range(20, 55) for each in blurred)
    assert all(each.measurements["sharpness"][1] < 0.7 for each in blurred)


def test_gaps_are_kept_in_time_where_frames_were_dropped(tmp_path):
    kept = [number for number in range(90) if number % 5 not in (2, 3)]
    pictures = subject_moves(90)
    path = write_clip(
        tmp_path / "clip.mp4", [pictures[n] for n in kept], pts=kept, codec_options=FAST
    )
    selection = choose(path)
    for triple in (*selection.triples, *selection.rejected):
        times = [kept[index] / 30 for index in triple.indices]
        gaps = [1000 * (after - before) for before, after in pairwise(times)]
        assert triple.measurements["gap_ms"] == pytest.approx(gaps, abs=0.01)
        assert all(66 <= gap <= 330 for gap in gaps)


def test_damaged_frames_are_in_no_triple(tmp_path):
    path = write_clip(
        tmp_path / "whole.mp4", subject_moves(60), codec_options={**CLOSED_GOP, "crf": "18"}
    )
    copy = damage(path, tmp_path / "clip.mp4", packet=25)
    selection = choose(copy)
    with VideoReader(copy) as reader:
        list(reader.frames(selection.triples[0].indices))
    assert "damaged frame" in {triple.reason for triple in selection.rejected}


def test_clips_that_are_too_short_say_so(tmp_path):
    three = write_clip(tmp_path / "three.mp4", subject_moves(3), codec_options=FAST)
    with pytest.raises(
        VideoError, match=r"three\.mp4: 3 usable frames in 0\.1 s; three samples 66"
    ):
        choose(three)
    slow = write_clip(tmp_path / "slow.mp4", subject_moves(6), fps=2, codec_options=FAST)
    with pytest.raises(
        VideoError, match=r"slow\.mp4: frames lie 500 ms apart; samples at most 330"
    ):
        choose(slow)
    with VideoReader(three) as reader:
        assert uniform_triple(reader).triples[0].indices == (0, 1, 2)


def test_uniform_takes_quarters_of_the_time(tmp_path):
    numbers = [*range(20), *range(40, 61)]  # twenty frames are missing in the middle
    path = write_clip(tmp_path / "clip.mp4", subject_moves(41), pts=numbers, codec_options=FAST)
    with VideoReader(path) as reader:
        (triple,) = uniform_triple(reader).triples
        assert [numbers[index] for index in triple.indices] == [15, 40, 45]
        assert triple.pts == tuple(reader.pts[index] for index in triple.indices)
    two = write_clip(tmp_path / "two.mp4", subject_moves(2), codec_options=FAST)
    with VideoReader(two) as reader, pytest.raises(VideoError, match="2 frames; a scene needs"):
        uniform_triple(reader)


def test_less_than_one_scene_is_no_request(clip):
    with pytest.raises(UsageError, match="scenes is 0"):
        choose(clip, scenes=0)


def test_rules_are_those_of_the_data_set_record():
    rules = asdict(SelectionRules())
    stated = {
        "gap_ms": (100, 167, 267),
        "moving_px_4k": 12,
        "moving_min": 0.02,
        "moving_max": 0.7,
        "global_max": 0.05,
        "sharp_ref": 0.7,
        "sharp_other": 0.5,
        "clipped_max": 0.05,
        "drift_max": 0.02,
    }
    assert {name: rules[name] for name in stated} == stated


def test_the_refusal_travels_between_processes(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", [photograph()] * 20, codec_options=FAST)
    error = refusal(path)
    travelled = pickle.loads(pickle.dumps(error))
    assert str(travelled) == str(error)
    assert travelled.selection == error.selection
    assert travelled.selection.to_record()["candidates"] == len(error.selection.rejected)


def test_opencv_keeps_its_threads_elsewhere(clip):
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        choose(clip)
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)
