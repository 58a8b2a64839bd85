"""AHDRNet: the authors' network, in their names, at the cost that was published."""

from __future__ import annotations

import pytest
import torch

from baselines.ahdrnet import AHDRNetwork
from tests.baselines.golden import (
    check_golden,
    flops,
    golden_config,
    peak_maps,
)

GOLDEN = "ahdrnet_3ch_5layer_48x40"
ASLEEP = ("attConv1", "attConv3")
"""Layers that every checkpoint holds and no picture meets."""


def test_a_golden_tells_a_dense_block_without_dilation():
    network = AHDRNetwork(**golden_config(GOLDEN))
    for block in (network.RDB1, network.RDB2, network.RDB3):
        for layer in block.dense_layers:
            layer.conv.dilation = layer.conv.padding = (1, 1)
    with pytest.raises(AssertionError, match="Mismatched elements"):
        check_golden(network, GOLDEN)


@pytest.mark.parametrize(("channels", "layers"), [(6, 6), (3, 6), (6, 5), (3, 5)])
def test_its_parameters_carry_the_authors_names_and_shapes(channels, layers):
    weights = {
        "conv1": (64, channels, 3, 3),
        **dict.fromkeys(("att11", "att31"), (128, 128, 3, 3)),
        **dict.fromkeys(("att12", "att32"), (64, 128, 3, 3)),
        **dict.fromkeys((*ASLEEP, "GFF_3x3", "conv_up"), (64, 64, 3, 3)),
        "conv2": (64, 192, 3, 3),
        **{
            f"RDB{block}.dense_layers.{k}.conv": (32, 64 + 32 * k, 3, 3)
            for block in (1, 2, 3)
            for k in range(layers)
        },
        **{f"RDB{block}.conv_1x1": (64, 64 + 32 * layers, 1, 1) for block in (1, 2, 3)},
        "GFF_1x1": (64, 192, 1, 1),
        "conv3": (3, 64, 3, 3),
    }
    expected = {f"{layer}.weight": shape for layer, shape in weights.items()}
    expected |= {f"{layer}.bias": shape[:1] for layer, shape in weights.items()}
    state = AHDRNetwork(channels, dense_layers=layers).state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == expected


@pytest.mark.parametrize(
    ("channels", "layers", "tensors", "parameters", "in_use", "flop_per_pixel"),
    [
        (6, 6, 66, 1_515_139, 1_441_283, 2_893_440),
        (3, 6, 66, 1_513_411, 1_439_555, None),
        (6, 5, 60, 1_315_363, 1_241_507, 2_494_080),
        (3, 5, 60, 1_313_635, 1_239_779, 2_483_712),
    ],
)
def test_it_costs_what_was_published(channels, layers, tensors, parameters, in_use, flop_per_pixel):
    network = AHDRNetwork(channels, dense_layers=layers)
    counts = {name: value.numel() for name, value in network.named_parameters()}
    assert len(counts) == tensors
    assert sum(counts.values()) == parameters
    assert sum(n for name, n in counts.items() if not name.startswith(ASLEEP)) == in_use
    if flop_per_pixel is not None:
        assert flops(network, channels, 64, 40) == 64 * 40 * flop_per_pixel
        with torch.inference_mode():
            assert flops(network, channels, 64, 40) == 64 * 40 * flop_per_pixel


def test_table_1_prints_its_flops_at_256_squared():
    assert round(flops(AHDRNetwork(3, dense_layers=5), 3, 256, 256) / 1e9, 2) == 162.77


def test_inference_holds_no_more_maps_than_the_last_block_needs():
    # Z_2, F_1, F_2; the block's 64 + 6 * 32 maps; F_3 and the product it is added up from.
    assert peak_maps(AHDRNetwork(), 6) == 3 * 64 + 256 + 64
