"""HDR-Transformer: the authors' network, in their names, at the cost that was published."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from baselines.hdr_transformer import ContextAwareBlock, HDRTransformerNetwork, from_megengine
from dmef_bench.errors import UsageError
from tests.baselines.golden import check_golden, flops, golden_config, golden_network, peak_maps

GOLDEN = "hdr_transformer_6ch_48x40"
GATES = 30_240
"""FLOPs of the 18 gates, which see one pixel whatever the size."""


def tanh_gelu(network):
    for block in network.modules():
        if isinstance(block, ContextAwareBlock):
            block.mlp.forward = lambda x, mlp=block.mlp: mlp.fc2(
                functional.gelu(mlp.fc1(x), approximate="tanh")
            )


def swapped_attention(network):
    high, low = network.att_module_h, network.att_module_l
    high.forward, low.forward = low.forward, high.forward


def mirrored_offsets(network):
    for block in network.modules():
        if isinstance(block, ContextAwareBlock):
            block.attn.relative_position = block.attn.relative_position.T


def undilated(network):
    for group in network.layers:
        group.dilated_conv.dilation = group.dilated_conv.padding = (1, 1)


@pytest.mark.parametrize(
    "mistake",
    [tanh_gelu, swapped_attention, mirrored_offsets, undilated],
    ids=lambda m: m.__name__,
)
def test_the_golden_tells_a_mistake(mistake):
    network = HDRTransformerNetwork(**golden_config(GOLDEN))
    mistake(network)
    with pytest.raises(AssertionError, match="Mismatched elements"):
        check_golden(network, GOLDEN)


@pytest.mark.parametrize("channels", [6, 3])
def test_its_parameters_carry_the_authors_names_and_shapes(channels):
    weights = {
        **dict.fromkeys(("conv_f1", "conv_f2", "conv_f3"), (60, channels, 3, 3)),
        **dict.fromkeys(("att_module_l.att1", "att_module_h.att1"), (120, 120, 3, 3)),
        **dict.fromkeys(("att_module_l.att2", "att_module_h.att2"), (60, 120, 3, 3)),
        "conv_first": (60, 180, 3, 3),
        **dict.fromkeys(("patch_embed.norm", "norm"), (60,)),
        **{f"layers.{group}.dilated_conv": (60, 60, 3, 3) for group in range(3)},
        "conv_after_body": (60, 60, 3, 3),
        "conv_last": (3, 60, 3, 3),
    }
    others = {}
    for group in range(3):
        for index in range(6):
            block = f"layers.{group}.residual_group.blocks.{index}."
            weights |= {
                **dict.fromkeys((block + "norm1", block + "norm2"), (60,)),
                block + "attn.qkv": (180, 60),
                block + "attn.proj": (60, 60),
                block + "mlp.fc1": (120, 60),
                block + "mlp.fc2": (60, 120),
                block + "lce.conv.0": (7, 60, 1, 1),
                block + "lce.conv.1": (7, 7, 3, 3),
                block + "lce.conv.2": (60, 7, 1, 1),
            }
            others |= {
                block + "attn.relative_position_bias_table": (225, 6),
                block + "lce.fc.0.weight": (7, 60),
                block + "lce.fc.2.weight": (60, 7),
            }
    expected = {f"{layer}.weight": shape for layer, shape in weights.items()}
    expected |= {f"{layer}.bias": shape[:1] for layer, shape in weights.items()}
    state = HDRTransformerNetwork(channels).state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == expected | others


@pytest.mark.parametrize(
    ("channels", "parameters", "flop_per_pixel"),
    [(6, 1_222_113, 2_613_276), (3, 1_217_253, 2_603_556)],
)
def test_it_costs_what_was_published(channels, parameters, flop_per_pixel):
    network = HDRTransformerNetwork(channels)
    counts = {name: value.numel() for name, value in network.named_parameters()}
    assert len(counts) == 408
    assert sum(counts.values()) == parameters
    # What Table 1 prints, in M, leaves the tables out.
    tables = sum(n for name, n in counts.items() if name.endswith("bias_table"))
    assert parameters - tables == {6: 1_197_813, 3: 1_192_953}[channels]
    assert flops(network, channels, 64, 40) == 64 * 40 * flop_per_pixel + GATES


def test_table_1_prints_twice_what_thop_counts_at_200_squared():
    # Convolutions and linear layers as above, less the attention products that thop does not see;
    # norms 4 an element, softmax 3n - 1 a row, the gates' pooling area + 1 an output.
    pixels = 200 * 200
    norms = sum(isinstance(module, nn.LayerNorm) for module in HDRTransformerNetwork().modules())
    counted = (pixels * 2_613_276 + GATES) // 2 - 18 * pixels * 64 * 60 * 2
    counted += norms * 4 * 60 * pixels + 18 * pixels * 6 * (3 * 64 - 1) + 18 * 60 * (pixels + 1)
    assert 2 * counted / 1e9 == pytest.approx(95.9381, abs=5e-5)


def test_inference_holds_seven_features_maps_at_most():
    # Reference and shallow features, shortcut, tokens in, normalised, out, local context; the
    # rest is one portion of windows and the squeezed channels.
    network = HDRTransformerNetwork(depths=(2,), num_heads=(6,)).eval()
    assert peak_maps(network, 6, (1088, 1920)) < 7 * 60 + 15


@pytest.fixture(scope="module")
def network() -> HDRTransformerNetwork:
    """One group of two blocks, of which one is shifted."""
    return golden_network(HDRTransformerNetwork(depths=(2,), num_heads=(6,)))


def megengine_state(network: HDRTransformerNetwork) -> dict[str, object]:
    """The state as MegEngine would hold it: its names, its layouts, numpy arrays."""
    kept = {}
    for name, value in network.state_dict().items():
        layer, _, kind = name.rpartition(".")
        if kind == "relative_position_bias_table":
            value = value.view(15, 15, 6).permute(1, 0, 2).reshape(225, 6)
        elif kind == "bias" and isinstance(network.get_submodule(layer), nn.Conv2d):
            value = value.view(1, -1, 1, 1)
        kept[name.replace("lce.conv.", "lce.conv_block.")] = value.numpy()
    return kept


def test_a_state_of_megengine_comes_back(network):
    state = network.state_dict()
    kept = megengine_state(network)
    assert set(kept) != set(state)
    restored = from_megengine(kept)
    assert list(restored) == list(state)
    assert all(torch.equal(restored[name], value) for name, value in state.items())
    assert not network.load_state_dict(restored, strict=True).missing_keys


@pytest.mark.parametrize("shape", [(224, 6), (225,), (0, 6)])
def test_a_table_of_no_square_window_is_refused(shape):
    name = "layers.0.residual_group.blocks.0.attn.relative_position_bias_table"
    with pytest.raises(UsageError, match="square number of rows"):
        from_megengine({name: torch.zeros(shape)})
