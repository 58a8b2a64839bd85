"""Quantisation: half a step at most, zero kept, and what the printed formulas would have done."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dmef_bench.errors import UsageError
from ipl.quantization import GATE_RANGE, GATE_SUM_RANGE, dequantize, quantize

# t / s and s (q - zp) are each rounded to 24 bits of up to 255 steps: 3e-5 of half a step, twice.
HALF_STEP = 0.5 * (1 + 1e-4)

FLOATS = st.floats(-1e6, 1e6, width=32)


def error_in_steps(t: torch.Tensor, **ranges: object) -> float:
    stored = quantize(t, **ranges)
    return float(((t - dequantize(stored)).abs() / stored.scale).max())


@settings(deadline=None)
@given(st.tuples(FLOATS, FLOATS).map(sorted), st.integers(0, 2**32 - 1))
@example([0.3, 0.9], 0)  # all positive: Eq. 6 as printed would err by 0.3
@example([-0.9, -0.3], 0)
@example([0.7, 0.7], 0)
@example([0.0, 0.0], 0)
@example([-1e-44, 1e-44], 0)  # float32 has no step that small
def test_the_error_is_half_a_step_at_most(ends: list[float], seed: int) -> None:
    low, high = ends
    unit = torch.rand(300, generator=torch.Generator().manual_seed(seed))
    t = torch.cat([(low * (1 - unit) + high * unit), torch.tensor([low, high])])
    assert error_in_steps(t) <= HALF_STEP


@pytest.mark.parametrize("step", [1.0, 0.1, 1 / 3, 7e-5])
@pytest.mark.parametrize("below", [0.5, 1.5, 127.5, 254.5])
def test_half_fractions_on_both_sides_stay_within_half_a_step(step: float, below: float) -> None:
    # The one case in which round(hi / s) + round(-lo / s) is 256 and a code is clamped.
    steps = torch.linspace(-below, 255 - below, 4 * 255 + 1)
    assert error_in_steps(steps * step) <= HALF_STEP


def test_zero_stays_exactly_zero() -> None:
    for low, high in [(-1.0, 2.0), (0.3, 0.9), (-0.9, -0.3), (-1e-3, 1e3), (0.0, 0.0)]:
        assert dequantize(quantize(torch.tensor([low, 0.0, high])))[1] == 0


def test_codes_fill_the_range() -> None:
    stored = quantize(torch.linspace(-1, 1.55, 1000))
    assert stored.q.dtype == torch.uint8
    assert (stored.q.min(), stored.q.max()) == (0, 255)
    assert stored.zero_point == 100
    assert float(stored.scale) == pytest.approx(0.01)


def test_one_code_more_than_the_codes_is_what_a_single_scale_costs() -> None:
    t = torch.zeros(1000)
    assert quantize(t).nbytes == 1000 + 4 + 4


@pytest.mark.parametrize(("fixed", "bound"), [(GATE_RANGE, 1 / 510), (GATE_SUM_RANGE, 3 / 510)])
def test_attention_weights_err_by_a_510th_a_dimension(fixed: tuple, bound: float) -> None:
    weights = torch.rand(10_000, generator=torch.Generator().manual_seed(3)) * fixed[1]
    stored = quantize(weights, *fixed)
    assert stored.zero_point == 0
    assert stored.scale == torch.tensor(fixed[1]) / 255
    assert (weights - dequantize(stored)).abs().max() <= bound * (1 + 1e-4)


def test_values_beyond_a_fixed_range_go_to_its_ends() -> None:
    back = dequantize(quantize(torch.tensor([-0.5, 0.5, 1.5]), 0.0, 1.0))
    assert back.tolist() == pytest.approx([0.0, 0.5, 1.0], abs=1 / 510)


def test_each_unit_along_dims_has_its_own_scale() -> None:
    generator = torch.Generator().manual_seed(5)
    t = torch.randn(3, 4, 50, generator=generator) * torch.logspace(-3, 3, 4)[:, None]
    stored = quantize(t, dims=(0, 2))
    assert stored.scale.shape == (1, 4, 1)
    for unit in range(4):
        alone = quantize(t[:, unit])
        assert torch.equal(stored.q[:, unit], alone.q)
        assert torch.equal(dequantize(stored)[:, unit], dequantize(alone))


@pytest.mark.parametrize("dims", [None, (0, 2, 3), (1, 2, 3), (1,)])
def test_a_window_of_codes_is_that_window_of_the_values(dims: tuple | None) -> None:
    t = torch.randn(2, 6, 8, 10, generator=torch.Generator().manual_seed(5))
    stored = quantize(t, dims=dims)
    for window in [
        (slice(1, 2), slice(2, 5), slice(0, 8), slice(3, 4)),
        (slice(0, 2), slice(4, 6)),
    ]:
        assert torch.equal(dequantize(stored[window]), dequantize(stored)[window])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_floating_types_come_back_in_the_type_asked_for(dtype: torch.dtype) -> None:
    t = torch.randn(500, generator=torch.Generator().manual_seed(2)).to(dtype)
    stored = quantize(t)
    assert dequantize(stored, dtype).dtype == dtype
    # The codes are those of the same values in float32.
    assert torch.equal(stored.q, quantize(t.float()).q)


def test_the_printed_zero_point_errs_by_the_distance_of_the_range_from_zero() -> None:
    t = torch.linspace(0.3, 0.9, 100)
    step = (0.9 - 0.3) / 255
    zero_point = min(max(round(-0.3 / step), 0), 255)  # Eq. 6 saturates
    codes = (torch.round(t / step) + zero_point).clamp(0, 255)
    printed = (t - step * (codes - zero_point)).abs().max()
    assert float(printed) == pytest.approx(0.3, abs=step)
    assert error_in_steps(t) <= HALF_STEP


def test_the_printed_rounding_maps_a_normal_tensor_to_one_level() -> None:
    t = torch.randn(10_000, generator=torch.Generator().manual_seed(0))
    stored = quantize(t)
    step, zero_point = stored.scale, stored.zero_point
    printed = torch.round(t / (step + zero_point)).clamp(0, 255)  # Eq. 7 word by word
    assert len(printed.unique()) == 1
    assert (t - step * (printed - zero_point)).abs().max() > 100 * step
    assert len(stored.q.unique()) > 200


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    for fixed in [(), GATE_RANGE]:
        with pytest.raises(UsageError, match="NaN and infinity"):
            quantize(torch.tensor([0.0, bad, 1.0]), *fixed)


@pytest.mark.parametrize("ends", [(1.0, 0.0), (math.nan, 1.0), (0.0, math.inf)])
def test_a_range_that_is_none_is_refused(ends: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="is no range"):
        quantize(torch.zeros(3), *ends)


def test_nothing_is_refused_as_nothing() -> None:
    with pytest.raises(UsageError, match=r"\(0, 4\)"):
        quantize(torch.zeros(0, 4))
