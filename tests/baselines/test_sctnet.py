"""SCTNet: the authors' network, in their names, at the cost that was published."""

from __future__ import annotations

import pytest
from torch import nn

from baselines.sctnet import ChannelAttention, SCTNetwork
from baselines.window_attention import WindowBlock
from tests.baselines.golden import check_golden, flops, golden_config, peak_maps

GOLDEN = "sctnet_6ch_48x40"


def swapped_channel_blocks(network):
    for low, high in zip(network.channel_layers_lm, network.channel_layers_rm, strict=True):
        low.forward, high.forward = high.forward, low.forward


def no_temperature(network):
    def cool(layer, _inputs):
        layer.temperature.data.fill_(1)

    for layer in network.modules():
        if isinstance(layer, ChannelAttention):
            layer.register_forward_pre_hook(cool)


def mirrored_offsets(network):
    for layer in network.modules():
        if isinstance(layer, WindowBlock):
            layer.attn.relative_position = layer.attn.relative_position.T


@pytest.mark.parametrize(
    "mistake", [swapped_channel_blocks, no_temperature, mirrored_offsets], ids=lambda m: m.__name__
)
def test_the_golden_tells_a_mistake(mistake):
    network = SCTNetwork(**golden_config(GOLDEN))
    mistake(network)
    with pytest.raises(AssertionError, match="Mismatched elements"):
        check_golden(network, GOLDEN)


@pytest.mark.parametrize("channels", [6, 3])
def test_its_parameters_carry_the_authors_names_and_shapes(channels):
    weights = {
        **dict.fromkeys(("conv1", "conv2", "conv3"), (20, channels, 3, 3)),
        "conv_end": (60, 20, 3, 3),
        **dict.fromkeys(("conv_first.fc1", "conv_first.fc2"), (60, 60)),
        **dict.fromkeys(("patch_embed.norm", "norm"), (60,)),
        "conv_after_body": (60, 60, 3, 3),
        "upsample.0": (3, 60, 3, 3),
    }
    others = {}
    for stage in range(4):
        weights[f"layers.{stage}.conv"] = (60, 60, 3, 3)
        weights |= dict.fromkeys((f"mlps.{stage}.fc1", f"mlps.{stage}.fc2"), (60, 60))
        for index in range(6):
            block = f"layers.{stage}.residual_group.blocks.{index}."
            weights |= {
                **dict.fromkeys((block + "norm1", block + "norm2"), (60,)),
                block + "attn.qkv": (180, 60),
                block + "attn.proj": (60, 60),
                block + "mlp.fc1": (120, 60),
                block + "mlp.fc2": (60, 120),
            }
            others[block + "attn.relative_position_bias_table"] = (225, 6)
        for side in ("lm", "rm"):
            block = f"channel_layers_{side}.{stage}."
            norms = ("norm1_x.body", "norm1_y.body", "norm2")
            weights |= dict.fromkeys((block + norm for norm in norms), (20,))
            weights |= {block + "ffn.fc1": (80, 20), block + "ffn.fc2": (20, 80)}
            others[block + "attn.temperature"] = (4, 1, 1)
            convolutions = ("q", "k", "v", "project_out")
            others |= {block + f"attn.{name}.weight": (20, 20, 1, 1) for name in convolutions}
    expected = {f"{layer}.weight": shape for layer, shape in weights.items()}
    expected |= {f"{layer}.bias": shape[:1] for layer, shape in weights.items()}
    state = SCTNetwork(channels).state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == expected | others


@pytest.mark.parametrize(
    ("channels", "parameters", "flop_per_pixel"),
    [(6, 994_555, 2_258_360), (3, 992_935, 2_255_120)],
)
def test_it_costs_what_was_published(channels, parameters, flop_per_pixel):
    network = SCTNetwork(channels)
    counts = {name: value.numel() for name, value in network.named_parameters()}
    assert len(counts) == 476
    assert sum(counts.values()) == parameters
    # What Table 1 prints, in M, leaves out tables, temperatures and norms written by hand.
    unseen = ("bias_table", "temperature", ".body.weight", ".body.bias")
    assert (
        parameters - sum(n for name, n in counts.items() if name.endswith(unseen))
        == {
            6: 961_483,
            3: 959_863,
        }[channels]
    )
    assert flops(network, channels, 64, 40) == 64 * 40 * flop_per_pixel


def test_table_1_prints_twice_what_thop_counts_at_200_squared():
    # Convolutions and linear layers as above, less the attention products that thop does not see;
    # norms 4 an element, softmax 3n - 1 a row.
    pixels = 200 * 200
    norms = [m for m in SCTNetwork().modules() if isinstance(m, nn.LayerNorm)]
    products = 24 * pixels * 64 * 60 * 2 + 8 * pixels * 20 * 5 * 2
    counted = pixels * 2_258_360 // 2 - products
    counted += sum(4 * norm.normalized_shape[0] for norm in norms) * pixels
    counted += 24 * pixels * 6 * (3 * 64 - 1)
    assert 2 * counted / 1e9 == pytest.approx(78.6723, abs=5e-5)


def test_inference_holds_six_features_maps_at_most():
    # The exposures' own features, shortcut, tokens in, normalised, out; the rest is the raw
    # reference and one portion of windows.
    network = SCTNetwork(depths=(2,), num_heads=(6,)).eval()
    assert peak_maps(network, 6, (1088, 1920)) < 6 * 60
