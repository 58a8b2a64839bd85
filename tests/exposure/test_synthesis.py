"""Exposures from a frame: tables, the three pixel types, presets, the canonical triple."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from dmef_bench.errors import ImageContractError, UsageError
from dmef_bench.exposure.camera_response import MODELS, Preferred, Sigmoid
from dmef_bench.exposure.noise import LEVELS
from dmef_bench.exposure.synthesis import (
    PRESETS,
    apply_curve,
    check_evs,
    expose,
    exposure_lut,
    find_preset,
    synthesize_stack,
)
from dmef_bench.scene import Triplet, to_float, to_uint8

GOLDENS = np.load(
    Path(__file__).resolve().parents[1] / "data" / "lecarm_goldens.npz", allow_pickle=False
)
CAMERAS = [model() for model in MODELS.values()]
every_camera = pytest.mark.parametrize("camera", CAMERAS, ids=list(MODELS))
EVS = (-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0)
CODES = np.arange(256, dtype=np.uint8).reshape(4, 64, 1).repeat(3, axis=2)


@every_camera
def test_tables_agree_with_the_published_curves_byte_for_byte(camera):
    tables = np.stack([exposure_lut(camera, k) for k in GOLDENS["k"]])
    assert tables.dtype == np.uint8
    np.testing.assert_array_equal(tables, GOLDENS[f"{type(camera).__name__}_lut8"])


@every_camera
@pytest.mark.parametrize(("bits", "dtype"), [(8, np.uint8), (10, np.uint16), (16, np.uint16)])
def test_a_table_is_the_formula_at_every_code(camera, bits, dtype):
    full, k = 2**bits - 1, 2.0**0.7
    table = exposure_lut(camera, k, bits)
    assert table.dtype == dtype
    exposed = camera.transform(np.arange(full + 1) / full, k).tolist()
    rounded = [math.floor(min(max(value, 0.0), 1.0) * full + 0.5) for value in exposed]
    assert table.tolist() == rounded


def test_halves_round_up():
    class HalfCode:
        """A camera whose every pixel lies half-way between code 2 and code 3."""

        def transform(self, pixel, k):
            return np.full_like(pixel, 2.5 * k / 255)

    assert set(exposure_lut(HalfCode(), 1.0).tolist()) == {3}


@every_camera
@pytest.mark.parametrize("bits", [1, 8, 10, 12, 16])
def test_zero_ev_keeps_every_code(camera, bits):
    np.testing.assert_array_equal(exposure_lut(camera, 1.0, bits), np.arange(2**bits))


@every_camera
@settings(max_examples=50)
@given(k=st.floats(-6, 6).map(lambda ev: 2.0**ev))
def test_a_table_rises_from_black_to_its_exact_end(camera, k):
    table = exposure_lut(camera, k).astype(int)
    assert table[0] == 0
    assert table[255] == math.floor(min(float(camera.transform(1.0, k)), 1.0) * 255 + 0.5)
    assert np.diff(table).min() >= 0


@pytest.mark.parametrize("bits", [0, 17])
def test_a_depth_without_codes_is_refused(bits):
    with pytest.raises(UsageError, match=f"bits is {bits}"):
        exposure_lut(Sigmoid(), 2.0, bits)


@pytest.mark.parametrize("ev", EVS)
@pytest.mark.parametrize("photograph", [data.astronaut, data.coffee, data.chelsea, data.rocket])
def test_bytes_go_through_the_table(photograph, ev):
    image = photograph()
    before = image.copy()
    exposed = expose(image, ev, Sigmoid())
    assert exposed.dtype == np.uint8
    np.testing.assert_array_equal(exposed, exposure_lut(Sigmoid(), 2**ev)[image])
    np.testing.assert_array_equal(image, before)


@every_camera
def test_sixteen_bits_go_through_their_own_table(camera):
    image = np.random.default_rng(0).integers(0, 65536, (600, 40, 3), dtype=np.uint16)
    exposed = expose(image, 1.0, camera)
    assert exposed.dtype == np.uint16
    exact = np.clip(camera.transform(image / 65535, 2.0), 0, 1) * 65535
    # Half a code of rounding, and float64's own.
    assert np.abs(exposed - exact).max() <= 0.5 + 1e-9


@every_camera
@pytest.mark.parametrize("ev", EVS)
def test_floats_and_bytes_give_the_same_picture(camera, ev):
    exposed = expose(to_float(CODES), ev, camera)
    assert exposed.dtype == np.float32
    exact = np.clip(camera.transform(CODES / 255, 2**ev), 0, 1)
    # float32 in and out, as in test_float32_pixels_are_computed_in_float64.
    tolerance = 5e-5 if camera == Preferred() else 1e-6
    assert np.abs(exposed - exact).max() <= tolerance
    # Codes can differ only where the exact value lies on the border between two.
    to_border = np.abs((exact * 255) % 1 - 0.5)
    same = to_uint8(exposed) == expose(CODES, ev, camera)
    assert np.all(same | (to_border <= 255 * tolerance))
    assert same.mean() > 0.98


def test_floats_and_bytes_of_a_photograph_are_equal():
    photograph = data.astronaut()
    for ev in EVS:
        floats = to_uint8(expose(to_float(photograph), ev, Sigmoid()))
        np.testing.assert_array_equal(floats, expose(photograph, ev, Sigmoid()))


def test_a_view_of_a_picture_is_a_picture():
    photograph, lut = data.chelsea(), exposure_lut(Sigmoid(), 2.0)
    frozen = photograph.view()
    frozen.flags.writeable = False
    crop, mirrored, thinned = photograph[5:, 7:99], photograph[::-1], photograph[:, ::-2]
    for view in (frozen, crop, mirrored, thinned, photograph[..., 1], photograph[0, :, 0]):
        np.testing.assert_array_equal(expose(view, 1.0, Sigmoid()), lut[view])


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.zeros((2, 2, 3)), "float64"),
        (np.zeros((0, 2, 3), np.uint8), r"\(0, 2, 3\)"),
        (np.full((2, 2, 3), np.nan, np.float32), "nan"),
        (np.full((2, 2, 3), 1.5, np.float32), "1.5"),
        (np.full((2, 2, 3), -0.5, np.float32), "-0.5"),
    ],
)
def test_what_is_no_picture_is_refused_with_a_reason(image, reason):
    with pytest.raises(ImageContractError, match=reason):
        expose(image, 1.0, Sigmoid())


@pytest.mark.parametrize("ev", [math.nan, math.inf, -math.inf, 5000.0, -5000.0])
def test_an_ev_without_a_ratio_is_refused(ev):
    with pytest.raises(UsageError, match=f"EV is {ev}"):
        expose(CODES, ev, Sigmoid())


def test_a_curve_must_fit_its_picture():
    with pytest.raises(ImageContractError, match="uint16"):
        apply_curve(CODES, exposure_lut(Sigmoid(), 2.0, bits=16))
    with pytest.raises(ImageContractError, match="1024"):
        apply_curve(CODES.astype(np.uint16), exposure_lut(Sigmoid(), 2.0, bits=10))


def triplet_of(*codes: np.ndarray) -> Triplet:
    times = (Fraction(0), Fraction(1, 10), Fraction(1, 5))
    return Triplet(tuple(to_float(frame) for frame in codes), times, "photographs")


def test_the_canonical_triple_is_low_1_medium_2_high_3():
    samples = [np.roll(data.chelsea(), 20 * number, axis=1) for number in (1, 2, 3)]
    stack = synthesize_stack(triplet_of(*samples), Sigmoid())
    assert stack.evs == (-1.0, 1.0, 3.0)
    assert stack.reference == 1
    for stored, sample, ev in zip(stack.encoded, samples, stack.evs, strict=True):
        assert stored.dtype == np.uint8
        np.testing.assert_array_equal(stored, expose(sample, ev, Sigmoid()))


def test_a_stack_is_made_from_rounded_frames_as_the_builder_stores_it():
    frames = np.random.default_rng(1).random((3, 8, 9, 3), dtype=np.float32)
    stack = synthesize_stack(Triplet(tuple(frames), (Fraction(0),) * 3, "noise"), Sigmoid())
    for stored, frame, ev in zip(stack.encoded, frames, stack.evs, strict=True):
        np.testing.assert_array_equal(stored, exposure_lut(Sigmoid(), 2**ev)[to_uint8(frame)])


def test_a_medium_of_zero_ev_is_the_ground_truth():
    chelsea = data.chelsea()
    stack = synthesize_stack(triplet_of(chelsea, chelsea, chelsea), Sigmoid(), (-2, 0, 2))
    np.testing.assert_array_equal(stack.encoded[1], chelsea)


def test_a_frame_outside_the_contract_names_its_sample():
    frames = [np.zeros((4, 4, 3), np.float32) for _ in range(3)]
    frames[2][0, 0, 0] = 2
    with pytest.raises(ImageContractError, match="sample 3"):
        synthesize_stack(Triplet(tuple(frames), (Fraction(0),) * 3, "broken"), Sigmoid())


@pytest.mark.parametrize(
    ("evs", "reason"),
    [
        ((-1, 1), "low, medium and high"),
        ((-1, 3, 1), "strictly increasing"),
        ((-1, -1, 3), "strictly increasing"),
        ((-1, math.nan, 3), "strictly increasing"),
        ((-7, 1, 3), "6 stops"),
        ((-1, 1, 6.5), "6 stops"),
        ((-2, 0, 2), "--allow-identity"),
    ],
)
def test_exposures_no_data_set_may_be_built_with(evs, reason):
    with pytest.raises(UsageError, match=reason):
        check_evs(evs)


def test_the_widest_bracket_is_six_stops_either_way():
    assert check_evs((-6, 1, 6)) == (-6.0, 1.0, 6.0)


def test_the_default_preset_clips_the_reference():
    preset = find_preset()
    assert preset.evs == (-1.0, 1.0, 3.0)
    assert preset.noise is None


def test_the_shadow_preset_brings_its_noise():
    preset = find_preset("noisy-reference")
    assert preset.evs == (-3.0, -1.0, 1.0)
    assert preset.noise == LEVELS["mild"]


def test_the_identity_preset_must_be_asked_for():
    with pytest.raises(UsageError, match=r"infinite PSNR.*the default is -1,1,3"):
        find_preset("community-bracket")
    assert find_preset("community-bracket", allow_identity=True).evs == (-2.0, 0.0, 2.0)


def test_an_unknown_preset_lists_the_known():
    with pytest.raises(UsageError, match=r"'clipped'.*clipped-reference"):
        find_preset("clipped")


def test_no_preset_but_the_community_one_gives_the_answer_away():
    refused = []
    for name, preset in PRESETS.items():
        try:
            check_evs(preset.evs)
        except UsageError:
            refused.append(name)
    assert refused == ["community-bracket"]
