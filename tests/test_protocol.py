"""Equal rules hash equally; unequal rules do not; what does not apply does not count."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dmef_bench.errors import RecordError, UsageError
from dmef_bench.protocol import Protocol, parse_size

RULES = Protocol("4k-dmef", "test", "c0ffee")


@pytest.mark.parametrize(
    "change",
    [
        {"split": "train"},
        {"dataset_digest": "decaf"},
        {"metrics": ("psnr/rgb8",)},
        {"fit": "full"},
        {"mr": "256x256"},
        {"resize": "resize/bilinear-aa"},
        {"memory_budget": 1 << 30},
        {"scenes": ("a",)},
        {"version": 2},
    ],
)
def test_every_rule_in_force_changes_the_fingerprint(change) -> None:
    changed = replace(RULES, **change)
    assert changed.fingerprint != RULES.fingerprint
    assert set(change) <= set(RULES.differences(changed))


@pytest.mark.parametrize("change", [{"tile": "512x512"}, {"overlap": 8}, {"blend": "none"}])
def test_tiling_rules_count_only_under_tiles(change) -> None:
    assert replace(RULES, **change).fingerprint == RULES.fingerprint
    tiled = replace(RULES, fit="tile")
    assert replace(tiled, **change).fingerprint != tiled.fingerprint


def test_a_size_counts_only_where_something_is_shrunk() -> None:
    full = replace(RULES, fit="full")
    assert replace(full, mr="64x64", resize="other").fingerprint == full.fingerprint


def test_fingerprints_never_change_their_meaning() -> None:
    # Boards already published are found by this value: it may only change with `version`.
    assert RULES.fingerprint == "728db2f0ad08"


def test_a_protocol_comes_back_from_its_record() -> None:
    for rules in (RULES, replace(RULES, fit="full"), replace(RULES, scenes=("a", "b"))):
        assert Protocol.from_record(rules.in_force).fingerprint == rules.fingerprint


def test_a_record_of_other_fields_is_refused() -> None:
    record = RULES.in_force | {"gamma": 2.2}
    with pytest.raises(RecordError, match="gamma"):
        Protocol.from_record(record)


@pytest.mark.parametrize("text", ["256", "256x", "x256", "0x1", "-1x2", "1.5x2", "axb"])
def test_a_size_that_is_none_is_refused(text) -> None:
    with pytest.raises(UsageError, match="WIDTHxHEIGHT"):
        parse_size(text)


def test_a_fit_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="full, downsample, tile"):
        replace(RULES, fit="squash")
