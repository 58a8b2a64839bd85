from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from dmef_bench.building.video import VideoReader
from dmef_bench.errors import VideoError

from .clips import (
    CLOSED_GOP,
    LOSSLESS,
    OPEN_GOP,
    cut,
    damage,
    decoded_in_order,
    numbered,
    photograph,
    subject_moves,
    trim_by_edit_list,
    write_clip,
)

SHARED = Path(__file__).resolve().parents[3] / "shared" / "videos"
# Phones drop frames: these of sixty.
DROPPED = [number for number in range(60) if number % 7 not in (3, 4) and number != 30]
# Portrait phone, ISO/IEC 14496-12: a point (x, y) of the frame is shown at (-y, x).
CLOCKWISE = [0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30]
UPSIDE_DOWN = [-(1 << 16), 0, 0, 0, -(1 << 16), 0, 0, 0, 1 << 30]
COUNTER_CLOCKWISE = [0, -(1 << 16), 0, 1 << 16, 0, 0, 0, 0, 1 << 30]
MIRRORED = [-(1 << 16), 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30]
ALOFT_10_DEGREES = [64540, 11380, 0, -11380, 64540, 0, 0, 0, 1 << 30]


def shared(name):
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"needs the shared clip {name}")
    return path


def _clip(folder, kind):
    """One clip of each kind that other readers get wrong."""
    path = folder / f"{kind}.mp4"
    if kind == "dropped-frames":
        pictures = list(numbered(60))
        return write_clip(
            path, [pictures[n] for n in DROPPED], pts=DROPPED, codec_options=CLOSED_GOP
        )
    if kind == "open-gop":
        return write_clip(path, numbered(45), codec_options=OPEN_GOP)
    if kind == "open-gop-hevc":
        options = {"x265-params": "open-gop=1:keyint=10:min-keyint=10:bframes=3:log-level=none"}
        return write_clip(path, numbered(33), codec="libx265", codec_options=options)
    if kind == "rotated":
        return write_clip(path, numbered(24), codec_options=CLOSED_GOP, display_matrix=CLOCKWISE)
    if kind == "edit-list":
        whole = write_clip(folder / "whole.mp4", numbered(40), codec_options=CLOSED_GOP)
        return trim_by_edit_list(whole, path, first=17, count=15)
    if kind == "avi":
        return write_clip(path.with_suffix(".avi"), numbered(40), codec_options=CLOSED_GOP)
    return write_clip(path.with_suffix(f".{kind}"), numbered(40), codec_options=CLOSED_GOP)


KINDS = ["dropped-frames", "open-gop", "open-gop-hevc", "rotated", "edit-list", "avi", "mkv", "ts"]


def _reference(reader, frames):
    """RGB of sequentially decoded frames, through the reader's own conversion."""
    convert = reader._to_rgb(reader._look.size)
    return [convert(frame) for frame in frames]


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_is_the_one_that_playing_shows(tmp_path, kind):
    path = _clip(tmp_path, kind)
    with VideoReader(path) as reader:
        expected = _reference(reader, decoded_in_order(path))
        assert len(reader) == len(expected)
        for index, picture in enumerate(expected):
            np.testing.assert_array_equal(reader.frame(index), picture)


@pytest.mark.parametrize("kind", KINDS)
def test_several_frames_at_once_are_the_same_frames(tmp_path, kind):
    path = _clip(tmp_path, kind)
    generator = random.Random(8)
    with VideoReader(path) as reader:
        expected = _reference(reader, decoded_in_order(path))
        for number in (2, 3, 3, 5, len(reader)):
            indices = sorted(generator.sample(range(len(reader)), number))
            for index, picture in zip(indices, reader.frames(indices), strict=True):
                np.testing.assert_array_equal(picture, expected[index])


@pytest.mark.parametrize("kind", ["dropped-frames", "open-gop", "edit-list", "mkv", "ts"])
def test_the_packet_index_equals_the_decoded_times(tmp_path, kind):
    path = _clip(tmp_path, kind)
    with VideoReader(path) as reader:
        assert list(reader.pts) == [frame.pts for frame in decoded_in_order(path)]
        assert reader.info.index == "packets"


def test_avi_has_no_presentation_times_so_it_is_decoded_for_them(tmp_path):
    with VideoReader(_clip(tmp_path, "avi")) as reader:
        assert reader.info.index == "decoded"
        assert list(reader.pts) == sorted(set(reader.pts))


@pytest.mark.parametrize(
    ("name", "indices"),
    [
        ("media3_portrait_4k60_phone.mp4", [9, 17]),
        ("media3_iphone_rooftop_hlg_1080p.mp4", [0, 16, 76]),
    ],
)
def test_shared_clips_are_read_exactly(name, indices):
    path = shared(name)
    with VideoReader(path, allow_hdr=True) as reader:
        frames = decoded_in_order(path)
        assert list(reader.pts) == [frame.pts for frame in frames]
        expected = _reference(reader, [frames[index] for index in indices])
        for picture, truth in zip(reader.frames(indices), expected, strict=True):
            np.testing.assert_array_equal(picture, truth)


@pytest.mark.slow
def test_every_shared_clip_is_read_exactly_at_every_frame():
    shared("sam2_juggle_man_720p.mp4")
    for path in sorted(SHARED.glob("*.m*")):
        with VideoReader(path, allow_hdr=True) as reader, av.open(str(path)) as container:
            convert = reader._to_rgb(reader._look.size)
            played = container.decode(container.streams.best("video"))
            every = reader.frames(range(len(reader)))
            for picture, frame in zip(every, played, strict=True):
                np.testing.assert_array_equal(picture, convert(frame), err_msg=path.name)


@pytest.mark.parametrize(
    ("matrix", "quarter_turns"),
    [(CLOCKWISE, -1), (UPSIDE_DOWN, 2), (COUNTER_CLOCKWISE, 1), (None, 0)],
)
def test_pictures_stand_upright(tmp_path, matrix, quarter_turns):
    scene = photograph(96, 128)
    path = write_clip(tmp_path / "a.mp4", [scene] * 3, codec_options=LOSSLESS)
    turned = write_clip(
        tmp_path / "b.mp4", [scene] * 3, codec_options=LOSSLESS, display_matrix=matrix
    )
    with VideoReader(path) as flat, VideoReader(turned) as reader:
        shown = reader.frame(1)
        np.testing.assert_array_equal(shown, np.rot90(flat.frame(1), quarter_turns))
        assert (reader.info.height, reader.info.width) == shown.shape[:2]
        assert (reader.info.coded_height, reader.info.coded_width) == (96, 128)


def test_times_are_those_of_the_frames_not_of_their_numbers(tmp_path):
    with VideoReader(_clip(tmp_path, "dropped-frames")) as reader:
        assert [reader.time(index) for index in range(len(reader))] == [
            Fraction(number, 30) for number in DROPPED
        ]
        assert reader.info.vfr
    with VideoReader(_clip(tmp_path, "mkv")) as reader:
        # Matroska counts milliseconds: 33 and 34 of them take turns at a constant 30 a second.
        assert not reader.info.vfr


PATCHES = np.array(
    [
        [[0, 0, 0], [32, 32, 32], [128, 128, 128], [255, 255, 255]],
        [[255, 0, 0], [0, 255, 0], [0, 0, 255], [224, 172, 105]],
        [[0, 255, 255], [255, 0, 255], [255, 255, 0], [70, 110, 160]],
    ],
    float,
)
KR_KB = {"bt709": (0.2126, 0.0722), "bt601": (0.299, 0.114)}
TAGS = {"bt709": 1, "bt601": 6}


def _patches_to_yuv(matrix, *, full, cell):
    """A frame of flat patches coded by the formulas of BT.601 and BT.709, chroma at half size."""
    red, blue = KR_KB[matrix]
    r, g, b = np.moveaxis(PATCHES / 255, 2, 0)
    y = red * r + (1 - red - blue) * g + blue * b
    cb, cr = (b - y) / (2 - 2 * blue), (r - y) / (2 - 2 * red)
    luma = 255 * y if full else 16 + 219 * y
    chroma = [128 + (255 if full else 224) * plane for plane in (cb, cr)]
    frame = av.VideoFrame(4 * cell, 3 * cell, "yuv420p")
    sides = [cell, cell // 2, cell // 2]
    for plane, values, side in zip(frame.planes, [luma, *chroma], sides, strict=True):
        codes = np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8)
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
        rows[:, : plane.width] = np.kron(codes, np.ones((side, side), np.uint8))
    return frame


@pytest.mark.parametrize(
    ("matrix", "full", "tagged", "cell"),
    [
        ("bt709", False, True, 32),
        ("bt709", True, True, 32),
        ("bt601", False, True, 32),
        ("bt601", True, True, 32),
        ("bt709", False, False, 240),  # untagged, 720 lines
        ("bt601", False, False, 192),  # untagged, 576 lines
    ],
)
def test_flat_patches_come_back_within_one_level(tmp_path, matrix, full, tagged, cell):
    frame = _patches_to_yuv(matrix, full=full, cell=cell)
    tags = {"colorspace": TAGS[matrix], "color_range": 2 if full else 1} if tagged else {}
    path = write_clip(tmp_path / "patches.mp4", [frame] * 2, codec_options=LOSSLESS, tags=tags)
    with VideoReader(path) as reader:
        got = reader.frame(1)[cell // 2 :: cell, cell // 2 :: cell].astype(float)
        colour = reader.info.colour
    assert (colour.matrix, colour.matrix_tagged) == (matrix, tagged)
    assert colour.range == ("full" if full else "limited")
    # Eight-bit YCbCr itself cannot hold every RGB colour; one level is that rounding.
    assert np.abs(got - PATCHES).max() <= 1
    assert np.abs(got - PATCHES).mean() < 0.4


def test_untagged_and_tagged_video_of_one_picture_look_alike(tmp_path):
    frame = _patches_to_yuv("bt601", full=False, cell=240)
    told = write_clip(
        tmp_path / "told.mp4", [frame] * 2, codec_options=LOSSLESS, tags={"colorspace": 6}
    )
    # At 720 lines the tag BT.601 looks old; it is obeyed all the same.
    with VideoReader(told) as reader:
        assert reader.info.colour.matrix == "bt601"
        got = reader.frame(0)[120::240, 120::240].astype(float)
    assert np.abs(got - PATCHES).max() <= 1


def test_small_frames_are_the_frames_shrunk(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", subject_moves(9, height=540, width=960))
    with VideoReader(path) as reader:
        small = list(reader.small_frames([1, 4, 8], long_side=480))
        exact = list(reader.frames([1, 4, 8]))
    assert [frame.index for frame in small] == [1, 4, 8]
    for frame, picture in zip(small, exact, strict=True):
        assert frame.rgb.shape == (270, 480, 3)
        assert frame.half_luma.shape == (270, 480)
        shrunk = cv2.resize(picture, (480, 270), interpolation=cv2.INTER_AREA).astype(float)
        # Chroma is interpolated in another order; sharp coloured edges differ by some codes.
        assert np.abs(frame.rgb - shrunk).mean() < 1.5


def test_a_trimmed_clip_is_not_a_truncated_one(tmp_path):
    with VideoReader(_clip(tmp_path, "edit-list")) as reader:
        info = reader.info
    # FFmpeg does not even hand out what lies before the keyframe before the cut.
    assert info.packets < info.stated_frames == 40
    assert (info.frames, info.count) == (15, "verified")


def test_counts_of_the_edit_list_of_a_phone():
    with VideoReader(shared("media3_iphone_rooftop_hlg_1080p.mp4"), allow_hdr=True) as reader:
        info = reader.info
    assert (info.stated_frames, info.packets, info.discarded, info.frames) == (86, 86, 9, 77)


def _faststart(folder):
    options = {"movflags": "faststart"}
    return write_clip(folder / "whole.mp4", numbered(90), container_options=options)


def test_a_copy_cut_short_is_refused_with_its_count(tmp_path):
    copy = cut(_faststart(tmp_path), tmp_path / "clip.mp4", 0.7)
    with pytest.raises(VideoError, match=r"clip\.mp4: truncated, \d+ of 90 frames present\. Copy"):
        VideoReader(copy)


def test_a_cut_that_reads_without_any_error_is_refused(tmp_path):
    copy = cut(shared("intel_car_detection.mp4"), tmp_path / "clip.mp4", 0.6)
    with pytest.raises(VideoError, match="truncated, 220 of 377 frames present"):
        VideoReader(copy)


@pytest.mark.parametrize(
    ("suffix", "options"), [("mkv", {}), ("mp4", {"movflags": "frag_keyframe+empty_moov"})]
)
def test_containers_that_state_no_count_are_checked_too(tmp_path, suffix, options):
    whole = write_clip(tmp_path / f"whole.{suffix}", numbered(90), container_options=options)
    with VideoReader(whole) as reader:
        assert reader.info.stated_frames is None
        assert reader.info.count == ("verified" if suffix == "mkv" else "unverified")
    with pytest.raises(VideoError, match="truncated"):
        VideoReader(cut(whole, tmp_path / f"clip.{suffix}", 0.7))


def test_a_copy_without_its_index_is_told_from_a_text(tmp_path):
    path = write_clip(tmp_path / "whole.mp4", numbered(30))
    with pytest.raises(VideoError, match=r"clip\.mp4: .* ends before its index \(interrupted"):
        VideoReader(cut(path, tmp_path / "clip.mp4", 0.5))
    (tmp_path / "notes.mp4").write_text("not a film, but words\n" * 40)
    with pytest.raises(VideoError, match=r"notes\.mp4: not a video \(no streams recognised\)"):
        VideoReader(tmp_path / "notes.mp4")
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(VideoError, match=r"empty\.mp4: not a video"):
        VideoReader(tmp_path / "empty.mp4")


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(VideoError, match="does not exist"):
        VideoReader(tmp_path / "clip.mp4")
    with pytest.raises(VideoError, match="is a folder"):
        VideoReader(tmp_path)


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        for number in range(20):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts = 44100, 1024 * number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(VideoError, match=r"song\.mp4: not a video \(it holds audio\)"):
        VideoReader(path)


@pytest.mark.parametrize(
    ("tags", "pixel_format", "words"),
    [
        ({"color_trc": 18, "color_primaries": 9, "colorspace": 9}, "yuv420p10le", "HLG BT.2020"),
        ({"color_trc": 16, "color_primaries": 9, "colorspace": 9}, "yuv420p10le", "PQ BT.2020"),
        ({"color_trc": 1, "color_primaries": 9, "colorspace": 9}, "yuv420p10le", "BT.2020 10-bit"),
        ({"color_trc": 18}, "yuv420p", "HLG 8-bit"),
    ],
)
def test_hdr_is_refused_unless_asked_for(tmp_path, tags, pixel_format, words):
    path = write_clip(tmp_path / "clip.mp4", numbered(3), tags=tags, pixel_format=pixel_format)
    with pytest.raises(VideoError, match=rf"clip\.mp4: {words}.* need a tone curve: re-record"):
        VideoReader(path)
    with VideoReader(path, allow_hdr=True) as reader:
        assert reader.info.hdr.startswith(words)
        assert reader.frame(2).shape == (96, 128, 3)


def test_the_dolby_vision_record_is_named():
    with pytest.raises(VideoError, match=r"HLG BT\.2020 10-bit \(Dolby Vision\)\."):
        VideoReader(shared("media3_iphone_rooftop_hlg_1080p.mp4"))


def test_ten_bit_video_that_is_not_hdr_is_read(tmp_path):
    pictures = list(numbered(4))
    path = write_clip(
        tmp_path / "a.mp4", pictures, pixel_format="yuv420p10le", tags={"colorspace": 1}
    )
    with VideoReader(path) as reader:
        # Lossy, and chroma at half size: a few codes; a wrong bit depth would be off by 60.
        assert np.abs(reader.frame(3).astype(int) - pictures[3]).mean() < 3
        assert next(reader.small_frames([0])).half_luma.max() <= 235


def test_interlaced_video_is_refused(tmp_path):
    options = {"x264-params": "interlaced=1"}
    path = write_clip(tmp_path / "clip.mp4", numbered(6), codec_options=options)
    with pytest.raises(VideoError, match=r"clip\.mp4: interlaced \(field order tt\)\. Deinterlace"):
        VideoReader(path)


def test_pixel_formats_that_are_not_read_are_named(tmp_path):
    path = write_clip(tmp_path / "clip.mkv", numbered(3), codec="ffv1", pixel_format="bgr0")
    with pytest.raises(VideoError, match=r"pixel format (bgr0|0rgb32) is not read\. Convert"):
        VideoReader(path)


def test_matrices_that_are_not_read_are_named(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", numbered(3), tags={"colorspace": 8})
    with pytest.raises(VideoError, match=r"colour matrix 8 .* is not read"):
        VideoReader(path)


@pytest.mark.parametrize(
    ("matrix", "words"), [(MIRRORED, "mirrored"), (ALOFT_10_DEGREES, "turned by -?10.0 degrees")]
)
def test_orientations_other_than_quarter_turns_are_refused(tmp_path, matrix, words):
    path = write_clip(tmp_path / "clip.mp4", numbered(3), display_matrix=matrix)
    with pytest.raises(VideoError, match=rf"clip\.mp4: shown {words}"):
        VideoReader(path)


@pytest.mark.parametrize("packet", [12, 14, 17, 19, 24, 47])
@pytest.mark.parametrize("options", [CLOSED_GOP, OPEN_GOP], ids=["closed-gop", "open-gop"])
def test_damage_is_noticed_and_reaches_no_frame_that_is_given_out(tmp_path, options, packet):
    path = write_clip(tmp_path / "whole.mp4", numbered(48), codec_options=options)
    copy = damage(path, tmp_path / "clip.mp4", packet=packet)
    with VideoReader(path) as whole, VideoReader(copy) as reader:
        pictures = list(whole.frames(range(48)))
        sound = [frame.index for frame in reader.small_frames(range(48))]
        lost = sorted(set(range(48)) - set(sound))
        # No further than to the end of the group, and the pictures leading into the next.
        assert 0 <= max(lost) - min(lost) < 16
        for index, picture in zip(sound, reader.frames(sound), strict=True):
            np.testing.assert_array_equal(picture, pictures[index])
        with pytest.raises(
            VideoError, match=r"clip\.mp4: frame \d+ \(\d\.\d+ s\) is damaged\. Copy"
        ):
            list(reader.frames(range(48)))
        refused = 0
        for index in lost:  # alone, a frame may do without the damaged one
            try:
                np.testing.assert_array_equal(reader.frame(index), pictures[index])
            except VideoError:
                refused += 1
        assert refused > 0


def test_frames_that_do_not_exist_and_orders_that_cannot_be_are_refused(tmp_path):
    with VideoReader(_clip(tmp_path, "rotated")) as reader:
        with pytest.raises(VideoError, match=r"frame 24 was asked for; it has 24 frames, 0\.\.23"):
            reader.frame(24)
        with pytest.raises(VideoError, match="asked for"):
            reader.frame(-1)
        with pytest.raises(VideoError, match="rising"):
            list(reader.frames([3, 3]))


def test_two_shapes_of_one_clip_are_not_mixed_up(tmp_path):
    """A reader serves small and exact frames in any order."""
    with VideoReader(_clip(tmp_path, "open-gop")) as reader:
        exact = reader.frame(20)
        list(reader.small_frames([3, 30], long_side=64))
        np.testing.assert_array_equal(reader.frame(20), exact)


def test_nothing_of_place_or_maker_reaches_the_record(tmp_path):
    metadata = {"location": "+35.7148+139.7967/", "make": "Maker", "model": "Model 7"}
    path = write_clip(tmp_path / "clip.mov", numbered(3), metadata=metadata)
    assert b"35.7148" in path.read_bytes()
    with VideoReader(path) as reader:
        text = str(reader.info.to_record()) + str(reader.info)
    assert not any(secret in text for secret in ("35.7", "Maker", "Model"))


def test_the_record_says_what_the_manifest_needs(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", numbered(30), codec_options=CLOSED_GOP)
    with VideoReader(path) as reader:
        record = reader.info.to_record()
    expected = {
        "name": "clip.mp4",
        "codec": "h264",
        "frames": 30,
        "packets": 30,
        "discarded": 0,
        "stated_frames": 30,
        "keyframes": 3,
        "average_rate": "30/1",
        "duration": 1.0,
        "rotation": 0,
        "hdr": "none",
        "bytes": path.stat().st_size,
    }
    assert {key: record[key] for key in expected} == expected
    assert len(record["sha256"]) == 64
