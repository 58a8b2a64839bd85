"""Audits: the tone curve is the best there is, shares are counted, leaks are flagged."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from skimage import data

from dmef_bench.errors import ImageContractError, UsageError
from dmef_bench.exposure.audit import (
    Audit,
    ExposureAudit,
    audit_scene,
    best_tone_curve,
    gate,
    tone_curve_bound,
)
from dmef_bench.exposure.camera_response import Sigmoid
from dmef_bench.exposure.noise import LEVELS, SeededNoise
from dmef_bench.exposure.synthesis import apply_curve, expose
from dmef_bench.metrics import psnr
from dmef_bench.scene import ExposureStack

PHOTOGRAPHS = (data.astronaut, data.coffee, data.chelsea, data.rocket)


def stack_of(photograph: np.ndarray, evs=(-1.0, 1.0, 3.0)) -> ExposureStack:
    return ExposureStack(tuple(expose(photograph, ev, Sigmoid()) for ev in evs), evs)


def grey(code: int) -> np.ndarray:
    return np.full((10, 10, 3), code, np.uint8)


def moved_chelsea() -> tuple[np.ndarray, np.ndarray]:
    """Medium exposure and truth that differ by a shift: every code meets many truths."""
    truth = data.chelsea()
    return expose(np.roll(truth, 3, axis=1), 1.0, Sigmoid()), truth


def test_no_entry_of_the_best_curve_can_be_bettered():
    exposure, truth = moved_chelsea()
    curve = best_tone_curve(exposure, truth)
    alternatives = np.arange(256)[:, np.newaxis]
    for code in np.unique(exposure):
        partners, times = np.unique(truth[exposure == code], return_counts=True)
        errors = ((alternatives - partners.astype(int)) ** 2 * times).sum(axis=1)
        assert errors[curve[code]] == errors.min()


def test_the_psnr_of_the_best_curve_falls_with_any_step():
    exposure, truth = moved_chelsea()
    curve = best_tone_curve(exposure, truth)
    best = psnr(tone_curve_bound(exposure, truth), truth)
    for code in np.unique(exposure)[::16]:
        for step in (-1, 1):
            other = curve.copy()
            other[code] = np.clip(int(curve[code]) + step, 0, 255)
            assert psnr(apply_curve(exposure, other), truth) <= best


def test_means_round_half_up_and_exactly():
    exposure = np.zeros((1, 4, 3), np.uint8)
    truth = np.zeros((1, 4, 3), np.uint8)
    truth[0, :2] = 1  # mean 1/2
    assert best_tone_curve(exposure, truth)[0] == 1
    truth[0, 0, 0] = 0  # mean 5/12
    assert best_tone_curve(exposure, truth)[0] == 0


def test_codes_never_shown_lie_between_their_neighbours():
    exposure, truth = grey(10), grey(20)
    exposure[0], truth[0] = 14, 22
    curve = best_tone_curve(exposure, truth)
    assert curve[[0, 10, 11, 12, 13, 14, 255]].tolist() == [20, 20, 21, 21, 22, 22, 22]


def test_a_picture_needs_no_curve_against_itself():
    coffee = data.coffee()
    curve = best_tone_curve(coffee, coffee)
    shown = np.unique(coffee)
    np.testing.assert_array_equal(curve[shown], shown)
    assert psnr(tone_curve_bound(coffee, coffee), coffee) == math.inf


def test_a_known_curve_is_found_again():
    camera_roll = data.rocket()
    darker = expose(camera_roll, -1.0, Sigmoid())
    brighter = expose(darker, 2.0, Sigmoid())
    np.testing.assert_array_equal(tone_curve_bound(darker, brighter), brighter)


def test_the_curve_of_a_4k_picture_stays_in_little_memory():
    rows = np.arange(3840, dtype=np.uint16).astype(np.uint8)[np.newaxis, :, np.newaxis]
    picture = np.ascontiguousarray(np.broadcast_to(rows, (2160, 3840, 3)))
    tracemalloc.start()
    best_tone_curve(picture, picture)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A strip of 64 rows holds 0.74 million samples: 2 bytes each as pairs, 8 as bincount widens
    # them; doubled for slack. The whole picture at once would take 250 MB.
    assert peak_bytes < 16e6


@pytest.mark.parametrize(
    ("exposure", "truth", "reason"),
    [
        (grey(0).astype(np.float32), grey(0), "exposure is float32"),
        (grey(0), grey(0).astype(np.uint16), "ground_truth is uint16"),
        (grey(0)[:5], grey(0), "10x5; 10x10"),
    ],
)
def test_curves_are_of_two_8_bit_pictures_of_one_size(exposure, truth, reason):
    with pytest.raises(ImageContractError, match=reason):
        best_tone_curve(exposure, truth)
    with pytest.raises(ImageContractError, match=reason):
        tone_curve_bound(exposure, truth)


def test_shares_are_counted_by_pixel():
    low, medium, high = grey(20), grey(100), grey(200)
    low[0] = 0  # ten of a hundred pixels black
    low[1, :, 0] = 0  # one channel alone is not black
    medium[2, :5, 1] = 255  # one channel alone clips
    high[3:] = 255
    audit = audit_scene(ExposureStack((low, medium, high), None), grey(90))
    assert [part.black for part in (audit.low, audit.medium, audit.high)] == [0.1, 0, 0]
    assert [part.clip for part in (audit.low, audit.medium, audit.high)] == [0, 0.05, 0.7]
    assert audit.high.mean == pytest.approx((0.3 * 200 + 0.7 * 255) / 255, abs=1e-12)


def test_an_audit_scores_the_copy_and_the_curve():
    truth = data.coffee()
    stack = stack_of(truth)
    audit = audit_scene(stack, truth)
    for part, exposure in zip((audit.low, audit.medium, audit.high), stack.encoded, strict=True):
        assert part.copy_db == psnr(exposure, truth)
        assert part.curve_db == psnr(tone_curve_bound(exposure, truth), truth)
        assert part.curve_db > part.copy_db


@pytest.mark.parametrize("photograph", PHOTOGRAPHS)
def test_darker_leaks_and_clipping_loses(photograph):
    audit = audit_scene(stack_of(photograph()), photograph())
    # Half the light takes no code away but by rounding: a curve brings it back above 50 dB.
    assert audit.low.curve_db > 50
    assert audit.low.curve_db > audit.medium.curve_db > audit.high.curve_db
    assert audit.low.clip < 0.01 < audit.medium.clip < audit.high.clip


def test_the_identity_medium_is_flagged_and_carried_as_infinity():
    truth = data.coffee()
    audit = audit_scene(stack_of(truth, (-2.0, 0.0, 2.0)), truth)
    assert audit.medium.copy_db == audit.medium.curve_db == math.inf
    assert {"leak-copy", "leak-curve"} <= set(audit.flags)
    verdict = gate([audit])
    assert verdict["passed"] is False
    assert verdict["median_copy_db"] == math.inf


def test_a_dark_medium_leaks_by_its_curve_unless_it_is_noisy():
    truth, evs = data.coffee(), (-3.0, -1.0, 1.0)
    clean = audit_scene(stack_of(truth, evs), truth)
    assert clean.flags == ("leak-curve", "reference-complete")
    noisy = tuple(expose(truth, ev, Sigmoid(), SeededNoise(LEVELS["mild"], f"{ev}")) for ev in evs)
    assert audit_scene(ExposureStack(noisy, evs), truth, noisy=True).flags == ()


@pytest.mark.parametrize(("offset", "leaks"), [(14, True), (15, False)])
def test_a_copy_leaks_from_25_db_on(offset, leaks):
    # 20 log10(255 / 14) = 25.2 dB, 20 log10(255 / 15) = 24.6 dB.
    medium = data.coffee() // 2
    audit = audit_scene(ExposureStack((medium,) * 3, None), medium + np.uint8(offset))
    assert ("leak-copy" in audit.flags) is leaks


@pytest.mark.parametrize(
    ("clipped", "flags"),
    [(0, ("reference-complete",)), (1, ()), (70, ()), (71, ("reference-lost",))],
)
def test_a_reference_loses_between_one_and_seventy_percent(clipped, flags):
    medium = grey(100)
    medium.reshape(100, 3)[:clipped] = 255
    # Black and white under every code: no curve of the medium comes near.
    truth = np.tile(np.array([0, 255], np.uint8), 150).reshape(10, 10, 3)
    audit = audit_scene(ExposureStack((grey(1), medium, medium), None), truth)
    assert audit.flags == flags


def test_a_drowned_reference_is_flagged():
    truth = data.coffee()
    audit = audit_scene(stack_of(truth, (1.0, 5.0, 6.0)), truth)
    assert audit.medium.clip > 0.7
    assert audit.flags == ("reference-lost",)


@pytest.mark.parametrize(
    "stack",
    [
        ExposureStack.from_images([np.zeros((4, 4, 3), np.float32)] * 3, None),
        ExposureStack((grey(1), grey(2)), None),
    ],
)
def test_an_audit_needs_three_stored_exposures(stack):
    with pytest.raises(ImageContractError, match="three stored exposures"):
        audit_scene(stack, grey(0))


def test_an_audit_is_of_bytes():
    exposures = tuple(grey(code).astype(np.uint16) for code in (1, 2, 3))
    with pytest.raises(ImageContractError, match="uint16"):
        audit_scene(ExposureStack(exposures, None), grey(0))


SOUND = ExposureAudit(copy_db=14.4, curve_db=35.1, clip=0.29, black=0.0, mean=0.6)


def scenes(*mediums: ExposureAudit, flagged: int = 0) -> list[Audit]:
    return [
        Audit(SOUND, medium, SOUND, flags=("reference-lost",) * (index < flagged))
        for index, medium in enumerate(mediums)
    ]


def test_a_sound_data_set_passes():
    assert gate(scenes(*[SOUND] * 5)) == {
        "passed": True,
        "median_copy_db": 14.4,
        "median_curve_db": 35.1,
        "median_clip": 0.29,
        "flagged": 0,
    }


@pytest.mark.parametrize(
    ("medium", "passes"),
    [
        (replace(SOUND, copy_db=24.99), True),
        (replace(SOUND, copy_db=25.0), False),
        (replace(SOUND, curve_db=45.0), True),
        (replace(SOUND, curve_db=45.01), False),
        (replace(SOUND, copy_db=math.inf, curve_db=math.inf), False),
    ],
)
def test_the_median_medium_decides(medium, passes):
    hard = replace(SOUND, copy_db=5.0, curve_db=15.0)
    easy = replace(SOUND, copy_db=math.inf, curve_db=math.inf)
    assert gate(scenes(hard, medium, easy))["passed"] is passes


@pytest.mark.parametrize(("flagged", "passes"), [(0, True), (2, True), (3, False)])
def test_more_than_a_fifth_flagged_does_not_pass(flagged, passes):
    verdict = gate(scenes(*[SOUND] * 10, flagged=flagged))
    assert verdict["flagged"] == flagged
    assert verdict["passed"] is passes


def test_nothing_cannot_be_judged():
    with pytest.raises(UsageError, match="no scene"):
        gate([])
