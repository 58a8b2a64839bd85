"""Camera responses: the published curves, the identity that binds f and g, and the limits."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dmef_bench.errors import UsageError
from dmef_bench.exposure.camera_response import MODELS, Beta, BetaGamma, Preferred, Sigmoid

# Limits are reached in silence: no warning is expected anywhere.
pytestmark = pytest.mark.filterwarnings("error")

GOLDENS = np.load(
    Path(__file__).resolve().parents[1] / "data" / "lecarm_goldens.npz", allow_pickle=False
)
CAMERAS = [model() for model in MODELS.values()]
every_camera = pytest.mark.parametrize("camera", CAMERAS, ids=list(MODELS))

pixels = st.floats(0, 1)
ratios = st.floats(-3, 3).map(lambda ev: 2.0**ev)

# float64 rounds at 1.1e-16. Preferred divides by 1 - P^(1/c): near white a darkening by three stops
# magnifies that by k^-a = 8^4.35 = 8500, hence 1e-12, and two of them in a row 1e-11.
ROUNDING = 1e-11


def name_of(camera) -> str:
    return type(camera).__name__


@every_camera
def test_defaults_are_the_published_constants(camera):
    constants = [getattr(camera, field) for field in camera.__dataclass_fields__]
    assert constants == GOLDENS[f"{name_of(camera)}_param"].tolist()


@every_camera
def test_transform_agrees_with_the_published_curves(camera):
    ours = camera.transform(GOLDENS["P256"], GOLDENS["k"][:, np.newaxis])
    assert ours.dtype == np.float64
    np.testing.assert_allclose(ours, GOLDENS[f"{name_of(camera)}_g256"], rtol=0, atol=1e-12)


@every_camera
def test_response_agrees_with_the_published_curves(camera):
    ours = camera.response(GOLDENS["grid256"])
    np.testing.assert_allclose(ours, GOLDENS[f"{name_of(camera)}_crf256"], rtol=0, atol=1e-12)


@every_camera
def test_inverse_agrees_with_the_published_curves(camera):
    golden = GOLDENS[f"{name_of(camera)}_crfinv256"]
    ours = camera.inverse(GOLDENS["grid256"])
    finite = np.isfinite(golden)
    np.testing.assert_array_equal(np.isfinite(ours), finite)
    ours, golden = ours[finite], golden[finite]
    assert np.max(np.abs(ours - golden) / np.maximum(1, golden)) <= 1e-12


@every_camera
@given(pixel=pixels)
def test_one_times_the_exposure_changes_nothing(camera, pixel):
    assert camera.transform(pixel, 1) == pytest.approx(pixel, abs=1e-15)


@every_camera
@given(pixel=pixels, first=ratios, second=ratios)
def test_two_steps_equal_one(camera, pixel, first, second):
    between = camera.transform(pixel, first)
    if between <= 1:
        once = camera.transform(pixel, first * second)
        assert camera.transform(between, second) == pytest.approx(once, rel=ROUNDING, abs=ROUNDING)


@every_camera
@given(irradiance=st.floats(0, 1), k=ratios)
def test_the_transform_multiplies_the_exposure(camera, irradiance, k):
    moved = camera.transform(camera.response(irradiance), k)
    assert moved == pytest.approx(camera.response(k * irradiance), rel=ROUNDING, abs=ROUNDING)


@every_camera
@given(pixel=pixels)
@example(pixel=1e-44)  # its power 1/c is denormal
def test_the_response_undoes_its_inverse(camera, pixel):
    assert camera.response(camera.inverse(pixel)) == pytest.approx(pixel, abs=1e-14)


@every_camera
@given(k=st.floats(-6, 6).map(lambda ev: 2.0**ev))
def test_brighter_pixels_stay_brighter(camera, k):
    exposed = camera.transform(np.linspace(0, 1, 257), k)
    # Preferred saturates at 1, where neighbours differ by rounding alone.
    assert np.diff(exposed).min() >= -1e-15


@every_camera
@given(pixel=pixels)
def test_more_light_is_never_darker(camera, pixel):
    exposed = camera.transform(pixel, 2.0 ** np.linspace(-6, 6, 97))
    assert np.all(np.diff(exposed) >= -1e-15 * exposed[1:])


@every_camera
def test_black_and_no_light_stay_black(camera):
    assert camera.response(0.0) == 0
    assert camera.inverse(0.0) == 0
    np.testing.assert_array_equal(camera.transform(0.0, [0, 1e-9, 0.5, 2, 1e9, 1e99]), 0)
    np.testing.assert_array_equal(camera.transform([0.0, 0.3, 0.9], 0), 0)


@pytest.mark.parametrize(
    ("camera", "brightest"),
    [(Sigmoid(), 1.6), (Beta(), math.inf), (BetaGamma(), math.exp(1.1258)), (Preferred(), 1.0)],
    ids=list(MODELS),
)
def test_infinite_light_gives_the_brightest_pixel_and_back(camera, brightest):
    assert camera.response(math.inf) == brightest
    assert camera.inverse(brightest) == math.inf
    if math.isfinite(brightest):
        with pytest.raises(UsageError, match="pixel is"):
            camera.inverse(np.nextafter(brightest, 9))


def test_rounding_at_the_brightest_pixel_makes_no_nan():
    for b in np.linspace(0.5, 2, 61):
        assert BetaGamma(b=b).inverse(math.exp(b)) > 1e40


def test_white_under_k_times_the_light():
    k = np.array([0.25, 1.0, 2.0, 8.0])
    np.testing.assert_allclose(Sigmoid().transform(1, k), 1.6 * k**0.9 / (k**0.9 + 0.6), 1e-15)
    np.testing.assert_allclose(Beta().transform(1, k), k**0.8, rtol=1e-15)
    a, b = -0.3293, 1.1258
    np.testing.assert_allclose(BetaGamma().transform(1, k), np.exp(b * (1 - k**a)), rtol=1e-15)
    np.testing.assert_array_equal(Preferred().transform(1, [0, 0.25, 1, 8, 1e99]), 1)


def test_unit_exposure():
    assert Sigmoid().response(1) == Beta().response(1) == BetaGamma().response(1) == 1
    assert Preferred().response(1) == pytest.approx(0.9665, abs=5e-5)  # four printed digits


@pytest.mark.parametrize(("k", "clip_point"), [(2, 0.755), (4, 0.518), (8, 0.327)])
def test_the_sigmoid_clips_where_the_formula_says(k, clip_point):
    n, sigma = 0.90, 0.60
    level = (1 + sigma) / (sigma * k**n + 1)
    assert level == pytest.approx(clip_point, abs=5e-4)  # three printed digits
    assert Sigmoid().transform(level, k) == pytest.approx(1, abs=1e-15)
    assert Sigmoid().transform(level - 1e-9, k) < 1 < Sigmoid().transform(level + 1e-9, k)


@every_camera
def test_float32_pixels_are_computed_in_float64(camera):
    ramp = np.linspace(0, 1, 1001)
    exact = camera.transform(ramp, GOLDENS["k"][:, np.newaxis])
    rounded = camera.transform(ramp.astype(np.float32), GOLDENS["k"][:, np.newaxis])
    # Only the input is rounded, by 3e-8 at most; but at white and k = 0.25 the Preferred is
    # 4^4.35 = 416 times as steep as the identity.
    assert np.abs(rounded - exact).max() <= (5e-5 if camera == Preferred() else 1e-6)


@every_camera
def test_a_map_of_ratios_gives_each_pixel_its_own(camera):
    picture = np.linspace(0, 1, 24).reshape(2, 4, 3)
    ratio_map = np.linspace(0.5, 4, 8).reshape(2, 4, 1)
    exposed = camera.transform(picture, ratio_map)
    assert exposed.shape == picture.shape
    np.testing.assert_array_equal(
        exposed[1, 2], camera.transform(picture[1, 2], ratio_map[1, 2, 0])
    )


@every_camera
@pytest.mark.parametrize("k", [-0.5, math.nan, math.inf])
def test_an_impossible_ratio_is_named(camera, k):
    with pytest.raises(UsageError, match=rf"k is {k!r}"):
        camera.transform([0.2, 0.4], [1.0, k])


@every_camera
@pytest.mark.parametrize("pixel", [-0.25, 1.25, math.nan])
def test_a_pixel_outside_the_range_is_named(camera, pixel):
    with pytest.raises(ValueError, match=rf"pixel is {pixel!r}"):
        camera.transform([0.5, pixel], 2.0)


@every_camera
@pytest.mark.parametrize("irradiance", [-1.0, math.nan])
def test_negative_light_is_named(camera, irradiance):
    with pytest.raises(UsageError, match=rf"irradiance is {irradiance!r}"):
        camera.response(irradiance)


@pytest.mark.parametrize(
    ("model", "constants"),
    [
        (Sigmoid, {"n": 0.0}),
        (Sigmoid, {"sigma": -0.6}),
        (Beta, {"beta": math.nan}),
        (BetaGamma, {"a": 0.3293}),
        (BetaGamma, {"b": math.inf}),
        (Preferred, {"c": 0.0}),
        (Preferred, {"b": math.nan}),
    ],
)
def test_constants_that_make_no_camera_are_refused(model, constants):
    with pytest.raises(UsageError, match=f"{model.__name__}.*is no camera"):
        model(**constants)
