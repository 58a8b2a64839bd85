"""What every installed method owes: size, range, the stack untouched, the same answer twice."""

from __future__ import annotations

import numpy as np
import pytest

from dmef_bench import strict_json
from dmef_bench.errors import UnavailableError
from dmef_bench.harness.evaluate import describe_method, is_bound
from dmef_bench.method import missing_parts, traits
from dmef_bench.registry import available_methods, load_method
from dmef_bench.scene import ExposureStack, check_image

METHODS = sorted(available_methods())
SIZES = [(64, 96), (65, 97), (33, 128), (17, 23)]


def stack_of(size, seed=0):
    """A structured scene, exposed at -1, +1 and +3 EV by a plain gain, with some noise."""
    height, width = size
    y, x = np.mgrid[0:height, 0:width]
    radiance = 0.2 + 0.15 * np.sin(x / 7) * np.cos(y / 5) + 0.1 * (x > width / 2)
    noise = np.random.default_rng(seed).normal(0, 0.01, (*size, 3))
    light = np.clip(radiance[..., None] * [1.0, 0.8, 0.6] + noise, 0, 1)
    exposures = [np.clip(light * gain, 0, 1) * 255 for gain in (0.5, 2.0, 8.0)]
    return ExposureStack(tuple(e.round().astype(np.uint8) for e in exposures), (-1.0, 1.0, 3.0))


def fuse(method, stack):
    if traits(method).sees_ground_truth:
        return method.fuse(stack, ground_truth=stack.encoded[1], size=stack.size)
    return method.fuse(stack)


def load(name):
    """The method, with random weights where none are shipped: the contract does not mind."""
    try:
        return load_method(name)
    except UnavailableError:
        return load_method(name, checkpoint="random")


@pytest.fixture(params=METHODS)
def method(request):
    return load(request.param)


def test_every_method_says_who_it_is(method) -> None:
    assert missing_parts(method) == ()
    assert method.paper


def test_what_a_record_keeps_of_a_method_is_json(method) -> None:
    # GDC's function `weights` once passed for a digest of weights.
    kept = strict_json.loads(strict_json.dumps(describe_method(method)))
    assert kept["name"] == method.name
    assert kept["kind"] in {"method", "bound"}


@pytest.mark.parametrize("size", SIZES)
def test_the_picture_keeps_size_and_range(method, size) -> None:
    check_image(fuse(method, stack_of(size)), name=method.name, size=size)


def test_the_same_stack_gives_the_same_picture(method) -> None:
    one, two = (fuse(method, stack_of((65, 97))) for _ in range(2))
    assert np.array_equal(one, two)


def test_the_stack_is_left_as_it_was(method) -> None:
    stack = stack_of((64, 96))
    before = [exposure.copy() for exposure in stack.encoded]
    fuse(method, stack)
    assert all(np.array_equal(a, b) for a, b in zip(before, stack.encoded, strict=True))


@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_are_fused_without_nan(method, level) -> None:
    flat = ExposureStack((np.full((48, 64, 3), level, np.uint8),) * 3, (-1.0, 1.0, 3.0))
    check_image(fuse(method, flat), name=method.name, size=(48, 64))


def test_an_earlier_stack_does_not_change_a_later_picture(method) -> None:
    fresh = fuse(load(available_name(method)), stack_of((64, 96), seed=1))
    fuse(method, stack_of((64, 96), seed=2))
    assert np.array_equal(fuse(method, stack_of((64, 96), seed=1)), fresh)


def available_name(method) -> str:
    target = f"{type(method).__module__}:{type(method).__name__}"
    return next(name for name, value in available_methods().items() if value == target)


def test_only_the_reference_and_those_that_see_the_truth_are_bounds(method) -> None:
    assert is_bound(method) == (method.name in {"reference", "oracle", "tone-curve"})
