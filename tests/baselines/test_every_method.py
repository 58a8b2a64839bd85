"""What every installed method owes: each clause of the contract, each a test."""

from __future__ import annotations

from functools import cache

import pytest

from dmef_bench.harness.contract import CLAUSES, load_with_any_weights
from dmef_bench.harness.evaluate import is_bound
from dmef_bench.registry import available_methods

# The whole of IPL rolls its cube of 192 a side, a second of work, for the smallest picture too.
SLOW = {"ipl"}
METHODS = [
    pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in available_methods()
]
built = cache(load_with_any_weights)


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.title)
@pytest.mark.parametrize("name", METHODS)
def test_the_method(name, clause) -> None:
    assert clause.breach(built(name), lambda: load_with_any_weights(name)) == ""


@pytest.mark.parametrize("name", METHODS)
def test_only_the_reference_and_those_that_see_the_truth_are_bounds(name) -> None:
    assert is_bound(built(name)) == (name in {"reference", "oracle", "tone-curve"})
