"""The cache: what each policy may change, what it must not, and when it holds its tongue."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from dmef_bench.errors import ImageContractError, UsageError
from ipl.attention_cache import AttentionCache, CachePolicy
from ipl.collapsed import Grid, collapses
from ipl.network import IPLConfig, IPLNetwork

SMALL = dataclasses.replace(IPLConfig.tiny(), blocks=2, init="torch")
"""Two blocks, and weights that show what identity would hide."""


def network(config: IPLConfig = SMALL, **changes: object) -> IPLNetwork:
    torch.manual_seed(21)
    net = IPLNetwork(dataclasses.replace(config, **changes)).eval().requires_grad_(False)
    # As strong as trained ones: gates far from one half, and maps that matter.
    for block in net.blocks:
        for parameter in block.parameters():
            parameter.mul_(2)
    return net


def exposures(seed: int = 8, size: tuple[int, int] = (64, 128), count: int = 1) -> Tensor:
    """(3, N, 3, H, W): low, medium and high of seeded pictures."""
    picture = torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed))
    return torch.stack([(picture * gain).clamp(max=1) for gain in (0.5, 1.0, 2.0)])


@torch.inference_mode()
def fused(net: IPLNetwork, given: Tensor) -> Tensor:
    return net(*given)


def without_cache(net: IPLNetwork, given: Tensor) -> Tensor:
    cache, net.cache = net.cache, None
    result = fused(net, given)
    net.cache = cache
    return result


def with_cache(net: IPLNetwork, policy: str, **options: object) -> AttentionCache:
    net.cache = AttentionCache(policy, **options)
    return net.cache


def filled(net: IPLNetwork, policy: str, *pictures: Tensor, **options: object) -> AttentionCache:
    cache = with_cache(net, policy, **options)
    with cache.filling():
        for given in pictures:
            fused(net, given)
    return cache


def close(ours: Tensor, theirs: Tensor, rtol: float = 1e-5) -> bool:
    """Equal up to rounding, which blocks amplify with their features: relative to the largest."""
    return float((ours - theirs).abs().max()) <= rtol * float(theirs.abs().max())


BRICKS = 4 * 1 * 2
"""Of a block, for a picture of 64x128."""


def features_of(net: IPLNetwork, given: Tensor) -> Tensor:
    """F0."""
    with torch.inference_mode():
        return net.down(net.padded(*given))


@torch.inference_mode()
def attention_of(net: IPLNetwork, given: Tensor) -> Tensor:
    """What the first block's summed weights are."""
    return sum(net.blocks[0].daem.gates(features_of(net, given)).values())


def first_block(**changes: object) -> IPLNetwork:
    """A network that is one block of attention, so that stored weights can be read off it."""
    return network(blocks=1, drtm=False, sum="final", **changes)


@torch.inference_mode()
def enhanced(net: IPLNetwork, given: Tensor) -> Tensor:
    """What the blocks make of F0, with the cache."""
    blocks = net.cache.blocks(net, net.padded(*given))
    return net.body(features_of(net, given), "batched", blocks)


# --- content: exact, and blind to what it has not seen ----------------------------------------

UNITS = [
    {"what": "weights"},
    {"what": "weights_per_dim", "lfe": "eq3"},
    {"what": "weights_per_dim", "lfe": "input", "dims": "CH"},
    {"what": "lfe", "lfe": "hybrid"},
]


def split_options(changes: dict) -> tuple[str, IPLNetwork]:
    return changes["what"], network(**{k: v for k, v in changes.items() if k != "what"})


@pytest.mark.parametrize("form", ["loop", "batched", "banded"])
@pytest.mark.parametrize("changes", UNITS, ids=str)
def test_content_as_computed_is_the_network_itself(changes: dict, form: str) -> None:
    what, net = split_options(changes)
    net.form = form
    given = exposures(count=2)
    exact = without_cache(net, given)
    cache = with_cache(net, "content", what=what, quant="none")
    for _ in range(2):
        ours = fused(net, given)
        # Bit by bit, but where dimensions are added up in another order than without the cache.
        same_order = what == "weights" and form != "loop"
        assert torch.equal(ours, exact) if same_order else close(ours, exact)
    assert cache.stats.hits == cache.stats.misses == cache.stats.writes > 0
    assert cache.stats.digest_seconds > 0
    assert cache.exactness == "exact"


@pytest.mark.parametrize("changes", UNITS, ids=str)
def test_content_in_256_levels_meets_itself_again(changes: dict) -> None:
    what, net = split_options(changes)
    cache = with_cache(net, "content", what=what)
    first = fused(net, exposures())
    assert (cache.stats.hits, cache.stats.misses) == (0, cache.stats.writes)
    assert torch.equal(fused(net, exposures()), first)
    assert cache.stats.hits == cache.stats.misses == cache.stats.writes
    assert cache.exactness == "exact up to quantisation"


def test_content_errs_by_half_a_step_in_the_first_block() -> None:
    net, given = first_block(), exposures()
    with_cache(net, "content")
    first = features_of(net, given)
    error = (enhanced(net, given) - first * attention_of(net, given)).abs()
    # Sums lie in [0, 3]: a step of 3/255, and half of it.
    assert (error <= first.abs() * (3 / 510) * (1 + 1e-4)).all()
    assert error.max() > 0


def test_content_never_hits_on_a_picture_it_has_not_seen() -> None:
    net = network()
    cache = with_cache(net, "content")
    fused(net, exposures(1))
    fused(net, exposures(2))
    assert cache.stats.hits == 0


def test_an_earlier_picture_does_not_change_a_later_one_under_content() -> None:
    net = network()
    with_cache(net, "content")
    fresh = fused(net, exposures(1))
    # Half of the second picture is the first.
    mixed = torch.cat((exposures(1)[..., :64], exposures(2)[..., 64:]), -1)
    with_cache(net, "content")
    fused(net, mixed)
    assert torch.equal(fused(net, exposures(1)), fresh)


def test_a_batch_is_looked_up_picture_by_picture() -> None:
    net = first_block()
    cache = with_cache(net, "content", quant="none")
    one, two = features_of(net, exposures(1)), features_of(net, exposures(2))
    with torch.inference_mode():
        block, *_ = cache.blocks(net, net.padded(*exposures(1)))
        alone = block(one, "batched")
        together = block(torch.cat((two, one)), "batched")
    assert torch.equal(together[1:], alone)
    assert (cache.stats.hits, cache.stats.misses) == (BRICKS, 2 * BRICKS)


# --- tolerance: content that may have moved ---------------------------------------------------


def noisy(sigma: float) -> Tensor:
    noise = torch.randn(3, 1, 3, 64, 128, generator=torch.Generator().manual_seed(5))
    return (exposures() + sigma * noise).clamp(0, 1)


@pytest.mark.parametrize("changes", UNITS[:2], ids=str)
def test_no_tolerance_is_content(changes: dict) -> None:
    what, net = split_options(changes)
    outcomes = []
    for policy in ("content", "tolerance"):
        cache = with_cache(net, policy, what=what)
        pictures = [fused(net, given) for given in (exposures(1), exposures(2), exposures(1))]
        stats = dataclasses.replace(cache.stats, digest_seconds=0)
        outcomes.append((stats, torch.stack(pictures), cache.exactness))
    (stats, pictures, label), (other_stats, others, other_label) = outcomes
    assert (stats, label) == (other_stats, other_label)
    assert torch.equal(pictures, others)


def test_less_tolerance_means_fewer_hits() -> None:
    hits = []
    for tau in (1e3, 0.3, 0.1, 0.03, 1e-3):
        net = network()
        cache = with_cache(net, "tolerance", tau=tau)
        fused(net, exposures())
        fused(net, noisy(0.05))
        hits.append(cache.stats.hits)
        assert cache.stats.hits + cache.stats.misses == 2 * 2 * BRICKS
        assert cache.exactness == "lossy: bounded by nothing proven"
    assert hits == sorted(hits, reverse=True)
    assert hits[0] > hits[-1] == 0


def test_tolerance_takes_the_attention_of_the_picture_before() -> None:
    net = first_block()
    with_cache(net, "tolerance", tau=1e3, quant="none")
    enhanced(net, exposures(1))
    expected = features_of(net, exposures(2)) * attention_of(net, exposures(1))
    assert torch.equal(enhanced(net, exposures(2)), expected)


# --- position: whatever the picture shows -----------------------------------------------------

KEPT = [
    {"what": "weights"},
    {"what": "weights_per_dim"},
    {"what": "weights_per_dim", "lfe": "eq3", "dims": "WH"},
    {"what": "weights_per_dim", "lfe": "hybrid"},
    {"what": "lfe", "lfe": "hybrid"},
]


@pytest.mark.parametrize("form", ["batched", "banded"])
@pytest.mark.parametrize("changes", KEPT, ids=str)
def test_position_on_its_own_picture_is_the_network_itself(changes: dict, form: str) -> None:
    what, net = split_options(changes)
    net.form = form
    given, other = exposures(1, (70, 130)), exposures(2, (70, 130))
    exact, exact_other = without_cache(net, given), without_cache(net, other)
    cache = filled(net, "position", given, what=what, quant="none")
    assert close(fused(net, given), exact)
    # And on another picture it is not, which its label says.
    assert not close(fused(net, other), exact_other, 1e-4)
    assert cache.exactness == "lossy: stale attention"
    assert (cache.stats.hits, cache.stats.misses) == (4, 0)


def test_filling_fuses_as_without_a_cache() -> None:
    net, given = network(lfe="hybrid"), exposures()
    exact = without_cache(net, given)
    cache = with_cache(net, "position", what="lfe")
    with cache.filling():
        assert close(fused(net, given), exact)


def test_another_size_is_a_miss_and_computed() -> None:
    net = network()
    cache = filled(net, "position", exposures(1))
    given = exposures(2, (64, 64))
    assert torch.equal(fused(net, given), without_cache(net, given))
    assert (cache.stats.hits, cache.stats.misses) == (0, 2)


def test_each_size_keeps_attention_of_its_own() -> None:
    net = network()
    small, large = exposures(1, (64, 64)), exposures(2)
    cache = filled(net, "position", small, large, quant="none")
    assert close(fused(net, small), without_cache(net, small))
    assert close(fused(net, large), without_cache(net, large))
    assert cache.stats.hits == 4


def test_the_mean_over_a_set_is_kept() -> None:
    net = first_block()
    pictures = [exposures(seed) for seed in (1, 2, 3)]
    mean = torch.stack([attention_of(net, given) for given in pictures]).mean(0)
    expected = features_of(net, exposures(9)) * mean
    filled(net, "position", *pictures, quant="none")
    assert close(enhanced(net, exposures(9)), expected, 1e-6)
    # As a batch, or in steps under another mode of torch: the same.
    cache = with_cache(net, "position", quant="none")
    with cache.filling():
        fused(net, torch.cat(pictures[:2], 1))
        with torch.no_grad():
            net(*pictures[2])
    assert close(enhanced(net, exposures(9)), expected, 1e-6)
    assert len(cache.sources) == len(set(cache.sources)) == 3


@pytest.mark.parametrize("scales", ["tensor", "channel"])
def test_position_in_256_levels_errs_by_half_a_step(scales: str) -> None:
    net, given = first_block(), exposures()
    filled(net, "position", given, scales=scales)
    first, attention = features_of(net, given), attention_of(net, given)
    top = torch.tensor(3.0) if scales == "tensor" else attention.amax((0, 2, 3), True)
    error = (enhanced(net, given) - first * attention).abs()
    assert (error <= first.abs() * (top / 510) * (1 + 1e-4)).all()
    assert error.max() > 0


def test_position_is_never_filled_by_the_way() -> None:
    net = network()
    cache = with_cache(net, "position")
    for seed in (1, 2):
        assert torch.equal(fused(net, exposures(seed)), without_cache(net, exposures(seed)))
    assert (cache.stats.misses, cache.stats.writes, cache.stats.bytes) == (4, 0, 0)


def test_filling_again_replaces_and_an_error_does_not() -> None:
    net = network()
    cache = filled(net, "position", exposures(1))
    stale = fused(net, exposures(3))
    with pytest.raises(ImageContractError), cache.filling():
        fused(net, exposures(2).mul_(torch.nan))
    assert torch.equal(fused(net, exposures(3)), stale)
    with cache.filling():
        fused(net, exposures(2))
    assert not torch.equal(fused(net, exposures(3)), stale)


def test_features_of_the_other_picture_stand_in_under_lfe() -> None:
    net = first_block(lfe="eq3")
    filled(net, "position", exposures(1), what="lfe", quant="none")
    one, two = enhanced(net, exposures(2)), enhanced(net, exposures(3))
    assert torch.equal(one, two)


# --- product: the same, collapsed -------------------------------------------------------------

NARROW = dataclasses.replace(SMALL, dim=4, chunks=(16, 16, 16), hidden=None, grid=None)
"""A map of 16 a side, for which a small picture is large."""


@pytest.mark.parametrize("form", ["batched", "banded"])
@pytest.mark.parametrize(
    "changes", [{}, {"drtm": False}, {"sum": "final", "roll": "mixnet"}, {"dims": "W"}], ids=str
)
@pytest.mark.parametrize("size", [(130, 330), (300, 70)])
def test_the_product_is_the_sequence_of_its_factors(
    size: tuple[int, int], changes: dict, form: str
) -> None:
    net = network(NARROW, **changes)
    net.form = form
    calibration, given = exposures(1, size), exposures(2, size, count=2)
    filled(net, "position", calibration, quant="none")
    in_turn = fused(net, given)
    cache = filled(net, "position", calibration, what="product", quant="none")
    assert close(fused(net, given), in_turn)
    assert cache.stats.hits == cache.stats.writes == 1


def test_the_product_in_256_levels_has_the_precision_of_float16() -> None:
    net, given = network(NARROW), exposures(2, (200, 330))
    filled(net, "position", exposures(1, (200, 330)))
    in_turn = fused(net, given)
    cache = filled(net, "position", exposures(1, (200, 330)), what="product")
    # Eleven bits, half of the last one.
    assert close(fused(net, given), in_turn, 2**-11)
    # Of 16x64x96 features float16 of all, and 256 levels where the maps look: at two neighbours
    # of each of their 16 rows and columns, of which the first has one, and the last one or two.
    rows, columns = map(len, Grid((64, 96), 16).positions)
    assert {rows, columns} <= {30, 31, 32}
    assert cache.stats.bytes == 2 * 16 * 64 * 96 + 2 * (16 * rows * columns + 8)


@pytest.mark.parametrize(("blocks", "bias"), [(8, -3.0), (11, 9.0)])
def test_a_faint_or_strong_product_keeps_float32(blocks: int, bias: float) -> None:
    net, given = network(blocks=blocks, drtm=False), exposures(1)
    for block in net.blocks:
        for extractor in block.daem.extractors.values():
            extractor.excite.bias.fill_(bias)
    filled(net, "position", given)
    in_turn = fused(net, given)
    cache = filled(net, "position", given, what="product")
    assert cache.stats.bytes == 4 * 64 * 16 * 32
    assert close(fused(net, given), in_turn)


def test_small_frames_are_not_collapsed() -> None:
    net, given = network(), exposures(2)
    filled(net, "position", exposures(1))
    in_turn = fused(net, given)
    cache = filled(net, "position", exposures(1), what="product")
    assert torch.equal(fused(net, given), in_turn)
    assert cache.stats.hits == cache.stats.writes == 2


def test_the_share_of_positions_is_that_of_the_design() -> None:
    assert Grid((544, 960), 192).share == pytest.approx(0.28, abs=0.005)
    assert collapses((544, 960), 192, drtm=True)
    assert not collapses((272, 480), 192, drtm=True)


# --- pinned: maps of other pictures, and tiles -------------------------------------------------


@torch.inference_mode()
def with_maps(net: IPLNetwork, given: Tensor, maps: list[Tensor]) -> Tensor:
    """The network with these maps, written out."""
    features = first = features_of(net, given)
    total = first
    for block, pinned in zip(net.blocks, maps, strict=True):
        enhanced = block.daem(features)
        features = block.drtm.apply_map(enhanced, pinned.expand(len(first), -1, -1, -1))
        total = total + features if net.config.sum == "all" else total
    tail = {"skip": first + features, "all": total, "final": features}[net.config.sum]
    gain = net.up(tail)[:, :, : given.shape[3], : given.shape[4]]
    fused = gain[:, :3] * given[1]
    return fused + gain[:, 3:] if net.config.head == "affine" else fused


@pytest.mark.parametrize("form", ["batched", "banded"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sum": "all", "head": "affine"},
        {"sum": "final", "dims": "WH"},
        {"dims": "", "blocks": 1},
        {"lfe": "eq3"},
        {"factor": 2, "dim": 32},
    ],
    ids=str,
)
def test_pinned_tiles_are_the_network_with_these_maps(changes: dict, form: str) -> None:
    net = network(**changes)
    net.form = form
    cache = filled(net, "pinned", exposures(1, (64, 64)), quant="none")
    given = exposures(2, (130, 200), count=2)
    expected = with_maps(net, given, cache.maps())
    for _ in range(2):
        assert close(fused(net, given), expected, 1e-6)


def test_pinned_maps_come_from_a_picture_of_any_size() -> None:
    net = network()
    cache = filled(net, "pinned", exposures(1, (64, 64)), exposures(2, (128, 70)), quant="none")
    with torch.inference_mode():
        maps = [
            net.blocks[0].drtm.map(net.blocks[0].daem(features_of(net, given)))
            for given in (exposures(1, (64, 64)), exposures(2, (128, 70)))
        ]
    assert close(cache.maps()[0], (maps[0] + maps[1]) / 2, 1e-6)
    assert cache.stats.bytes == 2 * 4 * 64**3
    assert cache.exactness == "lossy: stale maps, exact against the network with these maps"


@pytest.mark.parametrize(
    ("row", "column", "tiles"), [(100, 100, 1), (64, 100, 2), (127, 127, 4), (0, 0, 1)]
)
def test_a_changed_pixel_costs_its_tile_and_those_its_halo_touches(
    row: int, column: int, tiles: int
) -> None:
    net = network()
    cache = filled(net, "pinned", exposures(1, (64, 64)))
    given = exposures(2, (192, 192))
    fused(net, given)
    assert (cache.stats.hits, cache.stats.misses) == (0, 9)
    given[0, 0, 1, row, column] += 0.25
    ours = fused(net, given)
    assert (cache.stats.hits, cache.stats.misses) == (9 - tiles, 9 + tiles)
    assert close(ours, with_maps(net, given, cache.maps()), 1e-6)


def test_whatever_tiles_are_known_the_others_are_computed() -> None:
    net = network()
    cache = filled(net, "pinned", exposures(1, (64, 64)), quant="none")
    given = exposures(2, (256, 320))
    expected = with_maps(net, given, cache.maps())
    generator = torch.Generator().manual_seed(3)
    for share in (0.1, 0.5, 0.8):
        changed = given.clone()
        tiles = torch.rand(4, 5, generator=generator) < share
        changed[0, 0, 0, 32::64, 32::64] += 0.1 * tiles  # in the middle of a tile
        cache.reset(keep_calibrated=True)
        fused(net, changed)
        assert close(fused(net, given), expected, 1e-6)
        assert 0 < cache.stats.hits == 20 - int(tiles.sum()) < 20


def test_variant_b_pins_maps_alone() -> None:
    net = network(IPLConfig(variant="B", dim=16, chunks=(16, 16, 16), blocks=1, init="torch"))
    cache = filled(net, "pinned", exposures(1))
    given = exposures(2)
    assert close(fused(net, given), with_maps(net, given, cache.maps()), 1e-6)
    assert (cache.stats.hits, cache.stats.writes) == (1, 1)


def test_unfilled_pinned_is_the_network_itself() -> None:
    net, given = network(), exposures()
    cache = with_cache(net, "pinned")
    assert torch.equal(fused(net, given), without_cache(net, given))
    assert cache.maps() == []


# --- when it holds its tongue -----------------------------------------------------------------


def test_off_does_nothing() -> None:
    net, given = network(), exposures()
    cache = with_cache(net, "off")
    assert torch.equal(fused(net, given), without_cache(net, given))
    assert cache.stats == type(cache.stats)()
    assert cache.exactness == "exact"


@pytest.mark.parametrize("policy", ["position", "content", "tolerance", "pinned"])
def test_nothing_is_kept_or_read_while_learning(policy: str) -> None:
    net = network()
    cache = filled(net, policy, exposures()) if policy in {"position", "pinned"} else None
    cache = cache or with_cache(net, policy)
    before = dataclasses.replace(cache.stats)
    net(*exposures())  # with gradients
    net.train()
    fused(net, exposures())
    assert cache.stats == before


def test_filling_while_learning_is_told() -> None:
    net = network()
    cache = with_cache(net, "position")
    message = r"No picture filled the cache: .* after eval\(\)"
    with pytest.raises(UsageError, match=message), cache.filling():
        net(*exposures())


def trained_on(net: IPLNetwork) -> None:
    with torch.no_grad():
        next(net.parameters()).add_(0.1)


def behind_the_back(net: IPLNetwork) -> None:
    next(net.parameters()).data.add_(0.1)
    net.eval()


CHANGES = [
    lambda net: net.load_state_dict(network(head="gain").state_dict()),
    lambda net: net.to(torch.float64),
    trained_on,
    behind_the_back,
]


@pytest.mark.parametrize("change", CHANGES, ids=["load", "dtype", "in place", "data"])
@pytest.mark.parametrize("policy", ["position", "content", "pinned"])
def test_other_weights_have_other_attention(policy: str, change) -> None:
    net = network()
    cache = filled(net, policy, exposures()) if policy != "content" else with_cache(net, policy)
    fused(net, exposures())
    change(net)
    ours = fused(net, exposures())
    assert cache.stats.hits == 0
    if policy != "content":
        assert torch.equal(ours, without_cache(net, exposures()))
        assert cache.stats.bytes == 0
        assert cache.sources == ()


def test_a_look_at_the_weights_does_not_empty_it() -> None:
    net = network()
    cache = filled(net, "position", exposures())
    net.train()
    net.eval()
    fused(net, exposures())
    assert cache.stats.hits == 2


def test_reset_forgets_all_or_all_but_what_was_calibrated() -> None:
    net = network()
    cache = filled(net, "pinned", exposures(1))
    fused(net, exposures(2))
    calibrated = 2 * (64**3 + 8)
    assert cache.stats.bytes > calibrated
    cache.reset(keep_calibrated=True)
    assert cache.stats == type(cache.stats)(bytes=calibrated)
    assert len(cache.sources) == 1
    fused(net, exposures(2))
    assert cache.stats.misses == 2
    cache.reset()
    assert cache.stats == type(cache.stats)()
    assert cache.sources == ()


def test_weights_that_change_while_filling_begin_it_anew() -> None:
    net = network()
    cache = with_cache(net, "position", quant="none")
    with cache.filling():
        fused(net, exposures(1))
        trained_on(net)
        fused(net, exposures(2))
    assert len(cache.sources) == 1
    assert close(fused(net, exposures(2)), without_cache(net, exposures(2)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
@pytest.mark.parametrize(
    ("policy", "what", "quant"),
    [
        ("content", "weights", "none"),
        ("position", "weights", "none"),
        ("position", "weights", "uint8"),
        ("position", "product", "uint8"),
        ("pinned", "weights", "none"),
    ],
)
def test_networks_of_other_precision_are_cached_in_theirs(
    policy: str, what: str, quant: str, dtype: torch.dtype
) -> None:
    net, given = network(NARROW).to(dtype), exposures(1, (130, 330))
    exact = without_cache(net, given)
    cache = with_cache(net, policy, what=what, quant=quant)
    if cache.wants_filling:
        cache = filled(net, policy, given, what=what, quant=quant)
    ours = fused(net, given)
    assert ours.dtype == exact.dtype
    # Eight bits in a dozen steps; sixteen in float16 of the product; 256 levels.
    coarse = dtype == torch.bfloat16 or quant == "uint8"
    assert close(ours, exact, 0.03 if coarse else 1e-12)


# --- the budget -------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["content", "tolerance"])
@pytest.mark.parametrize("budget", [0, 4_000, 16**3 + 7, 5 * (16**3 + 8), 10**9])
def test_the_budget_is_never_exceeded_and_the_picture_stays_right(policy: str, budget: int) -> None:
    net = network()
    with_cache(net, "content")
    expected = [fused(net, exposures(seed)) for seed in (1, 2)]
    cache = with_cache(net, policy, max_bytes=budget)
    for seed in (1, 2, 1):
        assert torch.equal(fused(net, exposures(seed)), expected[seed - 1])
        assert cache.stats.bytes <= budget
    # Bricks of 16x16x16 codes, with a step and a zero point.
    kept = min(budget // (16**3 + 8), 2 * 2 * BRICKS)
    assert cache.stats.bytes == kept * (16**3 + 8)
    assert (cache.stats.refused > 0) == (kept == 0)
    assert (cache.stats.evictions > 0) == (0 < kept < 2 * 2 * BRICKS)
    assert cache.stats.writes + cache.stats.refused == cache.stats.misses


def test_blocks_without_room_are_computed() -> None:
    net, given = network(), exposures(1)
    layer = 64 * 16 * 32 + 8
    for budget, held in [(layer - 1, 0), (2 * layer - 1, 1), (2 * layer, 2)]:
        cache = filled(net, "position", given, max_bytes=budget)
        assert (cache.stats.writes, cache.stats.refused) == (held, 2 - held)
        assert cache.stats.bytes == held * layer <= budget
        # Its own picture, in 256 levels for as many blocks as there was room for.
        assert close(fused(net, given), without_cache(net, given), 0.05)
        assert (cache.stats.hits, cache.stats.misses) == (held, 2 - held)


def test_pins_survive_what_passes_by() -> None:
    net = network()
    maps, tile = 2 * (64**3 + 8), 4 * 3 * 64 * 64
    cache = filled(net, "pinned", exposures(1), max_bytes=maps + 2 * tile)
    kept = cache.maps()
    for seed in range(2, 6):
        given = exposures(seed, (128, 128))
        assert close(fused(net, given), with_maps(net, given, kept), 1e-6)
        assert cache.stats.bytes <= maps + 2 * tile
    assert cache.stats.evictions == 14
    assert all(map(torch.equal, cache.maps(), kept))


def test_what_was_not_read_for_longest_leaves_first() -> None:
    net = first_block()
    unit = 16**3 + 8
    cache = with_cache(net, "content", max_bytes=8 * unit)
    pictures = [exposures(seed, (64, 64)) for seed in (1, 2, 3)]
    one, two, three = pictures  # of four bricks each
    for given in (one, two, one, three):
        fused(net, given)
    hits = cache.stats.hits
    fused(net, one)
    assert cache.stats.hits == hits + 4
    fused(net, two)
    assert cache.stats.hits == hits + 4


def test_without_a_budget_a_part_of_free_memory_is_taken() -> None:
    net = network()
    cache = filled(net, "position", exposures())
    assert cache.stats.refused == 0


# --- what is no number ------------------------------------------------------------------------


def test_attention_that_is_no_number_fills_nothing() -> None:
    net = network()
    net.blocks[0].drtm.stages[0].bias.fill_(torch.nan)
    for policy, block in [("pinned", 1), ("position", 2)]:
        for quant in ("none", "uint8"):
            with pytest.raises(UsageError, match=f"Block {block} holds NaN or infinity"):
                filled(net, policy, exposures(), quant=quant)
            assert net.cache.stats.bytes == 0


@pytest.mark.parametrize("policy", ["content", "tolerance"])
@pytest.mark.parametrize("quant", ["none", "uint8"])
def test_features_that_are_no_number_pass_as_without_a_cache(policy: str, quant: str) -> None:
    net = network()
    net.blocks[0].drtm.stages[0].bias.fill_(torch.nan)
    tau = 0.1 if policy == "tolerance" else 0.0
    cache = with_cache(net, policy, quant=quant, tau=tau)
    for _ in range(2):
        assert fused(net, exposures()).isnan().all()
    # The second block's bricks, of both pictures.
    assert cache.stats.refused == 2 * BRICKS


# --- what does not go together ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "options", "message"),
    [
        ("sometimes", {}, "cache='sometimes' does not exist; choose from off, position, content"),
        ("position", {"what": "gates"}, "what='gates' does not exist"),
        ("position", {"quant": "int4"}, "quant='int4' does not exist; choose from none, uint8"),
        ("position", {"scales": "row"}, "scales='row'"),
        ("content", {"what": "product"}, "choose cache='position'"),
        ("position", {"what": "product", "quant": "cnn_w"}, "quant='none' or 'uint8'"),
        ("content", {"quant": "cnn_c"}, "weights of whole frames; choose cache='position'"),
        ("pinned", {"what": "lfe"}, "keeps global maps and tiles, not what='lfe'"),
        ("content", {"tau": 0.1}, "tau belongs to cache='tolerance'"),
        ("tolerance", {"tau": -1.0}, "tau=-1.0 is no distance"),
        ("tolerance", {"tau": float("nan")}, "tau=nan is no distance"),
        ("content", {"max_bytes": -1}, "max_bytes=-1 is no budget"),
    ],
)
def test_impossible_caches_say_what_to_choose(policy: str, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        AttentionCache(policy, **options)


@pytest.mark.parametrize(
    ("policy", "what", "changes", "message"),
    [
        ("position", "weights", {"shift": True}, "shift=True moves every other grid"),
        ("content", "weights", {"dims": ""}, "dims='' leaves no attention"),
        ("pinned", "weights", {"drtm": False}, "drtm=False leaves no maps to pin"),
        ("content", "weights", {"lfe": "eq3"}, "choose what='weights_per_dim'"),
        ("position", "product", {"lfe": "hybrid"}, "choose what='weights_per_dim'"),
        ("position", "product", {"sum": "all"}, "choose what='weights'"),
    ],
)
def test_networks_that_cannot_be_cached_so_say_why(
    policy: str, what: str, changes: dict, message: str
) -> None:
    net = network(**changes)
    with_cache(net, policy, what=what)
    with pytest.raises(UsageError, match=message):
        fused(net, exposures())


@pytest.mark.parametrize("policy", ["off", "content", "tolerance"])
def test_what_fills_itself_is_not_filled(policy: str) -> None:
    cache = AttentionCache(policy)
    assert not cache.wants_filling
    with pytest.raises(UsageError, match=f"{policy!r} is not filled beforehand"), cache.filling():
        pass


def test_codecs_must_be_there() -> None:
    net = network()
    with pytest.raises(UsageError, match="needs 2 CnnWidthCodec, one a block, and there are 0"):
        filled(net, "position", exposures(), quant="cnn_w")


def test_policies_are_their_names() -> None:
    assert AttentionCache("content").policy is CachePolicy.CONTENT
    assert f"{CachePolicy.PINNED}" == "pinned"
