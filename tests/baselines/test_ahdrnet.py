"""AHDRNet: the authors' network, in their names, at the cost that was published."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from baselines.ahdrnet import AHDRNetwork
from tests.baselines.golden import (
    check_golden,
    flops,
    golden_config,
    golden_inputs,
    golden_network,
    golden_tensor,
    peak_maps,
)

GOLDENS = ("ahdrnet_6ch_6layer_48x40", "ahdrnet_3ch_5layer_48x40")
ASLEEP = ("attConv1", "attConv3")
"""Layers that every checkpoint holds and no picture meets."""


def exposures(count: int, height: int, width: int, channels: int = 6) -> list[torch.Tensor]:
    drawn = torch.Generator().manual_seed(3)
    return [torch.rand(count, channels, height, width, generator=drawn) for _ in range(3)]


@pytest.fixture(scope="module")
def network() -> AHDRNetwork:
    """A slim one: what is tested with it holds at any width."""
    return golden_network(AHDRNetwork(features=16, dense_layers=3, growth=8))


@pytest.mark.parametrize(
    ("key", "shape", "first", "total"),
    [
        ("conv1.weight", (64, 6, 3, 3), (0.0312685, -0.4758278, -0.0647411), -4.26128),
        ("conv1.bias", (64,), (0.1814564, 0.1647549, 0.0574972), 1.85925),
        (
            "layers.0.residual_group.blocks.0.attn.relative_position_bias_table",
            (225, 6),
            (0.4097903, 0.7890481, 0.4703448),
            -4.31468,
        ),
        (
            "channel_layers_lm.0.attn.temperature",
            (4, 1, 1),
            (1.0152378, 2.7997186, 1.2038089),
            6.05267,
        ),
        ("norm.weight", (60,), (1.0067959, 1.1642958, 1.0924609), 59.75194),
    ],
)
def test_the_golden_recipe_makes_the_values_it_is_known_by(key, shape, first, total):
    value = golden_tensor(key, shape)
    assert (value.shape, value.dtype) == (shape, np.float32)
    np.testing.assert_allclose(value.ravel()[:3], first, atol=5e-8)  # as printed
    assert value.sum(dtype=np.float64) == pytest.approx(total, abs=1e-5)


def test_the_golden_exposures_are_the_values_they_are_known_by():
    drawn = golden_inputs(6, 48, 40)
    first = [x.ravel()[:3] for x in drawn]
    printed = [
        (0.9959682, 0.1520719, 0.3994678),
        (0.2941749, 0.8497928, 0.1737925),
        (0.0878324, 0.8838739, 0.8783718),
    ]
    np.testing.assert_allclose(first, printed, atol=5e-8)
    sums = [x.sum(dtype=np.float64) for x in drawn]
    np.testing.assert_allclose(sums, (5707.3756, 5767.5052, 5766.3084), atol=1e-4)


@pytest.mark.parametrize("name", GOLDENS)
def test_it_is_the_network_that_wrote_the_goldens(name):
    check_golden(AHDRNetwork(**golden_config(name)), name)


def test_a_golden_tells_a_dense_block_without_dilation():
    network = AHDRNetwork(**golden_config(GOLDENS[1]))
    for block in (network.RDB1, network.RDB2, network.RDB3):
        for layer in block.dense_layers:
            layer.conv.dilation = layer.conv.padding = (1, 1)
    with pytest.raises(AssertionError, match="Mismatched elements"):
        check_golden(network, GOLDENS[1])


@pytest.mark.gpu
@pytest.mark.parametrize("name", GOLDENS)
def test_a_gpu_without_tf32_agrees(name):
    with torch.backends.cudnn.flags(allow_tf32=False):
        check_golden(AHDRNetwork(**golden_config(name)), name, device="cuda")


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


def test_gradients_reach_every_layer_in_use_and_no_other():
    network = golden_network(AHDRNetwork(features=16, dense_layers=3, growth=8))
    network(*exposures(1, 12, 9)).sum().backward()
    idle = {name.split(".")[0] for name, p in network.named_parameters() if p.grad is None}
    assert idle == set(ASLEEP)
    assert all(p.grad is None or p.grad.abs().max() > 0 for p in network.parameters())


@pytest.mark.parametrize("size", [(8, 8), (9, 8), (13, 31)])
def test_any_size_keeps_its_size_and_stays_between_black_and_white(network, size):
    fused = network(*exposures(2, *size))
    assert fused.shape == (2, 3, *size)
    assert fused.min() > 0
    assert fused.max() < 1


def test_a_batch_of_two_is_two_batches_of_one(network):
    both = exposures(2, 16, 24)
    with torch.inference_mode():
        singly = torch.cat([network(*(x[i : i + 1] for x in both)) for i in range(2)])
        # Another batch may be summed in another order: some float32 roundings.
        torch.testing.assert_close(network(*both), singly, rtol=0, atol=5e-6)


def test_inference_repeats_itself_and_leaves_the_exposures_alone(network):
    stack = exposures(1, 16, 24)
    before = copy.deepcopy(stack)
    with torch.inference_mode():
        assert torch.equal(network(*stack), network(*stack))
    assert all(torch.equal(now, then) for now, then in zip(stack, before, strict=True))


def test_maps_that_grow_in_place_are_the_concatenated_maps(network):
    stack = exposures(1, 16, 24)
    with torch.inference_mode():
        in_place = network(*stack)
    assert torch.equal(in_place, network(*stack).detach())
    last = [x.to(memory_format=torch.channels_last) for x in stack]
    with torch.inference_mode():
        # Channels last is summed in another order: some float32 roundings.
        torch.testing.assert_close(network(*last), in_place, rtol=0, atol=5e-6)


def test_inference_holds_no_more_maps_than_the_last_block_needs():
    # Z_2, F_1, F_2; the block's 64 + 6 * 32 maps; F_3 and the product it is added up from.
    assert peak_maps(AHDRNetwork(), 6) == 3 * 64 + 256 + 64
