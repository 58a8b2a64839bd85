"""Caches on disk: what was saved comes back, and what is damaged or another's does not."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from dmef_bench.checkpoint import state_digest
from dmef_bench.errors import CheckpointError, DmefError, UnavailableError, UsageError
from ipl.attention_cache import AttentionCache
from ipl.network import IPLConfig, IPLNetwork

SMALL = dataclasses.replace(IPLConfig.tiny(), blocks=2, init="torch")


def network(seed: int = 21, **changes: object) -> IPLNetwork:
    torch.manual_seed(seed)
    return IPLNetwork(dataclasses.replace(SMALL, **changes)).eval().requires_grad_(False)


def exposures(seed: int, size: tuple[int, int] = (64, 128)) -> Tensor:
    return torch.rand(3, 1, 3, *size, generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
def fused(net: IPLNetwork, seed: int) -> Tensor:
    return net(*exposures(seed))


def filled(net: IPLNetwork, policy: str = "position", **options: object) -> AttentionCache:
    net.cache = AttentionCache(policy, **options)
    with net.cache.filling():
        fused(net, 1)
    return net.cache


def rewritten(path: Path, tensors: dict | None = None, **metadata: str) -> Path:
    """The file with other tensors or metadata."""
    with safe_open(path, framework="pt") as file:
        told = file.metadata()
    save_file({**load_file(path), **(tensors or {})}, path, {**told, **metadata})
    return path


@pytest.fixture
def saved(tmp_path) -> Path:
    filled(network()).save(tmp_path / "a.cache")
    return tmp_path / "a.cache"


SAVED = [
    ("position", {}, {}),
    ("position", {"quant": "none"}, {}),
    ("position", {"scales": "channel"}, {}),
    ("position", {"what": "weights_per_dim", "quant": "none"}, {"lfe": "eq3", "dims": "CH"}),
    ("position", {"what": "lfe", "scales": "channel"}, {"lfe": "hybrid"}),
    ("position", {"what": "product"}, {}),
    ("position", {"what": "product"}, {"dim": 4, "hidden": None, "grid": None}),
    ("position", {"what": "product", "quant": "none"}, {"drtm": False}),
    ("pinned", {}, {}),
    ("pinned", {"quant": "none"}, {"lfe": "eq3"}),
]


@pytest.mark.parametrize(("policy", "options", "changes"), SAVED, ids=str)
def test_what_was_saved_comes_back(policy: str, options: dict, changes: dict, tmp_path) -> None:
    net = network(**changes)
    before = filled(net, policy, **options)
    held = before.stats.bytes
    before.save(tmp_path / "kept.cache")
    expected = fused(net, 2)
    # In another process, of which only the weights are the same.
    other = network(**changes)
    other.cache = AttentionCache(policy, **options)
    other.cache.load(tmp_path / "kept.cache", other)
    assert other.cache.stats.bytes == held
    assert torch.equal(fused(other, 2), expected)
    assert other.cache.sources == before.sources
    assert [path.name for path in tmp_path.iterdir()] == ["kept.cache"]


def test_other_precision_of_the_network_is_kept_apart(saved, tmp_path) -> None:
    net = network().bfloat16()
    cache = filled(net, quant="none")
    cache.save(tmp_path / "half.cache")
    cache.load(tmp_path / "half.cache", net)
    assert fused(net, 2).isfinite().all()
    with pytest.raises(CheckpointError, match=r"dtype 'torch.float32'; here it is 'torch.bfloat16"):
        AttentionCache("position").load(saved, net)


def test_several_sizes_lie_in_one_file(tmp_path) -> None:
    net = network()
    net.cache = cache = AttentionCache("position")
    with torch.inference_mode(), cache.filling():
        for size in [(64, 64), (64, 128), (128, 64)]:
            net(*exposures(1, size))
    held = cache.stats.bytes
    cache.save(tmp_path / "sizes")
    cache.load(tmp_path / "sizes", net)
    assert cache.stats.bytes == held


def test_blocks_that_found_no_room_are_lacking_in_the_file_too(tmp_path) -> None:
    layer = 64 * 16 * 32 + 8
    net = network()
    filled(net, max_bytes=layer).save(tmp_path / "one")
    net.cache = AttentionCache("position")
    net.cache.load(tmp_path / "one", net)
    fused(net, 2)
    assert (net.cache.stats.hits, net.cache.stats.misses) == (1, 1)


def test_the_header_says_whose_attention_it_is(saved) -> None:
    with safe_open(saved, framework="pt") as file:
        told = file.metadata()
    assert told["format"] == "ipl-cache/1"
    assert IPLConfig.from_json(told["config"]) == SMALL
    assert told["weights_digest"] == state_digest(network().state_dict())
    assert json.loads(told["sizes"]) == [[16, 32]]
    assert [len(source) for source in json.loads(told["sources"])] == [64]
    assert (told["policy"], told["what"], told["quant"]) == ("position", "weights", "uint8")


# --- another's --------------------------------------------------------------------------------


def test_a_cache_of_other_weights_is_refused_and_both_are_named(saved) -> None:
    other = network(seed=22)
    mine, theirs = (state_digest(net.state_dict()) for net in (other, network()))
    with pytest.raises(CheckpointError, match=f"weights_digest '{theirs}'; here it is '{mine}'"):
        AttentionCache("position").load(saved, other)


@pytest.mark.parametrize(
    ("options", "changes", "message"),
    [
        ({"what": "product"}, {}, "what 'weights'; here it is 'product'"),
        ({"quant": "none"}, {}, "quant 'uint8'; here it is 'none'"),
        ({"scales": "channel"}, {}, "scales 'tensor'; here it is 'channel'"),
        ({}, {"pad": "reflect"}, "config .*replicate.*; here it is .*reflect"),
    ],
)
def test_a_cache_of_another_kind_is_refused_and_both_are_named(
    options: dict, changes: dict, message: str, saved
) -> None:
    with pytest.raises(CheckpointError, match=message):
        AttentionCache("position", **options).load(saved, network(**changes))


def test_a_refused_file_leaves_the_cache_as_it_was(saved, tmp_path) -> None:
    net = network(seed=22)
    cache = filled(net)
    expected = fused(net, 2)
    with pytest.raises(CheckpointError):
        cache.load(saved, net)
    assert torch.equal(fused(net, 2), expected)


def test_other_formats_are_refused(tmp_path) -> None:
    net = network()
    save_file(net.state_dict(), tmp_path / "weights")
    with pytest.raises(CheckpointError, match="format None; here it is 'ipl-cache/1'"):
        AttentionCache("position").load(tmp_path / "weights", net)
    with pytest.raises(UnavailableError, match="does not exist"):
        AttentionCache("position").load(tmp_path / "nothing", net)
    with pytest.raises(UnavailableError, match="does not exist"):
        AttentionCache("position").load(tmp_path, net)


# --- damaged, or worse ------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0, 0.001, 0.02, 0.5, 0.999])
def test_a_cut_file_is_refused(saved, share: float) -> None:
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CheckpointError, match="not whole as safetensors"):
        AttentionCache("position").load(saved, network())


def test_flipped_bytes_are_refused_or_harmless(saved) -> None:
    whole, net = saved.read_bytes(), network()
    header = int.from_bytes(whole[:8], "little") + 8
    generator = torch.Generator().manual_seed(7)
    refused = 0
    for position in torch.randint(header, (60,), generator=generator).tolist():
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(torch.randint(8, (), generator=generator))
        saved.write_bytes(damaged)
        net.cache = AttentionCache("position")
        try:
            net.cache.load(saved, net)
        except DmefError:
            refused += 1
            continue
        assert fused(net, 2).isfinite().all()
    # All but those in the digits of a source.
    assert refused > 30


NAME = "attention.0.16.32.sum"


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({NAME: torch.zeros(1, 64, 16, 31, dtype=torch.uint8)}, r"is U8 \(1, 64, 16, 31\) instead"),
        ({NAME: torch.zeros(1, 64, 16, 32)}, r"is F32 \(1, 64, 16, 32\) instead of U8"),
        ({f"{NAME}.scale": torch.zeros(2)}, r"scale is F32 \(2,\) instead of F32 \(\)"),
        ({f"{NAME}.scale": torch.tensor(torch.nan)}, "reaches from .* to nan"),
        ({f"{NAME}.scale": torch.tensor(-1 / 85)}, "reaches from"),
        ({f"{NAME}.scale": torch.tensor(0.0)}, "reaches from 0 to 0"),
        (
            {f"{NAME}.scale": torch.tensor(1e30)},
            r"to 2.55e\+32, and attention lies between 0 and 3",
        ),
        ({f"{NAME}.zero_point": torch.tensor(3, dtype=torch.int32)}, "reaches from -0.0352941"),
        ({f"{NAME}.zero_point": torch.tensor(-(2**31), dtype=torch.int32)}, "reaches from"),
        ({"attention.2.16.32.sum": torch.zeros(1)}, "holds the unexpected attention.2.16.32.sum"),
    ],
    ids=range(10),
)
def test_tensors_that_cannot_be_are_refused(saved, tensors: dict, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        AttentionCache("position").load(rewritten(saved, tensors), network())


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -0.1, 3.1])
def test_weights_that_cannot_be_are_refused(bad: float, tmp_path) -> None:
    net = network()
    filled(net, quant="none").save(tmp_path / "a")
    weights = load_file(tmp_path / "a")[NAME]
    weights[0, 1, 2, 3] = bad
    with pytest.raises(CheckpointError, match=r"attention lies between 0 and 3\. The file is dam"):
        AttentionCache("position", quant="none").load(
            rewritten(tmp_path / "a", {NAME: weights}), net
        )


def test_a_lacking_part_is_refused(tmp_path) -> None:
    net = network(lfe="eq3")
    filled(net, what="weights_per_dim").save(tmp_path / "a")
    with safe_open(tmp_path / "a", framework="pt") as file:
        told = file.metadata()
    tensors = load_file(tmp_path / "a")
    del tensors["attention.1.16.32.W.scale"], tensors["attention.1.16.32.W.zero_point"]
    save_file(tensors, tmp_path / "a", told)
    with pytest.raises(CheckpointError, match=r"lacks attention.1.16.32.W.scale, .* \(2 in all\)"):
        AttentionCache("position", what="weights_per_dim").load(tmp_path / "a", net)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"sizes": "[[16, 32], [999999999, 16]]"}, "which no features have"),
        ({"sizes": "[[16, 33]]"}, "which no features have"),
        ({"sizes": "[[16]]"}, "which no features have"),
        ({"sizes": "[[-16, 16]]"}, "which no features have"),
        ({"sizes": "[[true, 16]]"}, "which no features have"),
        ({"sizes": json.dumps([[16, 16]] * 65)}, "which no features have"),
        ({"sizes": "[[64, 128]]"}, "holds the unexpected"),
        ({"sizes": "16"}, "sizes is '16', not a list"),
        ({"sizes": "[NaN]"}, "sizes is not JSON"),
        ({"sources": "{}"}, "sources is '{}', not a list"),
        ({"sources": '["../../etc"]'}, "names sources that are no SHA-256 digests"),
    ],
)
def test_headers_that_cannot_be_are_refused(saved, metadata: dict, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        AttentionCache("position").load(rewritten(saved, **metadata), network())


def test_a_file_larger_than_the_budget_is_refused_before_it_is_read(saved) -> None:
    layer = 64 * 16 * 32 + 8
    net = network()
    AttentionCache("position", max_bytes=2 * layer).load(saved, net)
    with pytest.raises(UsageError, match=r"holds 65,552 bytes, and the cache may take 65,551"):
        AttentionCache("position", max_bytes=2 * layer - 1).load(saved, net)


@pytest.mark.parametrize("policy", ["content", "position"])
def test_nothing_is_not_saved(policy: str, tmp_path) -> None:
    net = network()
    net.cache = AttentionCache(policy)
    fused(net, 1)
    with pytest.raises(UsageError, match="fill the cache first"):
        net.cache.save(tmp_path / "a")
    assert not list(tmp_path.iterdir())
