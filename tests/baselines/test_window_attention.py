"""Attention in windows: which pixels see one another, their offsets, and what training drops."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from baselines.window_attention import (
    WindowBlock,
    frame_windows,
    plain_and_shifted,
    relative_positions,
)
from tests.baselines.golden import golden_network

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def block() -> WindowBlock:
    return golden_network(WindowBlock(12, 3, 8, mlp_ratio=2, drop_path=0.5))


@pytest.mark.parametrize("size", [(8, 8), (8, 24), (40, 8), (24, 32)])
@pytest.mark.parametrize("shift", [0, 4])
def test_every_pixel_lies_in_one_window(size, shift):
    windows = frame_windows(*size, 8, shift, CPU)
    pixels = torch.cat([kind.pixels.flatten() for kind in windows])
    assert torch.equal(pixels.sort().values, torch.arange(size[0] * size[1]))


@pytest.mark.parametrize("size", [(8, 8), (8, 24), (24, 32)])
def test_pixels_see_one_another_within_a_shifted_window_and_its_border_piece(size):
    height, width = size
    seen = torch.zeros(height * width, height * width, dtype=torch.bool)
    for kind in frame_windows(height, width, 8, 4, CPU):
        for pixels in kind.pixels:
            seen[pixels[:, None], pixels] = ~kind.apart
    # Windows begin at -4, 4, 12 ...; what sticks out at the borders is cut off.
    row = (torch.arange(height) + 4) // 8
    column = (torch.arange(width) + 4) // 8
    cell = (row[:, None] * 100 + column).flatten()
    assert torch.equal(seen, cell[:, None] == cell)


@pytest.mark.parametrize(
    ("shift", "rows", "columns"),
    [(0, slice(0, 8), slice(0, 8)), (4, slice(0, 4), slice(0, 4))],
)
def test_a_pixel_reaches_its_window_and_no_further(block, shift, rows, columns):
    tokens = torch.rand(1, 24, 16, 12, generator=torch.Generator().manual_seed(1))
    changed = tokens.clone()
    changed[0, 0, 0] = tokens[0, 0, 0].flip(0)
    windows = plain_and_shifted(tokens, 8)[shift // 4]
    with torch.inference_mode():
        reached = (block(tokens, windows) != block(changed, windows)).any(-1)[0]
    expected = torch.zeros(24, 16, dtype=torch.bool)
    expected[rows, columns] = True
    assert torch.equal(reached, expected)


def test_equal_offsets_share_a_row_of_the_bias_table_and_others_do_not():
    rows = relative_positions(8)
    place = torch.arange(64)
    y, x = place // 8, place % 8
    for p, q, row in ((0, 0, 112), (0, 63, 0), (63, 0, 224), (1, 0, 113), (8, 0, 127)):
        assert rows[p, q] == row
    offset = (y[:, None] - y) * 100 + x[:, None] - x
    assert len(rows.unique()) == len(offset.unique()) == 225
    assert len(torch.stack((rows.flatten(), offset.flatten())).unique(dim=1).T) == 225


def test_training_drops_each_branch_for_whole_samples(block):
    tokens = torch.rand(1, 16, 24, 12, generator=torch.Generator().manual_seed(4))
    batch = tokens.expand(64, -1, -1, -1).contiguous()
    windows = plain_and_shifted(tokens, 8)[1]
    trained = copy.deepcopy(block).train()
    torch.manual_seed(0)
    with torch.no_grad():
        samples = trained(batch, windows)
    outcomes = samples.flatten(1).unique(dim=0)
    # Attention kept or not, mlp kept or not, in all windows alike.
    assert len(outcomes) == 4
    untouched = (samples == batch).flatten(1).all(1)
    # A quarter of 64 loses both; eight away from 16 is more than two deviations.
    assert 4 <= untouched.sum() <= 28


def test_a_branch_that_stays_is_strengthened_by_the_rate(block):
    lone = copy.deepcopy(block).train()
    nn.init.zeros_(lone.mlp.fc2.weight)
    nn.init.zeros_(lone.mlp.fc2.bias)
    tokens = torch.rand(1, 8, 8, 12, generator=torch.Generator().manual_seed(5))
    windows = plain_and_shifted(tokens, 8)[0]
    with torch.no_grad():
        attention = copy.deepcopy(lone).eval()(tokens, windows) - tokens
        torch.manual_seed(0)
        drawn = lone(tokens.expand(32, -1, -1, -1).contiguous(), windows) - tokens
    kept = drawn[drawn.flatten(1).any(1)]
    assert 0 < len(kept) < 32
    # Half survive, so they count twice; the difference of sums near 1 is rounded to 1e-7.
    torch.testing.assert_close(kept, 2 * attention.expand_as(kept), rtol=0, atol=2e-6)
