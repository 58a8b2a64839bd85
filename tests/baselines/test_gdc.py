"""GDC against its formulas, written out plainly here, and against what any such fusion promises."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from itertools import combinations, permutations, product

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from baselines.gdc import GDC, luminance, mean_direction_difference, normalised
from dmef_bench.errors import UsageError
from dmef_bench.method import Method, traits
from dmef_bench.scene import ExposureStack

# A few hundred float32 roundings, and OpenCV's atan2 (good to 2e-4 rad), amount to 1e-4 at most.
# OpenCV 4 reads the grid in steps of 1/32 of a cell, which costs 0.0075 at most.
EXACT = 3e-4 if int(cv2.__version__.split(".")[0]) >= 5 else 1e-2

# --- the formulas, in float64 and without haste -------------------------------------------------


def exact_gdc(
    images: Sequence[np.ndarray],
    *,
    dynamic: bool = True,
    taps: Sequence[float] = (0.054489, 0.244201, 0.402620, 0.244201, 0.054489),
    window: int = 9,
    sigma: float = 0.2,
    clip: float = 0.9,
) -> np.ndarray:
    """Steps 1 to 7 of the method for N >= 2 pictures; every pixel falls into the grid."""
    images = [image.astype(np.float64) for image in images]
    luminances = [image @ [0.2126, 0.7152, 0.0722] for image in images]
    smooth = np.asarray(taps)
    gradients = [exact_gradient(plane, smooth) for plane in luminances]
    visibility = np.array([np.hypot(x, y) for x, y in gradients])
    directions = [np.arctan2(y, x) for x, y in gradients]
    rules = [visibility]
    if dynamic:
        consistency = np.zeros_like(visibility)
        for i, j in combinations(range(len(images)), 2):
            difference = np.abs(directions[i] - directions[j])
            wrapped = np.minimum(difference, 2 * np.pi - difference)
            square = np.full(2 * window + 1, 1 / (2 * window + 1))
            mean = correlate(correlate(wrapped, square, 0), square, 1)
            consistency[[i, j]] += np.exp(-(mean**2) / (2 * sigma**2))
        consistency *= [(1 - clip < plane) & (plane < clip) for plane in luminances]
        rules = [visibility * consistency, consistency, visibility]
    weights = first_that_speaks(rules)
    weights = np.array([exact_grid(*pair) for pair in zip(weights, luminances, strict=True)])
    fused = sum(weight[..., None] * image for weight, image in zip(weights, images, strict=True))
    return np.clip(fused / weights.sum(axis=0)[..., None], 0, 1)


def exact_gradient(plane: np.ndarray, smooth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    difference = np.gradient(smooth)
    along_x = correlate(correlate(plane, difference, 1), smooth, 0)
    along_y = correlate(correlate(plane, difference, 0), smooth, 1)
    return along_x, along_y


def correlate(plane: np.ndarray, taps: np.ndarray, axis: int) -> np.ndarray:
    """Correlation along one axis, border replicated, opposite taps first so that zeros stay."""
    reach = len(taps) // 2
    padded = np.pad(plane, [(reach, reach) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
    steps = np.arange(plane.shape[axis])
    at = [padded.take(steps + k, axis) * tap for k, tap in enumerate(taps)]
    return at[reach] + sum(at[k] + at[-1 - k] for k in range(reach))


def first_that_speaks(rules: Sequence[np.ndarray]) -> np.ndarray:
    weights = np.full_like(rules[0], 1 / len(rules[0]))
    undecided = np.full(rules[0].shape[1:], True)
    for voices in rules:
        total = voices.sum(axis=0)
        decided = undecided & (total > 1e-12)
        weights[:, decided] = voices[:, decided] / total[decided]
        undecided &= ~decided
    return weights


def exact_grid(weights: np.ndarray, guide: np.ndarray) -> np.ndarray:
    """Cross-bilateral grid: nearest-cell splat, 5-tap Gaussian on three axes, trilinear slice."""
    height, width = guide.shape
    sigma_space = min(height, width) / 16
    sigma_range = max(0.1 * (guide.max() - guide.min()), 1e-3)
    rows, columns = np.indices(guide.shape)
    place = (rows / sigma_space, columns / sigma_space, (guide - guide.min()) / sigma_range)
    nearest = tuple(np.rint(axis).astype(int) for axis in place)
    sums, counts = np.zeros((2, *(int(axis.max()) + 2 for axis in place)))
    np.add.at(sums, nearest, weights)
    np.add.at(counts, nearest, 1)
    sums, counts = spread(sums), spread(counts)
    low = [np.floor(axis).astype(int) for axis in place]
    numerator = denominator = 0
    for corner in product((0, 1), repeat=3):
        share = np.prod(
            [1 - np.abs(p - cell - c) for p, cell, c in zip(place, low, corner, strict=True)],
            axis=0,
        )
        cell = tuple(cell + c for cell, c in zip(low, corner, strict=True))
        numerator = numerator + share * sums[cell]
        denominator = denominator + share * counts[cell]
    return numerator / denominator


def spread(cells: np.ndarray) -> np.ndarray:
    gaussian = np.exp(-0.5 * np.arange(-2, 3) ** 2)
    gaussian /= gaussian.sum()
    for axis in range(3):
        lines = np.moveaxis(cells, axis, -1)
        wide = np.pad(lines, [(0, 0), (0, 0), (2, 2)])
        lines = sum(tap * wide[..., k : k + lines.shape[-1]] for k, tap in enumerate(gaussian))
        cells = np.moveaxis(lines, -1, axis)
    return cells


# --- pictures -----------------------------------------------------------------------------------


def exposures(photograph: np.ndarray, gains: Sequence[float] = (0.4, 1.0, 2.5)) -> ExposureStack:
    """A photograph exposed by simple gains, as 8-bit codes: clipped, and rounded like files."""
    codes = (np.clip(np.rint(photograph * gain), 0, 255).astype(np.uint8) for gain in gains)
    return ExposureStack(tuple(codes), None, reference=0)


def coffee(height: int = 150, width: int = 220) -> np.ndarray:
    return data.coffee()[100 : 100 + height, 200 : 200 + width]


def constants(*values: float, size: tuple[int, int] = (40, 50)) -> ExposureStack:
    images = [np.full((*size, 3), value, np.float32) for value in values]
    return ExposureStack.from_images(images, None, reference=0)


def noise(height: int, width: int, count: int = 3, seed: int = 7) -> ExposureStack:
    codes = np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), np.uint8)
    return ExposureStack(tuple(codes), None, reference=0)


# --- the formulas hold --------------------------------------------------------------------------


@pytest.mark.parametrize("gains", [(0.5, 1.5), (0.4, 1.0, 2.5), (0.3, 0.6, 1.2, 2.4)])
@pytest.mark.parametrize("dynamic", [True, False])
def test_it_agrees_with_the_formulas_on_a_photograph(gains, dynamic):
    stack = exposures(coffee(), gains)
    expected = exact_gdc(stack.images, dynamic=dynamic)
    np.testing.assert_allclose(GDC(dynamic=dynamic).fuse(stack), expected, atol=EXACT)


def test_it_agrees_with_the_formulas_when_something_moves():
    photograph = data.astronaut()[:160, 120:320]
    still = exposures(photograph).images
    moved = np.roll(still[1], (0, 12), axis=(0, 1))
    stack = ExposureStack.from_images([still[0], moved, still[2]], None)
    np.testing.assert_allclose(GDC().fuse(stack), exact_gdc(stack.images), atol=EXACT)


def test_its_parameters_mean_what_the_formulas_say():
    stack = exposures(coffee(90, 120))
    method = GDC(sigma_gradient=2.0, window=3, sigma_consistency=0.5, clip=0.7)
    # 2 ceil(2 sigma) + 1 = 9 taps of a Gaussian of 2 pixels.
    taps = np.exp(-(np.arange(-4, 5) ** 2) / 8)
    expected = exact_gdc(stack.images, taps=taps / taps.sum(), window=3, sigma=0.5, clip=0.7)
    np.testing.assert_allclose(method.fuse(stack), expected, atol=EXACT)
    assert np.abs(GDC().fuse(stack) - expected).max() > 0.02


@pytest.mark.parametrize("size", [(5, 4200), (300, 6), (17, 600), (3, 200), (4, 4)])
def test_it_agrees_with_the_formulas_on_strips(size):
    # More than one tile of columns, more than one band of rows, pixels several cells apart.
    height, width = size
    stack = exposures(cv2.resize(data.chelsea(), (width, height), interpolation=cv2.INTER_AREA))
    np.testing.assert_allclose(GDC().fuse(stack), exact_gdc(stack.images), atol=EXACT)


def test_directions_beside_the_half_turn_are_neighbours():
    one, other = (np.full((5, 6), angle, np.float32) for angle in (np.pi - 0.01, 0.01 - np.pi))
    # Angles near pi are float32 numbers 2e-7 apart.
    np.testing.assert_allclose(mean_direction_difference(one, other, 1), 0.02, atol=1e-6)
    turned = mean_direction_difference(one + np.float32(np.pi), other + np.float32(np.pi), 1)
    np.testing.assert_allclose(turned, 0.02, atol=1e-6)


def test_the_first_evidence_that_speaks_decides():
    product, consistency, visibility = np.zeros((3, 2, 1, 4), np.float32)
    product[:, 0, 0] = 3e-11, 1e-11
    consistency[:, 0, :2] = [[1], [1]]
    visibility[:, 0, :3] = [[1], [4]]
    product[:, 0, 1] = 4e-13, 1e-13  # below the limit of 1e-12, so not heard
    shares = normalised(product, consistency, visibility)
    np.testing.assert_allclose(shares[0, 0], [0.75, 0.5, 0.2, 0.5], rtol=1e-6)
    np.testing.assert_allclose(shares.sum(axis=0), 1, rtol=1e-6)


def test_weights_sum_to_one_before_smoothing():
    weights = GDC().weights([luminance(image) for image in exposures(coffee()).images])
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=0), 1, atol=1e-6)


def test_the_halo_is_as_far_as_a_pixel_votes():
    method = GDC(window=4)
    plane = luminance(exposures(coffee(41, 41)).images[1])
    others = [np.rot90(plane).copy(), plane.T.copy()]
    touched = plane.copy()
    touched[20, 20] += 0.2
    change = method.weights([plane, *others]) != method.weights([touched, *others])
    rows, columns = np.nonzero(change.any(axis=0))
    reach = max(np.abs(rows - 20).max(), np.abs(columns - 20).max())
    assert reach == method.halo == 2 + 4


# --- what any such fusion promises --------------------------------------------------------------


def test_it_is_a_method_with_global_sight():
    assert isinstance(GDC(), Method)
    assert traits(GDC()).is_global
    assert (traits(GDC()).stride, traits(GDC()).halo) == (1, 11)


def test_one_exposure_comes_back_as_it_is():
    stack = exposures(coffee(), (1.0,))
    np.testing.assert_array_equal(GDC().fuse(stack), stack.images[0])


@pytest.mark.parametrize("dynamic", [True, False])
def test_identical_exposures_come_back_unchanged(dynamic):
    stack = exposures(coffee(), (1.0, 1.0, 1.0))
    np.testing.assert_allclose(GDC(dynamic=dynamic).fuse(stack), stack.images[0], atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    count=st.integers(2, 5),
    seed=st.integers(0, 99),
)
def test_every_pixel_lies_between_those_it_was_made_of(height, width, count, seed):
    stack = noise(height, width, count, seed)
    fused = GDC().fuse(stack)
    assert fused.shape == (height, width, 3)
    assert fused.dtype == np.float32
    # A mean of float32 numbers may miss them by a rounding or two.
    assert np.all(fused >= np.min(stack.images, axis=0) - 1e-6)
    assert np.all(fused <= np.max(stack.images, axis=0) + 1e-6)
    assert fused.min() >= 0
    assert fused.max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (2, 2), (17, 4000), (4000, 17)])
def test_it_fuses_pictures_of_any_size(size):
    stack = noise(*size)
    fused = GDC().fuse(stack)
    assert fused.shape == (*size, 3)
    assert np.all(fused >= np.min(stack.images, axis=0) - 1e-6)
    assert np.all(fused <= np.max(stack.images, axis=0) + 1e-6)


def test_white_in_every_exposure_does_not_exceed_one():
    # Three shares of a pixel sum to 1 up to a rounding, which may fall above.
    assert GDC().fuse(exposures(coffee(), (2.0, 4.0, 6.0))).max() == 1


def test_it_is_wider_than_opencv_can_remap():
    fused = GDC().fuse(constants(0.0, 0.4, 0.6, size=(1, 33000)))
    np.testing.assert_allclose(fused, 0.5, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.123, 0.5, 1.0])
def test_black_white_and_constant_exposures_stay(value):
    np.testing.assert_allclose(GDC().fuse(constants(value, value, value)), value, atol=1e-6)


def test_flat_exposures_count_where_they_are_well_exposed():
    np.testing.assert_allclose(GDC().fuse(constants(0.0, 0.4, 0.6)), 0.5, atol=1e-6)


def test_flat_exposures_that_all_clip_count_alike():
    np.testing.assert_allclose(GDC().fuse(constants(0.0, 0.0, 0.03)), 0.01, atol=1e-6)


def test_where_all_exposures_clip_the_visible_gradient_counts():
    # All below luminance 0.1, so nobody votes; a ramp is visible and black is not.
    ramp = np.tile(np.linspace(0.01, 0.09, 64, dtype=np.float32)[:, None], (32, 1, 3))
    black = np.zeros_like(ramp)
    fused = GDC().fuse(ExposureStack.from_images([black, ramp], None))
    np.testing.assert_allclose(fused, ramp, atol=1e-6)


def test_the_order_of_exposures_does_not_matter():
    images = exposures(coffee(100, 90)).images
    planes = [luminance(image) for image in images]
    fused, weights = GDC().fuse(ExposureStack.from_images(images, None)), GDC().weights(planes)
    for order in permutations(range(3)):
        shuffled = ExposureStack.from_images([images[i] for i in order], None)
        # Sums of three float32 numbers depend on their order in the last digit.
        np.testing.assert_allclose(GDC().fuse(shuffled), fused, atol=1e-6)
        reordered = GDC().weights([planes[i] for i in order])
        np.testing.assert_allclose(reordered, weights[list(order)], atol=1e-5)


def test_what_only_one_exposure_shows_is_voted_out():
    planes = [luminance(image) for image in exposures(coffee(200, 300), (0.5, 1.0, 1.6)).images]
    planes[1][60:140, 100:200] = luminance(exposures(data.chelsea()[100:180, 100:200]).images[1])
    # Further inside than the window of the vote and the taps reach.
    inside = (1, slice(60 + 11, 140 - 11), slice(100 + 11, 200 - 11))
    assert GDC(dynamic=False).weights(planes)[inside].mean() > 0.4
    assert GDC().weights(planes)[inside].mean() < 0.01


def test_the_input_stays_and_the_output_is_ours_to_write():
    stack = exposures(coffee(60, 70))
    before = [image.copy() for image in stack.images]
    for fused in (GDC().fuse(stack), GDC().fuse(exposures(coffee(60, 70), (1.0,)))):
        fused[:] = 0
    for image, was in zip(stack.images, before, strict=True):
        np.testing.assert_array_equal(image, was)


def test_the_layout_in_memory_does_not_matter():
    images = exposures(coffee(60, 70)).images
    expected = GDC().fuse(ExposureStack.from_images(images, None))
    for relaid in (np.asfortranarray, lambda image: image[::-1, :, ::-1].copy()[::-1, :, ::-1]):
        stack = ExposureStack.from_images([relaid(image) for image in images], None)
        np.testing.assert_array_equal(GDC().fuse(stack), expected)


def test_the_number_of_threads_does_not_change_a_bit():
    stack = exposures(cv2.resize(data.coffee(), (1280, 720)))
    threads = cv2.getNumThreads()
    results = []
    try:
        for count in (1, 2, 4, 4):
            cv2.setNumThreads(count)
            results.append(GDC().fuse(stack).tobytes())
    finally:
        cv2.setNumThreads(threads)
    assert len(set(results)) == 1


def test_it_needs_less_memory_than_its_input():
    stack = exposures(cv2.resize(data.coffee(), (1920, 1080)))
    given_bytes = sum(image.nbytes for image in stack.images)
    tracemalloc.start()
    GDC().fuse(stack)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # N luminances and the result are 2/3 of three pictures; bands and grids add less than the rest.
    assert peak < given_bytes


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("sigma_gradient", 0.0),
        ("sigma_gradient", float("inf")),
        ("window", -1),
        ("window", 2.5),
        ("sigma_consistency", float("nan")),
        ("clip", 0.5),
        ("clip", 1.1),
    ],
)
def test_an_impossible_parameter_is_named(option, value):
    with pytest.raises(UsageError, match=f"{option} is .*; give"):
        GDC(**{option: value})
