"""The contract finds what a method does wrong, and `dmef methods` tells it and what it needs."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from dmef_bench.cli import main
from dmef_bench.errors import MethodNotFoundError
from dmef_bench.harness.contract import CLAUSES, check_method
from dmef_bench.registry import available_methods

ZOO = '''
"""Methods that each break one clause."""
import numpy as np
import torch
from dmef_bench.errors import UnavailableError

class Good:
    name, paper = "good", "none"

    def __init__(self, gain=1.0, *, label="x"):
        """Nothing to do."""

    def fuse(self, stack):
        return np.mean(stack.images, axis=0, dtype=np.float32)

class Nameless(Good):
    paper = ""

class Crops(Good):
    def fuse(self, stack):
        return super().fuse(stack)[: stack.size[0] // 2 * 2]

class DividesByLight(Good):
    def fuse(self, stack):
        with np.errstate(invalid="ignore"):
            return stack.images[1] / stack.images[1] * stack.images[0]

class Writes(Good):
    def fuse(self, stack):
        picture = stack.images[0]
        picture.setflags(write=True)
        picture[:2] = 0
        return picture.copy()

class Dithers(Good):
    noise = np.random.default_rng(0)

    def fuse(self, stack):
        return np.clip(super().fuse(stack) + self.noise.normal(0, 0.01, (1, 1, 1)), 0, 1).astype(
            np.float32
        )

class Remembers(Good):
    def __init__(self):
        self.pictures = {}

    def fuse(self, stack):
        return self.pictures.setdefault(stack.size, super().fuse(stack))

class Forgetful(Remembers):
    def reset(self):
        self.pictures.clear()

class Staged(Good):
    device = "cpu"
    def upload(self, stack):
        return stack
    def compute(self, stack):
        return super().fuse(stack) * np.float32(0.9)
    def download(self, picture):
        return picture

class NeedsEVs(Good):
    def fuse(self, stack):
        return super().fuse(stack) * np.float32(0.5 ** (stack.exposure_ratios[0] > 9))

class SaysItNeedsEVs(NeedsEVs):
    needs_evs = True

    def fuse(self, stack):
        if stack.evs is None:
            raise UnavailableError("no EVs")
        return super().fuse(stack)

class Pair(Good):
    exposures = 2

class Uncounted(Good):
    def network(self):
        return torch.nn.Linear(7, 7)

class Broken(Good):
    def fuse(self, stack):
        raise ZeroDivisionError("a bug")
'''
IDENTITY, SIZE, FLAT, STACK, REPEAT, FORGET, STAGES, NEEDS, COUNT = (c.title for c in CLAUSES)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    path = tmp_path_factory.mktemp("zoo") / "zoo.py"
    path.write_text(ZOO)
    return path


@pytest.mark.parametrize(
    ("kind", "broken"),
    [
        ("Good", set()),
        ("Nameless", {IDENTITY}),
        ("Crops", {SIZE}),
        ("DividesByLight", {FLAT}),
        ("Writes", {STACK}),
        ("Dithers", {REPEAT, FORGET}),
        ("Remembers", {FORGET}),
        ("Forgetful", set()),
        ("Staged", {STAGES}),
        ("NeedsEVs", {NEEDS}),
        ("SaysItNeedsEVs", set()),
        ("Pair", {NEEDS}),
        ("Uncounted", {COUNT}),
    ],
)
def test_each_breach_is_found_and_no_other(zoo, kind, broken) -> None:
    found = {v.title: v.breach for v in check_method(f"{zoo}:{kind}") if v.breach}
    assert set(found) == broken, found


def test_a_bug_is_a_verdict_and_the_other_clauses_are_checked_all_the_same(zoo) -> None:
    verdicts = list(check_method(f"{zoo}:Broken"))
    assert len(verdicts) == len(CLAUSES)
    assert any(v.breach == "ZeroDivisionError: a bug" for v in verdicts)


def test_an_unknown_name_is_no_breach() -> None:
    with pytest.raises(MethodNotFoundError, match="did you mean gdc"):
        list(check_method("gcd"))


def methods(*words):
    return CliRunner().invoke(main, ["methods", *map(str, words)])


def test_checking_prints_a_line_for_each_clause_and_ends_by_its_rules(zoo) -> None:
    good = methods("--check", "reference", "gdc@window=5")
    assert good.exit_code == 0
    assert good.output.count("  ok ") == 2 * len(CLAUSES)
    bad = methods("--check", f"{zoo}:Pair")
    assert bad.exit_code == 4
    assert f"  FAIL  {NEEDS}: with 4 exposures it fuses all the same; exposures is 2" in bad.output
    nobody = methods("--check")
    assert nobody.exit_code == 2
    assert "dmef methods --check NAME" in nobody.output


def test_the_long_list_has_a_line_for_each_method() -> None:
    listed = methods("--long")
    assert listed.exit_code == 0
    heading, *lines = listed.output.splitlines()
    assert heading.split() == ["method", "parameters", "weights", "stack", "paper"]
    assert [line.split()[0] for line in lines] == list(available_methods())
    by_name = {line.split()[0]: " ".join(line.split()[1:]) for line in lines}
    assert by_name["ahdrnet"].startswith("1,515,139 ")
    assert by_name["response-fill"].startswith("any number with EVs dmef:")
    assert by_name["oracle"].startswith("any number with ground truth the")


def test_a_method_named_is_told_in_full(zoo) -> None:
    told = methods("ahdrnet@in_channels=3,dense_layers=5", f"{zoo}:Good")
    assert told.exit_code == 0
    assert "1,313,635 parameters, 10.3 TMAC at 3840x2160" in told.output
    assert "stack    exactly 3\n" in told.output
    assert "tiles    equal the whole frame from an overlap of 37 px on" in told.output
    assert "checkpoint, dense_layers, in_channels, output, upstream_scaling=False" in told.output
    assert "options  gain=1.0, label=x" in told.output


def test_a_method_that_is_not_there_is_told_so_and_listed_without_breaking_the_list() -> None:
    assert methods("gcd").exit_code == 2
    listed = methods("-l", "reference", "ahdrnet@checkpoint=gone.pt")
    assert listed.exit_code == 0
    assert "not to be had here: gone.pt does not exist" in listed.output
