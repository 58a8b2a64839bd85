"""Costs: products counted by hand and by the harness agree, and each known pitfall is avoided."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from baselines.ahdrnet import AHDRNet
from baselines.mertens import Mertens
from dmef_bench import strict_json
from dmef_bench.harness.cost import UHD, cost_of, count_macs

SIZE = (48, 80)
PIXELS = 48 * 80


class OneInput(nn.Module):
    """A network of three exposures that looks at the medium one alone."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, _low, medium, _high):
        return self.body(medium)


def conv(*arguments, **options):
    return OneInput(nn.Conv2d(3, *arguments, **options))


@pytest.mark.parametrize(
    ("layer", "macs"),
    [
        (nn.Conv2d(3, 8, 3, padding=1), PIXELS * 3 * 8 * 9),
        (nn.Conv2d(3, 8, 3), 46 * 78 * 3 * 8 * 9),
        (nn.Conv2d(3, 8, 3, padding=4, dilation=4), PIXELS * 3 * 8 * 9),
        (nn.Conv2d(3, 6, 3, padding=1, groups=3), PIXELS * 6 * 9),
        (nn.Conv2d(3, 8, 3, padding=1, stride=2), PIXELS // 4 * 3 * 8 * 9),
        (nn.ConvTranspose2d(3, 8, 2, stride=2), PIXELS * 3 * 8 * 4),
        (nn.Sequential(nn.Flatten(2), nn.Linear(PIXELS, 5)), 3 * PIXELS * 5),
    ],
)
def test_layers_cost_what_one_counts_by_hand(layer, macs) -> None:
    cost = count_macs(OneInput(layer), SIZE)
    assert cost.macs == cost.convolution_macs == macs
    assert cost.macs_per_pixel == macs / PIXELS
    assert cost.counted_by == "flop_counter, meta"


class Free(nn.Module):
    """What no count includes: bias, activation, norm, softmax, interpolation, pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.shift = nn.Parameter(torch.zeros(3, 1, 1))

    def forward(self, low, medium, high):
        mixed = functional.gelu(self.norm(medium * low + high)) + self.shift
        mixed = functional.interpolate(mixed, scale_factor=2, mode="bilinear")
        return functional.avg_pool2d(mixed, 2).softmax(1)


def test_what_is_no_product_is_free() -> None:
    cost = count_macs(Free(), SIZE)
    assert (cost.macs, cost.uncounted) == (0, ())
    assert cost.parameters == 9


class Attention(nn.Module):
    """Rows of a picture attend to one another, written out or by PyTorch's own function."""

    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.fused = fused
        self.bias = nn.Parameter(torch.zeros(1, SIZE[0], SIZE[0]))
        self.query = nn.Parameter(torch.ones(SIZE[1], SIZE[1]))

    def forward(self, _low, medium, _high):
        rows = medium[0]
        query = rows @ self.query
        if self.fused:
            return functional.scaled_dot_product_attention(query, rows, rows)
        return torch.baddbmm(self.bias, query, rows.transpose(1, 2)).softmax(-1) @ rows


@pytest.mark.parametrize("fused", [True, False])
def test_attention_is_counted_however_it_is_written(fused) -> None:
    cost = count_macs(Attention(fused), SIZE)
    height, width = SIZE
    assert cost.convolution_macs == 3 * height * width * width
    # A learnt bias that is added to logits does not make them a product with weights.
    assert cost.macs - cost.convolution_macs == 2 * 3 * height * height * width


class Normalised(nn.Module):
    """Multiplies by what it makes of its weights, as weight normalisation does."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(8, 3, 1, 1))

    def forward(self, _low, medium, _high):
        return functional.conv2d(medium, self.weight / self.weight.norm())


def test_weights_made_of_weights_are_weights() -> None:
    assert count_macs(Normalised(), SIZE).convolution_macs == PIXELS * 3 * 8


class Encoder(nn.Module):
    """PyTorch's encoder, which takes a path that counts nothing where no gradient is wanted."""

    def __init__(self, asks: bool = False) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.asks = asks

    def forward(self, _low, medium, _high):
        if self.asks and medium.mean().item() < 0:
            return medium
        return self.layer(medium.reshape(1, -1, 16))


@pytest.mark.parametrize("asks", [False, True], ids=["on meta", "on the CPU"])
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_no_fused_path_hides_products(asks, context) -> None:
    network = Encoder(asks).eval().requires_grad_(False)
    with context():
        cost = count_macs(network, (16, 16), channels=1)
    # 16 tokens of 16: query, key and value, their output, 16 -> 32 -> 16, and both products.
    assert cost.convolution_macs == 16 * (4 * 16 * 16 + 2 * 16 * 32)
    assert cost.macs == cost.convolution_macs + 2 * 16 * 16 * 16
    assert cost.trainable == 0 < cost.parameters


class Asking(nn.Module):
    """Stops early in the dark: control flow that depends on values."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, _low, medium, _high):
        return self.body(medium) if medium.mean() > 0.1 else medium


def test_a_network_that_asks_for_values_is_counted_on_the_cpu_and_extrapolated() -> None:
    plain, asking = conv(8, 3, padding=1), Asking(nn.Conv2d(3, 8, 3, padding=1))
    small, large = count_macs(asking, SIZE), count_macs(asking, UHD)
    assert small.counted_by == "flop_counter, cpu"
    assert small.macs == count_macs(plain, SIZE).macs
    assert large.counted_by == "flop_counter, cpu, extrapolated"
    assert large.macs == large.convolution_macs == count_macs(plain, UHD).macs


class Global(nn.Module):
    """Costs the same at every size, as the rolling transformation of IPL does."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3, 3, 1)

    def forward(self, medium):
        return medium * self.mix(functional.interpolate(medium, size=(32, 32))).mean()


def test_what_does_not_grow_with_the_area_is_never_extrapolated() -> None:
    assert count_macs(OneInput(Global()), SIZE).macs == count_macs(OneInput(Global()), UHD).macs
    cost = count_macs(Asking(Global()), UHD)
    assert (cost.macs, cost.macs_per_pixel, cost.counted_by) == (None, None, "")
    assert "not grow with the area alone" in cost.reason
    assert cost.parameters == 12


class HomeMade(nn.Module):
    """Makes a tensor on a device of its own choice."""

    def forward(self, low, medium, _high):
        grid = torch.linspace(0, 1, medium.shape[-1], device="cpu")
        return functional.conv2d(medium + grid, low[..., :3, :3])


def test_tensors_made_on_a_fixed_device_are_no_obstacle() -> None:
    cost = count_macs(HomeMade(), SIZE)
    assert cost.counted_by == "flop_counter, cpu"
    assert cost.macs == 46 * 78 * 3 * 9
    # Both factors are pictures: no weights, no convolution in the paper's sense.
    assert cost.convolution_macs == 0


def test_a_network_that_takes_other_inputs_says_so() -> None:
    cost = count_macs(nn.Conv2d(3, 8, 3), SIZE)
    assert cost.macs is None
    assert "takes 2 positional arguments but 4 were given" in cost.reason
    assert count_macs(nn.Conv2d(3, 8, 3), SIZE, inputs=1).macs == 46 * 78 * 3 * 8 * 9


@torch.library.custom_op("dmef_test::square", mutates_args=())
def square(picture: torch.Tensor) -> torch.Tensor:
    return picture @ picture.transpose(-1, -2)


@square.register_fake
def _(picture):
    return picture.new_empty(*picture.shape[:-1], picture.shape[-2])


class Custom(nn.Module):
    def forward(self, low, medium, _high):
        return square(medium) @ low[0, 0, 0, : medium.shape[-2]]


def test_operators_without_a_formula_are_named() -> None:
    cost = count_macs(Custom(), SIZE)
    assert cost.uncounted == ("aten.mv", "dmef_test.square")
    assert cost.macs == 0


def test_parameters_count_once_bare_ones_and_idle_ones_included() -> None:
    network = conv(3, 1, bias=False)
    network.twin = network.body
    network.idle = nn.Linear(4, 4, bias=False)
    network.bare = nn.Parameter(torch.zeros(5), requires_grad=False)
    cost = count_macs(network, SIZE)
    assert cost.parameters == 9 + 16 + 5
    assert cost.trainable == 9 + 16


def test_the_network_and_the_random_numbers_are_left_as_they_were() -> None:
    network = Asking(nn.Sequential(nn.Conv2d(3, 3, 1), nn.Dropout())).train()
    network.body.requires_grad_(False)
    before, random = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    count_macs(network, UHD)
    assert network.body.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(now, before[key]) for key, now in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)


def test_a_networks_block_says_what_a_record_keeps() -> None:
    method = AHDRNet("random", in_channels=3, dense_layers=5)
    random = torch.get_rng_state()
    block = strict_json.loads(strict_json.dumps(cost_of(method, (1152, 2048))))
    assert block == {
        "parameters": 1_313_635,
        "trainable": 1_313_635,
        "macs_at_fused_size": 1_241_856 * 1152 * 2048,
        "macs_at_4k": 1_241_856 * math.prod(UHD),
        "macs_per_pixel": 1_241_856,
        "paper_convention_g": pytest.approx(2 * 1_241_856 * 1152 * 2048 / 1e9),
        "counted_by": "flop_counter, meta",
        "uncounted": [],
        "reason": "",
    }
    assert torch.equal(torch.get_rng_state(), random)


def test_a_method_without_a_network_has_no_cost_and_the_reason() -> None:
    block = cost_of(Mertens(), UHD)
    assert {name for name, value in block.items() if value is None} == {
        "parameters",
        "trainable",
        "macs_at_fused_size",
        "macs_at_4k",
        "macs_per_pixel",
        "paper_convention_g",
    }
    assert block["reason"] == "mertens has no network; its arithmetic is not counted."
