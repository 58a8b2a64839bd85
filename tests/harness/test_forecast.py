"""Forecasts of memory: exact where tensors alone count, near a real peak on a CPU."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional

from baselines.mertens import Mertens
from dmef_bench.harness.forecast import footprint_of, forecast_bytes

UHD = (2160, 3840)
PLANE = 4 * math.prod(UHD)
"""Bytes of one float32 map at 4K."""


def method(network, **stated):
    return SimpleNamespace(name="a network", network=network, **stated)


class Pointwise(nn.Module):
    """Holds the three exposures and two results of three maps each, and nothing else."""

    def forward(self, low, medium, high):
        total = low + medium
        return total * high


def test_a_network_of_plain_sums_holds_what_one_counts_by_hand() -> None:
    assert forecast_bytes(method(Pointwise), UHD) == 15 * PLANE
    assert forecast_bytes(method(Pointwise, in_channels=6), UHD) == 30 * PLANE
    assert forecast_bytes(method(Pointwise, dtype="bfloat16"), UHD) == 15 * PLANE // 2


class Freeing(nn.Module):
    """Forty sums in a row, each forgotten when the next is made."""

    def forward(self, _low, medium, _high):
        for _ in range(40):
            medium = medium + 1
        return medium


def test_what_was_let_go_is_not_counted() -> None:
    assert forecast_bytes(method(Freeing), UHD) == (9 + 6) * PLANE


class Global(nn.Module):
    """A cube that is the same at every size, larger than small pictures and soon forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3, 64, 1, bias=False)

    def forward(self, low, medium, high):
        cube = functional.interpolate(self.mix(functional.adaptive_avg_pool2d(medium, 8)), 256)
        gain = cube.mean()
        del cube
        return torch.cat((low, medium, high), 1) * gain


def test_what_is_the_same_at_every_size_hides_what_grows_only_where_it_is_larger() -> None:
    weights, cube = 4 * 3 * 64, 4 * 64 * (256 * 256 + 8 * 8)
    small = 4 * 192 * 256
    # The few bytes left out are those of the mean.
    assert forecast_bytes(method(Global), (192, 256)) == pytest.approx(
        9 * small + cube + weights, rel=1e-6
    )
    # The exposures, side by side, and multiplied; both small sizes saw the cube on top.
    assert forecast_bytes(method(Global), UHD) == pytest.approx(27 * PLANE + weights, rel=1e-6)


class Convolved(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.widen = nn.Conv2d(9, 20, 3, padding=1)
        self.dilated = nn.Conv2d(20, 48, 3, padding=2, dilation=2)
        self.narrow = nn.Conv2d(48, 3, 1)

    def forward(self, *exposures):
        return self.narrow(self.dilated(self.widen(torch.cat(exposures, 1)).relu_()))


REAL = """
import json, sys, torch
from tests.harness.test_forecast import Convolved
from dmef_bench.harness.memory import peak_memory
torch.set_num_threads(1)
network = Convolved().eval()
def fuse(*size):
    with torch.inference_mode():
        network(*(torch.rand(1, 3, *size) for _ in range(3)))
fuse(64, 64)
with peak_memory() as peak:
    fuse(540, 960)
json.dump([peak.resident_bytes, peak.sampled], sys.stdout)
"""


def test_a_forecast_comes_near_the_real_peak() -> None:
    done = subprocess.run(
        [sys.executable, "-c", REAL],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    real, sampled = json.loads(done.stdout)
    if sampled:
        pytest.skip("this system keeps no high-water mark of memory")
    # What a library needs inside is a model of oneDNN's; other processors have other blocks.
    assert forecast_bytes(method(Convolved), (540, 960)) == pytest.approx(real, rel=0.2)


def test_shapes_alone_tell_the_same_of_a_network_that_asks_no_device() -> None:
    watched, by_shapes = (footprint_of(method(Convolved), device) for device in ("cpu", "meta"))
    assert by_shapes.bytes_at(UHD) == watched.bytes_at(UHD)


class Refusing(nn.Module):
    def forward(self, _one):
        return None


def test_without_a_network_that_runs_there_is_no_forecast() -> None:
    assert forecast_bytes(Mertens(), UHD) is None
    assert forecast_bytes(method(Refusing), UHD) is None


def test_nobodys_random_numbers_change() -> None:
    before = torch.get_rng_state()
    forecast_bytes(method(Convolved), UHD)
    assert torch.equal(torch.get_rng_state(), before)
