"""Resampling by rows and columns: what torch does to the whole, for any part of it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from ipl.resampling import STRIP, aligned

SIZES = st.integers(1, 70)


def interpolated(tensor: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return functional.interpolate(tensor, size, mode="bilinear", align_corners=True)


@settings(deadline=None, max_examples=50)
@given(SIZES, SIZES, SIZES, SIZES)
def test_rows_and_columns_are_those_of_torch(high: int, wide: int, rows: int, columns: int) -> None:
    tensor = torch.randn(2, 3, high, wide, generator=torch.Generator().manual_seed(1))
    ours = aligned(high, rows).rows(aligned(wide, columns).columns(tensor))
    # Both in float32, where four numbers of about 1 are weighed.
    assert torch.allclose(ours, interpolated(tensor, (rows, columns)), rtol=0, atol=2e-6)


@pytest.mark.parametrize("width", [480, 960, 1920])
def test_a_large_frame_is_resampled_as_exactly(width: int) -> None:
    tensor = torch.randn(1, 1, 4, 192, generator=torch.Generator().manual_seed(1))
    # A position near 192 has 17 bits left behind the point, and a map may jump by 8.
    wide = interpolated(tensor, (4, width))
    assert torch.allclose(aligned(192, width).columns(tensor), wide, rtol=0, atol=1e-4)
    small = interpolated(wide, (4, 192))
    assert torch.allclose(aligned(width, 192).columns(wide), small, rtol=0, atol=1e-4)


def test_a_part_of_the_taps_makes_that_part_of_the_result() -> None:
    tensor = torch.randn(2, 30, 40, generator=torch.Generator().manual_seed(1))
    taps = aligned(40, 3 * STRIP)
    whole = taps.columns(tensor)
    assert torch.allclose(taps[5:50].columns(tensor), whole[..., 5:50], atol=1e-6)
    assert torch.allclose(taps.at([3, 4, 40]).columns(tensor), whole[..., [3, 4, 40]], atol=1e-6)
    assert torch.equal(aligned(30, 77)[7:9].rows(tensor), aligned(30, 77).rows(tensor)[:, 7:9])


def test_only_the_sources_are_needed() -> None:
    tensor = torch.randn(2, 544, 8, generator=torch.Generator().manual_seed(1))
    taps = aligned(544, 192)
    kept = taps.sources
    # At 4K two rows for each of the map's, but for the last, which is one of its own.
    assert len(kept) == 383
    assert torch.equal(taps.among(kept).rows(tensor[:, kept]), taps.rows(tensor))


def test_ends_meet_ends() -> None:
    for sources, targets in [(192, 544), (272, 192), (16, 16), (1, 5), (5, 1)]:
        taps = aligned(sources, targets)
        assert len(taps) == targets
        assert (taps.lower[0], taps.weight[0]) == (0, 0.0)
        last = taps.lower[-1] + taps.weight[-1]
        assert last == pytest.approx(sources - 1 if targets > 1 else 0)
