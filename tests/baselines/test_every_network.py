"""What holds of the four networks of others: goldens, sizes, batches, precisions, gradients."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest
import torch
from torch import nn
from torch.nn import functional

from baselines.ahdrnet import AHDRNetwork
from baselines.fshdr import BridgeNet
from baselines.hdr_transformer import ContextAwareBlock, HDRTransformerNetwork
from baselines.sctnet import ChannelNorm, SCTNetwork
from baselines.window_attention import WindowBlock
from dmef_bench.errors import ImageContractError
from tests.baselines.golden import check_golden, golden_config, golden_network

ROUNDING = {"rtol": 0, "atol": 5e-6}
"""What other orders of summing in float32 come to."""


@dataclass(frozen=True)
class Case:
    """A network, and a slim one of its kind: what is tested with it holds at any width."""

    build: Callable[..., nn.Module]
    slim: Mapping[str, object]
    goldens: tuple[str, ...]
    idle: frozenset[str] = field(default_factory=frozenset)
    """Layers that every checkpoint holds and no picture meets."""


CASES = {
    "ahdrnet": Case(
        AHDRNetwork,
        {"features": 16, "dense_layers": 3, "growth": 8},
        ("ahdrnet_6ch_6layer_48x40", "ahdrnet_3ch_5layer_48x40"),
        idle=frozenset({"attConv1", "attConv3"}),
    ),
    "fshdr": Case(BridgeNet, {"features": 16}, ("fshdr_6ch_48x40",)),
    # One group of three blocks: with and without shift, first and last.
    "hdr-transformer": Case(
        HDRTransformerNetwork,
        {"depths": (3,), "num_heads": (6,)},
        ("hdr_transformer_6ch_48x40", "hdr_transformer_6ch_44x36"),
    ),
    # Two stages of two blocks: with and without shift, before and after an exchange.
    "sctnet": Case(
        SCTNetwork,
        {"depths": (2, 2), "num_heads": (6, 6)},
        ("sctnet_6ch_48x40", "sctnet_6ch_44x36"),
    ),
}
TRANSFORMERS = ("hdr-transformer", "sctnet")
CONVOLUTIONAL = ("ahdrnet", "fshdr")
GOLDENS = [(name, golden) for name, case in CASES.items() for golden in case.goldens]

every_network = pytest.mark.parametrize("name", CASES)
transformers = pytest.mark.parametrize("name", TRANSFORMERS)
convolutional = pytest.mark.parametrize("name", CONVOLUTIONAL)


def exposures(count: int, height: int, width: int) -> list[torch.Tensor]:
    drawn = torch.Generator().manual_seed(2022)
    return [torch.rand(count, 6, height, width, generator=drawn) for _ in range(3)]


@pytest.fixture(scope="module")
def networks() -> dict[str, nn.Module]:
    return {name: golden_network(case.build(**case.slim)) for name, case in CASES.items()}


@pytest.fixture
def network(name, networks) -> nn.Module:
    return networks[name]


# ---- all four ------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "golden"), GOLDENS)
def test_it_is_the_network_that_wrote_the_golden(name, golden):
    check_golden(CASES[name].build(**golden_config(golden)), golden)


@pytest.mark.gpu
@pytest.mark.parametrize(("name", "golden"), GOLDENS)
def test_a_gpu_without_tf32_agrees(name, golden):
    with torch.backends.cudnn.flags(allow_tf32=False):
        check_golden(CASES[name].build(**golden_config(golden)), golden, device="cuda")


@every_network
@pytest.mark.parametrize("size", [(8, 8), (8, 17), (23, 9), (31, 40)])
def test_any_size_keeps_its_size_and_stays_between_black_and_white(network, size):
    with torch.inference_mode():
        fused = network(*exposures(2, *size))
    assert fused.shape == (2, 3, *size)
    assert fused.min() > 0
    assert fused.max() < 1


@every_network
def test_a_batch_of_two_is_two_batches_of_one(network):
    both = exposures(2, 16, 24)
    with torch.inference_mode():
        singly = torch.cat([network(*(x[i : i + 1] for x in both)) for i in range(2)])
        torch.testing.assert_close(network(*both), singly, **ROUNDING)


@every_network
def test_inference_repeats_itself_and_leaves_the_exposures_alone(network):
    stack = exposures(1, 16, 24)
    before = copy.deepcopy(stack)
    with torch.inference_mode():
        assert torch.equal(network(*stack), network(*stack))
    assert all(torch.equal(now, then) for now, then in zip(stack, before, strict=True))


@every_network
def test_channels_last_and_bfloat16_are_the_same_network(network):
    stack = exposures(1, 20, 24)
    last = [x.to(memory_format=torch.channels_last) for x in stack]
    short = [x.bfloat16() for x in stack]
    with torch.inference_mode():
        fused = network(*stack)
        torch.testing.assert_close(network(*last), fused, **ROUNDING)
        bfloat16 = copy.deepcopy(network).bfloat16()(*short)
        # Eight bits of precision through a dozen layers.
        torch.testing.assert_close(bfloat16.float(), fused, rtol=0, atol=0.1)


@every_network
def test_gradients_reach_every_layer_in_use_and_no_other(name, network):
    trained = copy.deepcopy(network)
    trained(*exposures(1, 24, 16)).sum().backward()
    weights = dict(trained.named_parameters())
    idle = {key.split(".")[0] for key, weight in weights.items() if weight.grad is None}
    assert idle == CASES[name].idle
    assert all(w.grad is None or w.grad.abs().max() > 0 for w in weights.values())


# ---- those of convolutions alone -----------------------------------------------------------


@convolutional
def test_maps_that_grow_in_place_are_the_concatenated_maps(network):
    stack = exposures(1, 16, 24)
    with torch.inference_mode():
        in_place = network(*stack)
    assert torch.equal(in_place, network(*stack).detach())


# ---- those of windows ----------------------------------------------------------------------


@transformers
def test_a_picture_smaller_than_a_window_is_refused(network):
    with pytest.raises(ImageContractError, match="got a picture of 40x7; it takes 8x8"):
        network(*exposures(1, 7, 40))


@transformers
def test_the_picture_goes_on_by_reflection(network):
    stack = exposures(1, 21, 18)
    reflected = [functional.pad(x, (0, 6, 0, 3), mode="reflect") for x in stack]
    with torch.inference_mode():
        assert torch.equal(network(*stack), network(*reflected)[..., :21, :18])


@transformers
def test_what_is_far_matters_through_gates_and_correlations_of_channels(network):
    stack = exposures(1, 64, 64)
    changed = [x.clone() for x in stack]
    for x in changed:
        x[..., 40:, 40:] *= 0.1
    with torch.inference_mode():
        difference = (network(*stack) - network(*changed))[..., :8, :8].abs()
    assert difference.min() > 0


@transformers
def test_inference_in_portions_is_the_training_pass(network):
    # More than 8192 tokens: several portions of inner windows, and the borders'.
    stack = exposures(2, 64, 104)
    with torch.inference_mode():
        portioned = network(*stack)
    torch.testing.assert_close(network(*stack).detach(), portioned, **ROUNDING)


@pytest.mark.parametrize(("name", "count"), [("hdr-transformer", 38), ("sctnet", 2 + 48 + 24)])
def test_norms_add_as_much_as_the_authors_to_the_variance(name, count):
    # The goldens do not tell 1e-6 from 1e-5.
    layers = CASES[name].build().modules()
    norms = [layer for layer in layers if isinstance(layer, (nn.LayerNorm, ChannelNorm))]
    assert {norm.eps for norm in norms} == {1e-5}
    assert len(norms) == count


@pytest.mark.parametrize(("name", "count"), [("hdr-transformer", 18), ("sctnet", 24)])
def test_training_ends_at_a_stochastic_depth_of_a_tenth(name, count):
    layers = CASES[name].build().modules()
    blocks = [layer for layer in layers if isinstance(layer, (WindowBlock, ContextAwareBlock))]
    rates = [block.drop_path for block in blocks]
    assert rates == pytest.approx([0.1 * index / (count - 1) for index in range(count)])
