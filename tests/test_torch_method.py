"""What all networks say before they compute."""

from __future__ import annotations

import logging

import pytest

from dmef_bench.registry import load_method
from dmef_bench.torch_method import computes_half_in_software


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_who_asks_for_imitated_arithmetic_is_told(dtype, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        load_method("ahdrnet", checkpoint="random", dtype=dtype, device="cpu")
    told = "imitates such arithmetic" in caplog.text
    assert told == (dtype != "float32" and computes_half_in_software())
