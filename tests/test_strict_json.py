"""Strict JSON: infinity is text, NaN is refused both ways, hashes ignore order."""

from __future__ import annotations

import math

import pytest

from dmef_bench import strict_json


def test_infinity_goes_out_and_comes_back() -> None:
    text = strict_json.dumps({"psnr": math.inf})
    assert text == '{"psnr": "inf"}'
    assert strict_json.number(strict_json.loads(text)["psnr"]) == math.inf


def test_nan_is_not_written() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        strict_json.dumps({"psnr": math.nan})


@pytest.mark.parametrize("text", ["NaN", "Infinity", "[-Infinity]"])
def test_what_is_no_json_is_not_read(text) -> None:
    with pytest.raises(ValueError, match="is not JSON"):
        strict_json.loads(text)


@pytest.mark.parametrize("value", [True, None, "12", [1], "nan"])
def test_only_numbers_are_numbers(value) -> None:
    with pytest.raises(ValueError, match="not a number"):
        strict_json.number(value)


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert strict_json.digest({"a": 1, "b": (2,)}) == strict_json.digest({"b": [2], "a": 1})


def test_a_digest_tells_numbers_from_their_text() -> None:
    assert strict_json.digest({"a": 1}) != strict_json.digest({"a": "1"})
