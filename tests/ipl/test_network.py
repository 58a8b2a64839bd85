"""The whole network: its printed size, its forms, what reaches where, and what it refuses."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from skimage import data
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from dmef_bench.errors import ImageContractError, UsageError
from ipl.network import IPLConfig, IPLNetwork, convolve_rows

SIZES = [(64, 64), (65, 257), (130, 70), (17, 400)]
SMALL = dataclasses.replace(IPLConfig.tiny(), blocks=2)
"""Two blocks show what eight would."""


def exposures(height: int, width: int, count: int = 1) -> Tensor:
    """(3, N, 3, H, W): low, medium and high of seeded pictures."""
    picture = torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(8))
    return torch.stack([(picture * gain).clamp(max=1) for gain in (0.5, 1.0, 2.0)])


def network(config: IPLConfig = SMALL, **changes: object) -> IPLNetwork:
    torch.manual_seed(21)
    config = dataclasses.replace(config, init="torch", **changes)
    return IPLNetwork(config).eval().requires_grad_(False)


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def outputs(net: IPLNetwork, given: Tensor) -> dict[str, Tensor]:
    fused = {}
    for form in ("loop", "batched", "banded"):
        net.form = form
        with torch.inference_mode():
            fused[form] = net(*given)
    return fused


def assert_forms_agree(net: IPLNetwork, given: Tensor) -> None:
    by_the_paper, *others = outputs(net, given).values()
    assert by_the_paper.shape == given[1].shape
    assert not torch.allclose(by_the_paper, given[1], atol=1e-3)
    for other in others:
        # Rounding, relative to the largest value, as blocks multiply what they get.
        assert (other - by_the_paper).abs().max() <= 1e-5 * by_the_paper.abs().max()


# --- size and cost ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (IPLConfig(), 974_748),
        (IPLConfig(variant="B"), 974_684),
        (IPLConfig.tiny(), 114_252),
        (IPLConfig(head="affine"), 984_258),
    ],
)
def test_parameters_are_those_of_the_design(config: IPLConfig, count: int) -> None:
    with torch.device("meta"):
        assert parameters(IPLNetwork(config)) == count


def test_parameters_of_variant_a_by_layer() -> None:
    with torch.device("meta"):
        net = IPLNetwork()
    block = net.blocks[0]
    assert parameters(net.down.stem) == 984
    assert parameters(net.down.mix) == 37_056
    assert [parameters(extractor) for extractor in block.daem.extractors.values()] == [
        4_192,
        280,
        280,
    ]
    assert parameters(block.drtm) == 111_168
    assert parameters(net.blocks) == 8 * 115_920
    assert parameters(net.up.mix) == 9_264
    assert parameters(net.up.gain) == 84


def flops(config: IPLConfig, size: tuple[int, int], form: str = "batched") -> int:
    with torch.device("meta"):
        net, exposure = IPLNetwork(config), torch.empty(1, 3, *size)
    net.form = form
    counter = FlopCounterMode(display=False)
    with counter, torch.set_grad_enabled(form != "banded"):
        net(exposure, exposure, exposure)
    return counter.get_total_flops()


@pytest.mark.parametrize(
    ("variant", "size", "count"),
    [
        ("A", (256, 256), 66_953_281_536),
        ("B", (256, 256), 66_953_281_536),
        ("A", (1080, 1920), 120_165_285_888),
        ("A", (2160, 3840), 284_971_696_128),
    ],
)
def test_flops_are_those_of_the_design(variant: str, size: tuple, count: int) -> None:
    assert flops(IPLConfig(variant=variant), size) == count


def test_every_form_costs_the_same_flops() -> None:
    forms = ("loop", "batched", "banded")
    assert len({flops(SMALL, (128, 128), form) for form in forms[:2]}) == 1
    # Banded enlarges maps by matrices, which count, where the others interpolate, which does not.
    local = dataclasses.replace(SMALL, drtm=False)
    assert len({flops(local, (128, 128), form) for form in forms}) == 1


# --- forms -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_forms_agree_at_any_size(size: tuple[int, int]) -> None:
    assert_forms_agree(network(), exposures(*size, count=2))


@pytest.mark.parametrize(
    "changes",
    [
        {"dims": "", "blocks": 1},
        {"drtm": False},
        {"lfe": "eq3"},
        {"lfe": "hybrid", "sum": "all"},
        {"sum": "final", "head": "affine"},
        {"roll": "mixnet", "shift": True},
        {"pad": "reflect", "factor": 2, "dim": 32},
    ],
    ids=str,
)
def test_forms_agree_for_every_switch(changes: dict) -> None:
    assert_forms_agree(network(**changes), exposures(70, 90))


@pytest.mark.parametrize("variant", ["A", "B"])
def test_forms_agree_at_full_width(variant: str) -> None:
    assert_forms_agree(network(IPLConfig(variant=variant, blocks=1)), exposures(80, 100))


def test_auto_is_banded_for_inference_on_a_cpu_and_batched_elsewhere() -> None:
    net, cpu, gpu = IPLNetwork(SMALL), torch.device("cpu"), torch.device("cuda")
    with torch.inference_mode():
        assert net.resolved_form(cpu) == "batched"
        net.eval()
        assert (net.resolved_form(cpu), net.resolved_form(gpu)) == ("banded", "batched")
    assert net.resolved_form(cpu) == "batched"


def test_banded_keeps_no_gradients_and_says_so() -> None:
    net = IPLNetwork(SMALL)
    net.form = "banded"
    with pytest.raises(UsageError, match="inference_mode"):
        net(*exposures(64, 64))


def test_an_unknown_form_is_refused() -> None:
    net = IPLNetwork(SMALL)
    net.form = "looped"
    with pytest.raises(UsageError, match="'looped' does not exist; choose one of 'auto', 'loop'"):
        net(*exposures(64, 64))


def test_forms_and_cache_do_not_touch_the_state() -> None:
    net = IPLNetwork(SMALL)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    assert outputs(net.eval(), exposures(64, 64))
    net.form, net.cache = "loop", object()
    after = net.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)


@pytest.mark.parametrize("kernel", [1, 3])
def test_rows_of_a_convolution_are_those_of_the_whole(kernel: int) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(4, 5, kernel, padding=kernel // 2).requires_grad_(False)
    tensor = torch.randn(2, 4, 9, 11)
    whole = convolution(tensor)
    for start, stop in [(0, 9), (0, 1), (3, 7), (8, 9)]:
        rows = convolve_rows(convolution, tensor, start, stop)
        assert torch.allclose(rows, whole[:, :, start:stop], atol=1e-6)


# --- pictures --------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["gain", "affine"])
@pytest.mark.parametrize("size", SIZES)
def test_an_untrained_network_returns_the_medium_exposure(size: tuple, head: str) -> None:
    given = exposures(*size)
    for fused in outputs(IPLNetwork(dataclasses.replace(SMALL, head=head)).eval(), given).values():
        assert torch.equal(fused, given[1])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_weights_of_another_type_still_return_the_medium_exposure_exactly(
    dtype: torch.dtype,
) -> None:
    given = exposures(60, 70)
    net = IPLNetwork(dataclasses.replace(SMALL, blocks=1)).eval().to(dtype)
    for fused in outputs(net, given).values():
        assert torch.equal(fused.float(), given[1])


def test_bfloat16_weights_come_near_those_of_float32() -> None:
    given = exposures(60, 60)
    net = network(blocks=1)
    exact, coarse = outputs(net, given)["loop"], outputs(net.bfloat16(), given)
    for fused in coarse.values():
        # 8 bits of mantissa, rounded a dozen times on the way.
        assert (fused - exact).abs().mean() < 0.02 * exact.abs().mean()


def test_padding_is_idle_at_whole_bricks() -> None:
    assert IPLConfig().multiple == IPLConfig.tiny().multiple == 64
    assert IPLConfig(variant="B").multiple == 32
    given = exposures(64, 128)
    assert torch.equal(IPLNetwork(SMALL).padded(*given), torch.cat(tuple(given), 1))


def test_padding_repeats_the_last_row_and_column() -> None:
    given = exposures(65, 70)
    padded = IPLNetwork(SMALL).padded(*given)
    joined = torch.cat(tuple(given), 1)
    assert padded.shape == (1, 9, 128, 128)
    assert torch.equal(padded[:, :, :65, :70], joined)
    assert (padded[:, :, 65:, :70] == joined[:, :, -1:]).all()
    assert (padded[:, :, :, 70:] == padded[:, :, :, 69:70]).all()


def test_padding_may_reflect_where_the_picture_is_large_enough() -> None:
    net = IPLNetwork(dataclasses.replace(SMALL, pad="reflect"))
    given = exposures(100, 120)
    reflected = net.padded(*given)[:, :, 100:, :120]
    assert torch.equal(reflected, torch.cat(tuple(given), 1)[:, :, 71:99].flip(2))
    short = exposures(17, 400)
    assert torch.equal(net.padded(*short), IPLNetwork(SMALL).padded(*short))


def test_fusing_does_not_change_the_exposures() -> None:
    given = exposures(64, 64)
    assert outputs(network(), given)
    assert torch.equal(given, exposures(64, 64))


def test_the_product_takes_the_medium_exposure() -> None:
    given = exposures(70, 66)
    black = given.clone()
    black[1] = 0
    assert not outputs(network(), black)["loop"].any()
    # ... and the one more addend of the affine head can light what is black.
    assert outputs(network(head="affine"), black)["loop"].all()


@pytest.mark.parametrize("form", ["loop", "batched", "banded"])
def test_the_tail_sees_the_sum_that_was_chosen(form: str) -> None:
    first = torch.randn(1, 64, 16, 16, generator=torch.Generator().manual_seed(2))
    steps = [first]
    for block in network(blocks=3).blocks:
        steps.append(block(steps[-1]))
    sums = {"skip": first + steps[-1], "all": sum(steps), "final": steps[-1]}
    for choice, expected in sums.items():
        # The seed gives all three the same weights.
        seen = network(blocks=3, sum=choice).body(first.clone(), form)
        assert torch.allclose(seen, expected, rtol=1e-5, atol=1e-5)


def test_every_other_block_moves_its_grid() -> None:
    moved = [block.daem.shift for block in network(blocks=4, shift=True).blocks]
    assert moved == [False, True, False, True]


# --- what reaches where ----------------------------------------------------------------------


def changed_tiles(net: IPLNetwork, row: int, column: int) -> Tensor:
    """How much of each tile of 64x64 pixels one changed pixel changes, before the last 3x3."""
    given = exposures(192, 192).double()
    touched = given.clone()
    touched[0, 0, 1, row, column] += 0.25
    net = net.double()
    differs = (net.pixels(*given) != net.pixels(*touched)).any(1)[0]
    return differs.reshape(3, 64, 3, 64).float().mean((1, 3))


@pytest.mark.parametrize(
    ("row", "column", "tiles"),
    [
        (100, 100, [(1, 1)]),
        (64, 100, [(0, 1), (1, 1)]),
        (127, 127, [(1, 1), (1, 2), (2, 1), (2, 2)]),
    ],
)
def test_without_rolling_a_pixel_reaches_its_tile_and_those_its_halo_touches(
    row: int, column: int, tiles: list
) -> None:
    share = changed_tiles(network(drtm=False, blocks=4), row, column)
    expected = torch.zeros(3, 3)
    for tile in tiles:
        expected[tile] = 1
    assert torch.equal(share, expected)


def test_with_rolling_a_pixel_reaches_every_tile() -> None:
    assert (changed_tiles(network(), 100, 100) > 0.99).all()


# --- learning --------------------------------------------------------------------------------


def test_gradients_of_the_batched_form_are_those_of_the_loop() -> None:
    gradients = {}
    for form in ("loop", "batched"):
        net = network().requires_grad_(True)
        net.form = form
        net(*exposures(65, 70)).square().mean().backward()
        gradients[form] = [parameter.grad for parameter in net.parameters()]
    for ours, theirs in zip(*gradients.values(), strict=True):
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-4 * float(theirs.abs().max()))


def brackets(count: int) -> tuple[Tensor, Tensor]:
    """Crops of a photograph under, slightly over and far overexposed, and as it was."""
    photograph = torch.from_numpy(data.coffee()).permute(2, 0, 1).float() / 255
    generator = torch.Generator().manual_seed(6)
    corners = torch.randint(0, 336, (count, 2), generator=generator)
    truth = torch.stack([photograph[:, y : y + 64, x : x + 64] for y, x in corners.tolist()])
    return torch.stack([(truth * gain).clamp(max=1) for gain in (0.5, 1.4, 4.0)]), truth


def test_the_network_learns() -> None:
    torch.manual_seed(3)
    net = IPLNetwork(SMALL).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    given, truth = brackets(2)
    losses = []
    for _ in range(50):
        loss = nn.functional.l1_loss(net(*given), truth)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    tens = torch.tensor(losses).reshape(5, 10).mean(1)
    assert (tens[1:] < tens[:-1]).all()
    assert all(parameter.isfinite().all() for parameter in net.parameters())


# --- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (15, 400), (400, 15)])
def test_pictures_smaller_than_16_pixels_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ImageContractError, match="16 pixels a side at least"):
        IPLNetwork(SMALL)(*exposures(*size))


def test_unequal_pictures_are_refused_by_name() -> None:
    low, medium, high = exposures(64, 64)
    with pytest.raises(ImageContractError, match=r"high exposure has shape \(1, 3, 64, 63\)"):
        IPLNetwork(SMALL)(low, medium, high[..., 1:])


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 64, 64, 3), (1, 1, 64, 64)])
def test_pictures_of_another_layout_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageContractError, match=r"takes \(N, 3, height, width\)"):
        IPLNetwork(SMALL)(*torch.zeros(3, *shape))


def test_bytes_are_refused() -> None:
    with pytest.raises(ImageContractError, match="divide by the largest code"):
        IPLNetwork(SMALL)(*torch.zeros(3, 1, 3, 64, 64, dtype=torch.uint8))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_pixel_that_is_no_number_is_refused_by_exposure(bad: float) -> None:
    given = exposures(64, 64)
    given[0, 0, 1, 5, 6] = bad
    with pytest.raises(ImageContractError, match="low exposure holds NaN or infinity"):
        IPLNetwork(SMALL)(*given)


# --- configuration ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        IPLConfig(),
        IPLConfig(variant="B"),
        IPLConfig.tiny(),
        IPLConfig(chunks=(32, 8, 4), dims="HC", drtm=False, lfe="eq3", head="affine", shift=True),
        IPLConfig(dims="", roll="mixnet", sum="all", init="torch", pad="reflect"),
    ],
)
def test_a_configuration_survives_json(config: IPLConfig) -> None:
    text = config.to_json()
    assert IPLConfig.from_json(text) == config
    assert IPLConfig.from_json(text).to_json() == text
    assert set(json.loads(text)) == {field.name for field in dataclasses.fields(IPLConfig)}


def test_what_is_left_open_is_filled_by_variant() -> None:
    assert (IPLConfig().chunks, IPLConfig().hidden) == ((64, 16, 16), (32, 8, 8))
    b = IPLConfig(variant="B")
    assert (b.chunks, b.hidden, b.grid) == ((12, 8, 8), (12, 12, 12), 192)
    assert IPLConfig(chunks=(32, 8, 4)).hidden == (16, 4, 2)
    assert IPLConfig(variant="B", hidden=(1, 2, 3)).hidden == (1, 2, 3)
    assert IPLConfig(dims="HC") == IPLConfig(dims="CH")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"variant": "C"}, "variant='C' does not fit; it must be 'A' or 'B'"),
        ({"roll": "hwc"}, "roll='hwc'"),
        ({"drtm": "false"}, "drtm='false' does not fit; it must be True or False"),
        ({"blocks": 0}, "blocks=0"),
        ({"dim": 48.0}, "dim=48.0"),
        ({"dim": 18}, r"width 72 .* a multiple of 16"),
        ({"chunks": (60, 16, 16)}, r"chunks=\(60, 16, 16\) .* divisor of 192"),
        ({"chunks": (64, 16)}, r"chunks=\(64, 16\) .* three whole numbers"),
        ({"hidden": (8, 8, 0)}, "hidden"),
        ({"grid": 64}, "grid=64 does not fit; it must be 192"),
        ({"dims": "CX"}, "dims='CX'"),
        ({"dims": "CC"}, "dims='CC'"),
    ],
)
def test_impossible_configurations_name_the_value(fields: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        IPLConfig(**fields)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is not JSON"), ("[1]", "a JSON object"), ('{"depth": 3}', "no depth; it has variant")],
)
def test_damaged_json_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        IPLConfig.from_json(text)
