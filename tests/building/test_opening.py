"""A video is opened as the recipe wants it, or refused by the option that would admit it."""

from __future__ import annotations

import numpy as np
import pytest

from dmef_bench.building.opening import is_uhd, open_clip, read_samples, shrunk_to_uhd
from dmef_bench.building.picking import Pick, listed_triples
from dmef_bench.building.primaries import in_bt709
from dmef_bench.building.recipe import Recipe
from dmef_bench.building.video import VideoReader
from dmef_bench.errors import VideoError

from .clips import CLOSED_GOP, OPEN_GOP, cut, numbered, write_clip

FASTSTART = {"movflags": "faststart"}


def truncated(folder, options, share=0.7, count=90):
    whole = write_clip(
        folder / "whole.mp4", numbered(count), codec_options=options, container_options=FASTSTART
    )
    return whole, cut(whole, folder / "clip.mp4", share)


def test_a_truncated_video_is_refused_with_the_option_that_admits_it(tmp_path) -> None:
    _, copy = truncated(tmp_path, CLOSED_GOP)
    words = r"^clip\.mp4: truncated, \d+ of 90 frames present\. Copy it again, or use --salvage for the readable part\.$"  # noqa: E501 - one message
    with pytest.raises(VideoError, match=words), open_clip(copy, Recipe()):
        pass


@pytest.mark.parametrize("options", [CLOSED_GOP, OPEN_GOP], ids=["closed-gop", "open-gop"])
@pytest.mark.parametrize("share", [0.6, 0.8, 0.95])
def test_what_is_salvaged_is_what_the_whole_video_shows(tmp_path, options, share) -> None:
    whole, copy = truncated(tmp_path, options, share, count=150)
    with VideoReader(whole) as sound, open_clip(copy, Recipe(salvage=True)) as clip:
        assert clip.info.count == "salvaged"
        assert 30 <= len(clip) < 150
        assert clip.pts == sound.pts[: len(clip)]
        every = range(len(clip))
        for frame, picture in zip(clip.frames(every), sound.frames(every), strict=True):
            np.testing.assert_array_equal(frame, picture)
        # Never the last group: what it lacks cannot be known.
        assert clip.info.duration >= 1


def test_too_little_is_not_worth_salvaging(tmp_path) -> None:
    _, copy = truncated(tmp_path, CLOSED_GOP, 0.8, count=36)
    with (
        pytest.raises(VideoError, match=r"only \d\.\d s before its last keyframe"),
        open_clip(copy, Recipe(salvage=True)),
    ):
        pass


def test_hdr_is_refused_with_the_option_that_admits_it(tmp_path) -> None:
    tags = {"color_trc": 18, "color_primaries": 9, "colorspace": 9}
    path = write_clip(tmp_path / "a.mp4", numbered(4), tags=tags, pixel_format="yuv420p10le")
    with (
        pytest.raises(
            VideoError,
            match=r"^a\.mp4: HLG BT\.2020 10-bit\. 8-bit exposures from HDR need a tone curve: "
            r"re-record in SDR, or pass --hdr tonemap\.$",
        ),
        open_clip(path, Recipe()),
    ):
        pass
    with open_clip(path, Recipe(hdr="tonemap")) as clip:
        assert read_samples(clip, [0, 1, 3], Recipe(hdr="tonemap"))[0].dtype == np.uint8


def test_small_video_is_refused_where_4k_is_required(tmp_path) -> None:
    path = write_clip(tmp_path / "a.mp4", numbered(4))
    with (
        pytest.raises(VideoError, match=r"a\.mp4: 128x96; --require-4k admits 3840x2160"),
        open_clip(path, Recipe(require_4k=True)),
    ):
        pass
    assert is_uhd((3840, 2160))
    assert not is_uhd((2160, 3838))


@pytest.mark.parametrize(
    ("size", "shrunk"),
    [
        ((4320, 7680), (2160, 3840)),
        ((7680, 4320), (3840, 2160)),
        ((3000, 4000), (2160, 2880)),
        ((2160, 3840), (2160, 3840)),
        ((1080, 1920), (1080, 1920)),
    ],
)
def test_large_pictures_shrink_until_they_fit_and_small_ones_stay(size, shrunk) -> None:
    picture = np.full((*size, 3), 77, np.uint8)
    assert shrunk_to_uhd(picture).shape == (*shrunk, 3)
    assert shrunk_to_uhd(picture).min() == 77


def test_shrinking_averages_areas() -> None:
    picture = np.zeros((4320, 7680, 3), np.uint8)
    picture[::2, ::2] = 200
    assert (shrunk_to_uhd(picture) == 50).all()


def test_other_primaries_are_converted_on_request_only(tmp_path) -> None:
    path = write_clip(tmp_path / "a.mp4", numbered(4), tags={"color_primaries": 12})
    with open_clip(path, Recipe()) as clip:
        plain = read_samples(clip, [0, 1, 2], Recipe())
        converted = read_samples(clip, [0, 1, 2], Recipe(to_srgb=True))
    assert not np.array_equal(plain[1], converted[1])
    np.testing.assert_array_equal(converted[1], in_bt709(plain[1], "smpte432"))


def test_listed_frames_are_taken_exactly(tmp_path) -> None:
    path = write_clip(tmp_path / "a.mp4", numbered(30), fps=25)
    with open_clip(path, Recipe()) as clip:
        ticks = (clip.pts[3], clip.pts[9], clip.pts[20])
        by_ticks = Pick(tuple(map(float, ticks)), "pts")
        by_seconds = Pick((0.04, 0.4, 1.0), "seconds")
        first, second = listed_triples(clip, [by_ticks, by_seconds]).triples
        assert first.indices == (3, 9, 20)
        assert second.indices == (1, 10, 25)
        assert first.pts == ticks


@pytest.mark.parametrize(
    ("pick", "words"),
    [
        (Pick((0, 1, 2), "pts"), "no frame at time 1 of its own clock"),
        (Pick((0.04, 0.41, 1.0), "seconds"), r"no frame at 0\.41 s; it shows 30 frames from 0 to"),
        (Pick((0.04, 0.4, 9.0), "seconds"), "no frame at 9 s"),
    ],
)
def test_frames_that_are_not_there_are_never_replaced_by_the_nearest(tmp_path, pick, words) -> None:
    path = write_clip(tmp_path / "a.mp4", numbered(30), fps=25)
    with open_clip(path, Recipe()) as clip, pytest.raises(VideoError, match=words):
        listed_triples(clip, [pick])


def test_two_listed_scenes_need_two_names(tmp_path) -> None:
    path = write_clip(tmp_path / "a.mp4", numbered(30), fps=25)
    picks = [Pick((0.04, 0.4, 1.0), "seconds"), Pick((0.08, 0.4, 0.8), "seconds")]
    with open_clip(path, Recipe()) as clip, pytest.raises(VideoError, match="share their sample 2"):
        listed_triples(clip, picks)
