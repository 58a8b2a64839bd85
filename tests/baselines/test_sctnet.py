"""SCTNet: the authors' network, in their names, at the cost that was published; its windows."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from baselines.sctnet import ChannelAttention, ChannelNorm, SCTNetwork
from baselines.window_attention import (
    WindowBlock,
    frame_windows,
    plain_and_shifted,
    relative_positions,
)
from dmef_bench.errors import ImageContractError
from tests.baselines.golden import (
    check_golden,
    flops,
    golden_config,
    golden_network,
    peak_maps,
)

GOLDENS = ("sctnet_6ch_48x40", "sctnet_6ch_44x36")
CPU = torch.device("cpu")


def exposures(count: int, height: int, width: int) -> list[torch.Tensor]:
    drawn = torch.Generator().manual_seed(2023)
    return [torch.rand(count, 6, height, width, generator=drawn) for _ in range(3)]


@pytest.fixture(scope="module")
def network() -> SCTNetwork:
    """Two stages of two blocks: with and without shift, before and after an exchange."""
    return golden_network(SCTNetwork(depths=(2, 2), num_heads=(6, 6)))


@pytest.fixture(scope="module")
def block() -> WindowBlock:
    return golden_network(WindowBlock(12, 3, 8, mlp_ratio=2, drop_path=0.5))


@pytest.mark.parametrize("name", GOLDENS)
def test_it_is_the_network_that_wrote_the_goldens(name):
    check_golden(SCTNetwork(**golden_config(name)), name)


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
    network = SCTNetwork(**golden_config(GOLDENS[0]))
    mistake(network)
    with pytest.raises(AssertionError, match="Mismatched elements"):
        check_golden(network, GOLDENS[0])


@pytest.mark.gpu
@pytest.mark.parametrize("name", GOLDENS)
def test_a_gpu_without_tf32_agrees(name):
    with torch.backends.cudnn.flags(allow_tf32=False):
        check_golden(SCTNetwork(**golden_config(name)), name, device="cuda")


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


def test_norms_add_as_much_as_the_authors_to_the_variance():
    # The goldens do not tell 1e-6 from 1e-5.
    norms = [m for m in SCTNetwork().modules() if isinstance(m, (nn.LayerNorm, ChannelNorm))]
    assert {norm.eps for norm in norms} == {1e-5}
    assert len(norms) == 2 + 24 * 2 + 8 * 3


@pytest.mark.parametrize("size", [(8, 8), (8, 17), (23, 9), (31, 40)])
def test_any_size_keeps_its_size_and_stays_between_black_and_white(network, size):
    with torch.inference_mode():
        fused = network(*exposures(2, *size))
    assert fused.shape == (2, 3, *size)
    assert fused.min() > 0
    assert fused.max() < 1


def test_a_picture_smaller_than_a_window_is_refused(network):
    with pytest.raises(ImageContractError, match="SCTNet got a picture of 7x40; it takes 8x8"):
        network(*exposures(1, 40, 7))


def test_the_picture_goes_on_by_reflection(network):
    stack = exposures(1, 21, 18)
    reflected = [functional.pad(x, (0, 6, 0, 3), mode="reflect") for x in stack]
    with torch.inference_mode():
        assert torch.equal(network(*stack), network(*reflected)[..., :21, :18])


def test_what_is_far_matters_through_the_correlations_of_channels(network):
    stack = exposures(1, 64, 64)
    changed = [x.clone() for x in stack]
    for x in changed:
        x[..., 40:, 40:] *= 0.1
    with torch.inference_mode():
        difference = (network(*stack) - network(*changed))[..., :8, :8].abs()
    assert difference.min() > 0


def test_a_batch_of_two_is_two_batches_of_one(network):
    both = exposures(2, 16, 24)
    with torch.inference_mode():
        singly = torch.cat([network(*(x[i : i + 1] for x in both)) for i in range(2)])
        # Another batch may be summed in another order: some float32 roundings.
        torch.testing.assert_close(network(*both), singly, rtol=0, atol=5e-6)


def test_inference_in_portions_is_the_training_pass(network):
    # More than 8192 tokens: several portions of inner windows, and the borders'.
    stack = exposures(2, 64, 104)
    with torch.inference_mode():
        portioned = network(*stack)
    torch.testing.assert_close(network(*stack).detach(), portioned, rtol=0, atol=5e-6)


def test_inference_repeats_itself_and_leaves_the_exposures_alone(network):
    stack = exposures(1, 16, 24)
    before = copy.deepcopy(stack)
    with torch.inference_mode():
        assert torch.equal(network(*stack), network(*stack))
    assert all(torch.equal(now, then) for now, then in zip(stack, before, strict=True))


def test_channels_last_and_bfloat16_are_the_same_network(network):
    stack = exposures(1, 20, 24)
    last = [x.to(memory_format=torch.channels_last) for x in stack]
    short = [x.bfloat16() for x in stack]
    with torch.inference_mode():
        fused = network(*stack)
        torch.testing.assert_close(network(*last), fused, rtol=0, atol=5e-6)
        bfloat16 = copy.deepcopy(network).bfloat16()(*short)
        # Eight bits of precision through a dozen layers.
        torch.testing.assert_close(bfloat16.float(), fused, rtol=0, atol=0.1)


def test_gradients_reach_every_parameter(network):
    trained = copy.deepcopy(network)
    trained(*exposures(1, 24, 16)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in trained.parameters())


def test_training_ends_at_a_stochastic_depth_of_a_tenth():
    rates = [m.drop_path for m in SCTNetwork().modules() if isinstance(m, WindowBlock)]
    assert rates == pytest.approx([0.1 * index / 23 for index in range(24)])


def test_inference_holds_six_features_maps_at_most():
    # The exposures' own features, shortcut, tokens in, normalised, out; the rest is the raw
    # reference and one portion of windows.
    network = SCTNetwork(depths=(2,), num_heads=(6,)).eval()
    assert peak_maps(network, 6, (1088, 1920)) < 6 * 60


# What it shares with HDR-Transformer: baselines/window_attention.py.


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
