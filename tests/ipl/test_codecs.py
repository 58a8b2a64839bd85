"""Codecs: their size, what they keep, and that they learn it."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from dmef_bench.errors import UsageError
from ipl.attention_cache import AttentionCache
from ipl.codecs import CnnChannelCodec, CnnWidthCodec, train_codecs
from ipl.network import IPLConfig, IPLNetwork

SMALL = dataclasses.replace(IPLConfig.tiny(), blocks=2, init="torch")


def network(**changes: object) -> IPLNetwork:
    torch.manual_seed(21)
    net = IPLNetwork(dataclasses.replace(SMALL, **changes)).eval().requires_grad_(False)
    for block in net.blocks:
        for parameter in block.daem.parameters():
            parameter.mul_(3)  # gates that differ from place to place
    return net


def scene(seed: int, size: tuple[int, int] = (64, 128)) -> Tensor:
    return torch.rand(3, 1, 3, *size, generator=torch.Generator().manual_seed(seed))


def gates(*shape: int) -> Tensor:
    return 3 * torch.rand(*shape, generator=torch.Generator().manual_seed(2))


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@torch.inference_mode()
def attention_of(net: IPLNetwork, given: Tensor) -> Tensor:
    """The summed weights of the first block."""
    return sum(net.blocks[0].daem.gates(net.down(net.padded(*given))).values())


def test_codecs_are_of_the_size_of_the_design() -> None:
    assert parameters(CnnWidthCodec()) == 10_480
    assert parameters(CnnChannelCodec()) == 3_649


@pytest.mark.parametrize(
    ("codec", "codes"),
    [
        (CnnWidthCodec(16), (2, 8, 6, 10)),
        (CnnWidthCodec(16, axis="W"), (2, 4, 6, 32)),  # 10 columns, filled up to 16
        (CnnWidthCodec(4, axis="W"), (2, 3, 6, 32)),
        (CnnWidthCodec(4, axis="H"), (2, 2, 32, 10)),
        (CnnChannelCodec(32), (2, 1, 6, 10)),
    ],
    ids=["C", "W", "W of 4", "H", "one channel"],
)
def test_codes_are_a_quarter_or_one_channel_and_come_back_in_shape(codec, codes: tuple) -> None:
    weights = gates(2, 32, 6, 10)
    coded = codec.encode(weights)
    assert coded.shape == codes
    back = codec.decode(coded, weights.shape)
    assert back.shape == weights.shape
    assert torch.equal(back, codec(weights).clamp(0, 3))


def test_decoded_weights_stay_in_their_range() -> None:
    for codec in (CnnWidthCodec(16, top=1.0), CnnChannelCodec(32, top=1.0)):
        for parameter in codec.parameters():
            nn.init.normal_(parameter.data, std=2.0, generator=torch.Generator().manual_seed(4))
        back = codec.decode(codec.encode(gates(1, 32, 8, 8)), torch.Size((1, 32, 8, 8)))
        assert (back.min(), back.max()) == (0, 1)


def test_a_group_knows_nothing_of_another() -> None:
    codec = CnnWidthCodec(16)
    weights = gates(1, 32, 4, 4)
    changed = weights.clone()
    changed[:, 3, 1, 2] += 1
    differs = (codec(weights) != codec(changed))[0]
    # The sixteen channels of its group, at its place.
    assert differs[:16, 1, 2].all()
    assert differs.sum() == 16


def test_groups_that_cannot_be_quartered_are_refused() -> None:
    with pytest.raises(UsageError, match="groups of 18 to a quarter"):
        CnnWidthCodec(18)


def test_codecs_learn_attention_and_one_channel_learns_less() -> None:
    net = network(blocks=1)
    weights = attention_of(net, scene(3))
    errors = {}
    for kind, steps in [("cnn_w", 0), ("cnn_w", 200), ("cnn_c", 0), ("cnn_c", 200)]:
        codec, *_ = train_codecs(net, [scene(1), scene(2)], kind, steps=steps, crops=8)
        decoded = codec.decode(codec.encode(weights), weights.shape)
        errors[kind, steps] = float((decoded - weights).abs().mean())
        assert not any(parameter.requires_grad for parameter in codec.parameters())
    # Each channel's median is the best that can be said without looking.
    median = weights.flatten(2).median(2).values[..., None, None]
    assert errors["cnn_w", 200] < 0.5 * float((median - weights).abs().mean())
    assert errors["cnn_c", 200] < 0.3 * errors["cnn_c", 0]
    assert errors["cnn_w", 200] < errors["cnn_c", 200]


def test_the_same_seed_gives_the_same_codecs_and_leaves_others_theirs() -> None:
    net = network()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, two, other = (
        train_codecs(net, [scene(1)], "cnn_w", steps=3, crops=2, seed=seed) for seed in (0, 0, 1)
    )
    assert torch.equal(torch.rand(3), expected)
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, two.state_dict()[name])
    assert not torch.equal(one[0].encoder[0].weight, other[0].encoder[0].weight)


@pytest.mark.parametrize(
    ("quant", "axis", "what", "size"),
    [
        ("cnn_w", "C", "weights", (64, 128)),
        ("cnn_w", "W", "weights_per_dim", (64, 300)),
        ("cnn_c", "C", "weights", (40, 70)),
    ],
)
@pytest.mark.parametrize("form", ["batched", "banded"])
def test_the_cache_reads_what_the_codec_makes(
    quant: str, axis: str, what: str, size: tuple, form: str
) -> None:
    net = network(blocks=1, drtm=False)
    net.form = form
    codecs = train_codecs(net, [scene(1, size)], quant, what=what, axis=axis, steps=5, crops=2)
    net.cache = AttentionCache("position", what=what, quant=quant, codecs=codecs)
    with torch.inference_mode():
        with net.cache.filling():
            net(*scene(1, size))
        ours = net(*scene(2, size))
        # The same, written out.
        first, other = (net.down(net.padded(*scene(seed, size))) for seed in (2, 1))
        parts = net.blocks[0].daem.gates(other)
        parts = parts if what == "weights_per_dim" else {"sum": sum(parts.values())}
        attention = sum(
            codecs[0].decode(codecs[0].encode(part), part.shape) for part in parts.values()
        )
        gain = net.up(first + first * attention)[:, :, : size[0], : size[1]]
    assert torch.allclose(ours, gain * scene(2, size)[1], atol=1e-5)
    stored = {"cnn_w": first.numel() if axis == "C" else 128 * first.shape[2] * 64}
    quarter, channel = stored.get(quant, 0) * len(parts), 4 * first[0, 0].numel()
    assert net.cache.stats.bytes == (quarter if quant == "cnn_w" else channel)


def test_without_scenes_or_attention_there_is_nothing_to_learn() -> None:
    with pytest.raises(UsageError, match="give scenes, and dims"):
        train_codecs(network(), [], "cnn_w")
    with pytest.raises(UsageError, match="give scenes, and dims"):
        train_codecs(network(dims=""), [scene(1)], "cnn_w")
