"""The rolling transformation: matrices along axes instead of permuted convolutions, globally."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from ipl.drtm import DRTM, GROUP_CHANNELS, MIXED_AXES, PERMUTATIONS

WIDTH = 24


def module(**options: object) -> DRTM:
    torch.manual_seed(12)
    return DRTM(WIDTH, **options).requires_grad_(False)


def features(height: int = 10, width: int = 40, count: int = 2) -> Tensor:
    return torch.randn(count, WIDTH, height, width, generator=torch.Generator().manual_seed(4))


def along(axis: str, stage: torch.nn.Conv2d, cube: Tensor) -> Tensor:
    """GELU of one matrix on one axis of (N, C, H, W), as an Einstein sum."""
    index = {"C": 1, "H": 2, "W": 3}[axis]
    mixed = torch.tensordot(cube.movedim(index, -1), stage.weight[:, :, 0, 0], ([-1], [1]))
    bias = 0 if stage.bias is None else stage.bias
    return functional.gelu(mixed + bias).movedim(-1, index)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("roll", ["chw", "mixnet"])
def test_matrices_along_axes_equal_convolutions_and_permutations(roll: str, bias: bool) -> None:
    rolling, x = module(roll=roll, bias=bias), features()
    assert torch.allclose(rolling.map(x), rolling.map(x, "loop"), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("roll", "axes"), [("chw", "CHW"), ("mixnet", "CCH")])
def test_each_roll_mixes_the_axes_it_says(roll: str, axes: str) -> None:
    assert MIXED_AXES[roll] == axes
    # At the size of the cube nothing is resampled.
    rolling, cube = module(roll=roll), features(WIDTH, WIDTH)
    expected = cube
    for axis, stage in zip(axes, rolling.stages, strict=True):
        expected = along(axis, stage, expected)
    assert torch.allclose(rolling.map(cube, "loop"), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("roll", PERMUTATIONS)
def test_three_rolls_are_the_identity(roll: str) -> None:
    rolled = cube = torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    for permutation in PERMUTATIONS[roll]:
        rolled = rolled.permute(permutation)
    assert torch.equal(rolled, cube)


def test_mixnet_never_mixes_columns() -> None:
    rolling, cube = module(roll="mixnet"), features(WIDTH, WIDTH)
    changed = cube.clone()
    changed[:, :, :, 7] += 1
    columns = (rolling.map(cube) != rolling.map(changed)).any(0).any(0).any(0)
    assert torch.nonzero(columns).flatten().tolist() == [7]


def test_the_map_is_global() -> None:
    rolling, x = module(), features(48, 48)
    changed = x.clone()
    changed[:, 5, 47, 0] += 3
    assert (rolling.map(x) != rolling.map(changed)).float().mean() > 0.9


@pytest.mark.parametrize("form", ["loop", "batched", "banded"])
def test_features_gain_their_product_with_the_enlarged_map(form: str) -> None:
    rolling, x = module(), features()
    map_ = rolling.map(x)
    assert map_.shape == (2, WIDTH, WIDTH, WIDTH)
    enlarged = functional.interpolate(map_, (10, 40), mode="bilinear", align_corners=True)
    assert torch.allclose(
        rolling.apply_map(x.clone(), map_, form), x * (1 + enlarged), rtol=1e-6, atol=1e-6
    )
    assert torch.allclose(rolling(x.clone(), form), x * (1 + enlarged), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("height", [16, 64])
def test_corners_of_features_and_map_coincide(height: int) -> None:
    rolling, x = module(), features(height, height)
    corners = [0, 0, -1, -1], [0, -1, 0, -1]
    map_ = torch.randn(2, WIDTH, WIDTH, WIDTH, generator=torch.Generator().manual_seed(1))
    gained = rolling.apply_map(x, map_)[:, :, *corners]
    expected = x[:, :, *corners] * (1 + map_[:, :, *corners])
    assert torch.allclose(gained, expected, rtol=0, atol=1e-5)


def test_banded_works_in_place_and_reaches_every_channel() -> None:
    assert WIDTH % GROUP_CHANNELS
    for width in (GROUP_CHANNELS, WIDTH):
        torch.manual_seed(12)
        rolling, x = DRTM(width).requires_grad_(False), features()[:, :width].clone()
        expected = rolling(x)
        assert rolling(x, "banded").data_ptr() == x.data_ptr()
        assert torch.allclose(x, expected, rtol=1e-6, atol=1e-6)


def test_gradients_of_the_axis_form_are_those_of_the_permuted_one() -> None:
    gradients = {}
    for form in ("loop", "batched"):
        rolling, x = module().requires_grad_(True), features().requires_grad_(True)
        rolling(x, form).square().mean().backward()
        gradients[form] = [x.grad, *(p.grad for p in rolling.parameters())]
    for ours, theirs in zip(*gradients.values(), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4 * float(theirs.abs().max()))
