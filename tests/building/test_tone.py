"""HDR comes out as its standards say, and as nothing in particular where they say nothing."""

from __future__ import annotations

import numpy as np
import pytest

from dmef_bench.building.primaries import (
    CHROMATICITIES,
    in_bt709,
    srgb_encoded,
    srgb_light,
    to_bt709,
    xyz_matrix,
)
from dmef_bench.building.tone import (
    DIFFUSE_WHITE,
    ToneCurve,
    ToneMapped,
    hlg_light,
    hlg_scene_light,
    pq_light,
)
from dmef_bench.building.video import VideoReader
from dmef_bench.errors import VideoError

from .clips import numbered, subject_moves, write_clip

HLG = {"color_trc": 18, "color_primaries": 9, "colorspace": 9}
PQ = {"color_trc": 16, "color_primaries": 9, "colorspace": 9}
WHITE = np.ones(3)
BT2020_LUMINANCE = np.array([0.2627, 0.6780, 0.0593])


def test_pq_is_the_inverse_of_its_standard() -> None:
    # BT.2100, table 4, inverse EOTF: E' = ((c1 + c2 Y^m1) / (1 + c3 Y^m1))^m2.
    light = np.geomspace(1e-4, 1e4, 50) / 10000
    power = light ** (2610 / 16384)
    signal = ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
    # The inverse loses six digits at the dark end, where c1 is subtracted.
    np.testing.assert_allclose(pq_light(signal) * DIFFUSE_WHITE / 10000, light, rtol=1e-6)


def test_hlg_is_the_inverse_of_its_standard() -> None:
    # BT.2100, table 5, OETF: √(3E) up to 1/12, a ln(12E − b) + c above.
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    light = np.linspace(0, 1, 101)
    bright = a * np.log(np.maximum(12 * light - b, 1e-9)) + c
    signal = np.where(light <= 1 / 12, np.sqrt(3 * light), bright)
    np.testing.assert_allclose(hlg_scene_light(signal), light, atol=1e-6)


def test_hlg_peak_is_a_thousand_candelas_and_grey_keeps_its_gamma() -> None:
    assert hlg_light(WHITE, BT2020_LUMINANCE) * DIFFUSE_WHITE == pytest.approx(1000)
    half = hlg_light(0.5 * WHITE, BT2020_LUMINANCE) * DIFFUSE_WHITE
    assert half == pytest.approx(1000 * 0.5**1.2, rel=1e-6)


@pytest.mark.parametrize("primaries", CHROMATICITIES)
def test_white_stays_white_in_other_primaries(primaries) -> None:
    assert to_bt709(primaries) @ WHITE == pytest.approx(WHITE, abs=1e-12)
    back = np.linalg.inv(to_bt709(primaries))
    red = xyz_matrix("bt709") @ [1, 0, 0]
    assert xyz_matrix(primaries) @ back @ [1, 0, 0] == pytest.approx(red, abs=1e-12)


def test_srgb_is_undone_by_its_inverse() -> None:
    codes = np.arange(256) / 255
    # IEC 61966-2-1 rounds its two pieces apart by 1e-8 where they meet.
    np.testing.assert_allclose(srgb_encoded(srgb_light(codes)), codes, atol=1e-7)


def test_display_p3_becomes_srgb() -> None:
    # Grey stays; P3's red lies outside and is clipped; a pale red becomes more saturated.
    frame = np.array([[[120, 120, 120], [255, 0, 0], [200, 120, 120]]], np.uint8)
    grey, red, pale = in_bt709(frame, "smpte432")[0].astype(int)
    assert grey.tolist() == [120, 120, 120]
    assert red.tolist() == [255, 0, 0]
    assert pale[0] > 200
    assert pale[1] < 120


@pytest.mark.parametrize("primaries", ["bt709", "untagged", "film", "code-77"])
def test_primaries_that_need_no_change_or_have_no_matrix_change_nothing(primaries) -> None:
    frame = next(iter(numbered(1)))
    assert in_bt709(frame, primaries) is frame


def ramp(top: float) -> np.ndarray:
    levels = np.linspace(0, top, 400)
    return np.repeat(np.floor(levels * 65535 + 0.5).astype(np.uint16)[None, :, None], 3, axis=2)


@pytest.mark.parametrize("transfer", ["hlg", "pq"])
def test_the_curve_rises_and_reaches_white_where_it_should(transfer) -> None:
    curve, signal = ToneCurve(transfer, "bt2020"), ramp(0.8)
    white = curve.white(signal)
    mapped = curve.mapped(signal, white)
    assert np.array_equal(mapped[..., 0], mapped[..., 2])  # grey stays grey
    assert (np.diff(mapped[0, :, 0].astype(int)) >= 0).all()
    assert mapped[0, 0, 0] == 0
    # 0.5 % of the ramp lies above white and clips.
    assert np.mean(mapped == 255) == pytest.approx(0.005, abs=0.006)


def test_where_white_is_paper_nothing_is_compressed() -> None:
    # With white at 203 cd/m² the curve L (1 + L) / (1 + L) is L itself.
    signal = ramp(0.58)
    mapped = ToneCurve("pq", "bt2020").mapped(signal, 1.0)[0, :, 0]
    light = np.clip(pq_light(signal[0, :, 0] / 65535), 0, 1)
    assert np.abs(mapped - 255 * srgb_encoded(light)).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("tags", [HLG, PQ], ids=["hlg", "pq"])
def test_three_samples_share_the_white_of_the_second(tmp_path, tags) -> None:
    pictures = subject_moves(9)
    pictures[2] = pictures[2] // 2
    path = write_clip(tmp_path / "a.mp4", pictures, tags=tags, pixel_format="yuv420p10le")
    with VideoReader(path, allow_hdr=True) as reader:
        clip = ToneMapped(reader)
        assert clip.info.colour.converted == "tone-mapped"
        dark, middle, _ = clip.frames([2, 5, 7])
        record = clip.curve_record()
        # Darker stays darker: had each its own white, both would be as bright.
        assert dark.mean() < 0.8 * middle.mean()
        next(clip.frames([5]))
        assert clip.curve_record() == record
        small = list(clip.small_frames([4, 5, 6]))
        means = [frame.rgb.mean() for frame in small]
        assert max(means) - min(means) < 2
        assert small[0].rgb.dtype == np.uint8


def test_wide_colours_without_an_hdr_transfer_are_refused(tmp_path) -> None:
    tags = {"color_trc": 1, "color_primaries": 9, "colorspace": 9}
    path = write_clip(tmp_path / "a.mp4", numbered(3), tags=tags, pixel_format="yuv420p10le")
    with VideoReader(path, allow_hdr=True) as reader, pytest.raises(VideoError, match="only HLG"):
        ToneMapped(reader)


@pytest.mark.parametrize(
    ("name", "index", "lightest", "mean"),
    [
        # Roofs under a bright sky: luminance four times that of paper becomes white.
        ("media3_iphone_rooftop_hlg_1080p.mp4", 25, 3.90, 0.533),
        # A valley at dawn, darker than paper all over.
        ("media3_valley_mist_hdr10_av1_1080p.mp4", 20, 0.667, 0.197),
    ],
)
def test_real_hdr_clips_come_out_as_they_were_looked_at(
    shared, name, index, lightest, mean
) -> None:
    with VideoReader(shared(f"videos/{name}"), allow_hdr=True) as reader:
        clip = ToneMapped(reader)
        (frame,) = clip.frames([index])
    # Decoders differ by a code; what was judged by eye is the whole.
    assert clip.curve_record()["white"] == pytest.approx(lightest, rel=0.01)
    assert frame.mean() / 255 == pytest.approx(mean, abs=0.005)
