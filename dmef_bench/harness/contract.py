"""What every method owes, clause by clause: size, range, the stack untouched, the same answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dmef_bench import strict_json
from dmef_bench.errors import UnavailableError
from dmef_bench.harness.cost import count_macs
from dmef_bench.harness.evaluate import describe_method
from dmef_bench.method import Method, StagedMethod, StatefulMethod, missing_parts, traits
from dmef_bench.registry import load_method
from dmef_bench.scene import ExposureStack, Image, check_image, size_text

SIZES = ((64, 96), (65, 97), (33, 128), (17, 23))
"""(height, width), even and odd, wide and small."""

SIZE = (40, 56)
"""Where one size tells enough."""

EVS = (-1.0, 1.0, 3.0)

Build = Callable[[], Method]


@dataclass(frozen=True)
class Clause:
    """One thing that every method owes.

    Parameters
    ----------
    title : str
        What the method does if it keeps the clause.
    breach : callable
        Takes a method, and what builds a fresh one; returns what is wrong, or nothing. What the
        method raises, it raises.
    """

    title: str
    breach: Callable[[Method, Build], str]


@dataclass(frozen=True)
class Verdict:
    """How a method fares with one clause; ``breach`` is empty where it is kept."""

    title: str
    breach: str

    def __str__(self) -> str:
        return f"FAIL  {self.title}: {self.breach}" if self.breach else f"ok    {self.title}"


def check_method(name: str, **options: Any) -> Iterator[Verdict]:
    """Hold a method to every clause, in the order of `CLAUSES`.

    Parameters
    ----------
    name, **options
        As for `load_method`. Where weights are missing, random ones serve.
    """

    def build() -> Method:
        return load_with_any_weights(name, **options)

    method = build()
    for clause in CLAUSES:
        yield Verdict(clause.title, _breach(clause, method, build))


def load_with_any_weights(name: str, **options: Any) -> Method:
    """Build a method, with random weights where none are to be had: its contract is the same."""
    try:
        return load_method(name, **options)
    except UnavailableError:
        if "checkpoint" in options:
            raise
        return load_method(name, checkpoint="random", **options)


def stack_of(size: tuple[int, int], seed: int = 0, evs: Sequence[float] = EVS) -> ExposureStack:
    """A structured scene with some noise, exposed by a plain gain."""
    height, width = size
    y, x = np.mgrid[0:height, 0:width]
    radiance = 0.2 + 0.15 * np.sin(x / 7) * np.cos(y / 5) + 0.1 * (x > width / 2)
    noise = np.random.default_rng(seed).normal(0, 0.01, (*size, 3))
    light = np.clip(radiance[..., None] * [1.0, 0.8, 0.6] + noise, 0, 1)
    codes = [np.clip(light * 2.0**ev, 0, 1) * 255 for ev in evs]
    return ExposureStack(tuple(c.round().astype(np.uint8) for c in codes), tuple(evs))


def fuse(method: Method, stack: ExposureStack) -> Image:
    """Fuse a stack; a bound gets the middle exposure for the truth."""
    if traits(method).sees_ground_truth and stack.encoded is not None:
        return method.fuse(stack, ground_truth=stack.encoded[1], size=stack.size)  # type: ignore[call-arg]
    return method.fuse(stack)


def _breach(clause: Clause, method: Method, build: Build) -> str:
    try:
        return clause.breach(method, build)
    except Exception as error:  # a method's own: the verdict is its record
        return f"{type(error).__name__}: {error}"


def _says_who_it_is(method: Method, _build: Build) -> str:
    absent = missing_parts(method)
    if absent or not method.paper:
        return f"it lacks {', '.join(absent) or 'a paper'}"
    strict_json.dumps(describe_method(method))
    return ""


def _keeps_size_and_range(method: Method, _build: Build) -> str:
    for size in SIZES:
        check_image(fuse(method, stack_of(size)), name=f"its {size_text(size)}", size=size)
    return ""


def _survives_black_and_white(method: Method, _build: Build) -> str:
    for level, name in ((0, "black"), (255, "white")):
        flat = ExposureStack((np.full((*SIZE, 3), level, np.uint8),) * 3, EVS)
        check_image(fuse(method, flat), name=f"its picture of {name} ones", size=SIZE)
    return ""


def _leaves_the_stack(method: Method, _build: Build) -> str:
    stack = stack_of(SIZE)
    before = [image.copy() for image in stack.images]
    fuse(method, stack)
    same = all(np.array_equal(a, b) for a, b in zip(before, stack.images, strict=True))
    return "" if same else "the exposures were changed"


def _repeats_itself(method: Method, _build: Build) -> str:
    stack = stack_of(SIZE)
    one, two = fuse(method, stack).copy(), fuse(method, stack)
    return _difference(one, two, "two calls differ")


def _forgets(method: Method, build: Build) -> str:
    """Without a cache nothing is remembered; with one, nothing after ``reset``."""
    fuse(method, stack_of(SIZE, seed=2))
    if isinstance(method, StatefulMethod):
        method.reset()
    later = stack_of(SIZE, seed=1)
    return _difference(
        fuse(build(), later), fuse(method, later), "an earlier stack changed a later picture"
    )


def _stages_are_the_whole(method: Method, build: Build) -> str:
    stack = stack_of(SIZE)
    if not isinstance(method, StagedMethod):
        return ""
    staged = method.download(method.compute(method.upload(stack)))
    return _difference(fuse(build(), stack), staged, "upload, compute, download is not fuse")


def _knows_what_it_needs(method: Method, _build: Build) -> str:
    needs = traits(method)
    unknown = ExposureStack(stack_of(SIZE).encoded, None)
    if breach := _refusal(method, unknown, needs.needs_evs, "without EVs"):
        return f"{breach}; needs_evs is {needs.needs_evs}"
    for evs in ((-1.0, 1.0), (-1.0, 1.0, 2.0, 3.0)):
        refuses = needs.exposures not in (None, len(evs))
        text = f"with {len(evs)} exposures"
        if breach := _refusal(method, stack_of(SIZE, evs=evs), refuses, text):
            return f"{breach}; exposures is {needs.exposures}"
    return ""


def _refusal(method: Method, stack: ExposureStack, wanted: bool, text: str) -> str:
    try:
        fuse(method, stack)
    except UnavailableError as error:
        return "" if wanted else f"{text} it refuses ({error})"
    return f"{text} it fuses all the same" if wanted else ""


def _can_be_counted(method: Method, _build: Build) -> str:
    needs = traits(method)
    if needs.network is None:
        return ""
    return count_macs(needs.network(), SIZE, channels=needs.in_channels).reason


def _difference(one: Image, two: Image, text: str) -> str:
    if np.array_equal(one, two):
        return ""
    return f"{text}, by {np.abs(one - two).max():.3g} at most"


CLAUSES = (
    Clause("says who it is, in words that a record can keep", _says_who_it_is),
    Clause("returns a picture of the stack's size, in [0, 1]", _keeps_size_and_range),
    Clause("fuses black and white without NaN", _survives_black_and_white),
    Clause("leaves the stack as it was", _leaves_the_stack),
    Clause("answers the same stack with the same picture", _repeats_itself),
    Clause("forgets earlier stacks, by reset() where it has a cache", _forgets),
    Clause("fuses as upload, compute and download do, where it has stages", _stages_are_the_whole),
    Clause("refuses what it cannot fuse, as it declares, and nothing else", _knows_what_it_needs),
    Clause("lets its cost be counted, where it has a network", _can_be_counted),
)
"""In the order in which they are told."""
