"""The perceptual loss is that of VGG16's maps, and stands beside the distance of a recipe."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage import data
from torchvision.models import vgg16
from torchvision.models.feature_extraction import create_feature_extractor

from dmef_bench.errors import UnavailableError, UsageError
from dmef_bench.metrics.backbone import BACKBONES
from dmef_bench.training.criterion import Criterion, load_criterion
from dmef_bench.training.losses import distance, mu_law
from dmef_bench.training.perceptual import Perceptual, load_perceptual
from dmef_bench.training.recipe import Recipe

BOTH = Recipe(perceptual=0.01, crop=64, batch=2, validate_every=2)


@pytest.fixture(scope="module")
def network():
    """torchvision's own VGG16, with random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(16)
        return vgg16(weights=None, init_weights=False).eval()


@pytest.fixture(scope="module")
def perceptual(network):
    return Perceptual(network.state_dict())


@pytest.fixture(scope="module")
def pair():
    """Two crops of a photograph, and what half the light makes of them."""
    photo = np.float32(data.astronaut()) / 255
    truth = torch.from_numpy(np.stack([photo[:64, :72], photo[200:264, 100:172]]))
    truth = truth.permute(0, 3, 1, 2).contiguous()
    return truth * 0.5, truth


@pytest.fixture
def weights(network, tmp_path, monkeypatch):
    """A checkpoint of random weights, which for once counts as the right one."""
    path = tmp_path / "vgg16.pth"
    torch.save(network.features.state_dict(prefix="features."), path)
    begins = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    here = replace(BACKBONES["vgg16"], file=path.name, file_sha256_begins=begins)
    monkeypatch.setitem(BACKBONES, "vgg16", here)
    monkeypatch.setenv("DMEF_WEIGHTS", str(tmp_path))
    return path


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No weights, and no network to get them from."""
    for variable in ("DMEF_WEIGHTS", "TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "nowhere"))
    monkeypatch.setenv("DMEF_OFFLINE", "1")


def test_it_is_the_distance_of_torchvisions_maps(network, perceptual, pair) -> None:
    # relu1_2, relu2_2, relu3_3 and relu4_3 of "features".
    nodes = [f"features.{index}" for index in (3, 8, 15, 22)]
    maps = create_feature_extractor(network, nodes)
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    deviation = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    with torch.inference_mode():
        one, two = (maps((picture - mean) / deviation) for picture in pair)
        wanted = sum(float((one[node] - two[node]).abs().mean()) for node in nodes)
        assert float(perceptual(*pair)) == pytest.approx(wanted, rel=1e-6)


def test_equal_pictures_are_no_distance_apart(perceptual, pair) -> None:
    assert float(perceptual(pair[1], pair[1])) == 0


def test_the_picture_learns_and_vgg16_does_not(perceptual, pair) -> None:
    fused = pair[0].clone().requires_grad_()
    perceptual(fused, pair[1]).backward()
    assert float(fused.grad.abs().max()) > 0
    assert all(part.grad is None for part in perceptual.parameters())
    assert not any(part.requires_grad for part in perceptual.parameters())


@pytest.mark.parametrize("linear", [False, True])
def test_a_recipe_adds_its_share_where_people_look(perceptual, pair, linear) -> None:
    seen = [mu_law(picture) for picture in pair] if linear else pair
    wanted = distance(*pair, "l1", linear=linear) + 0.01 * perceptual(*seen)
    loss = Criterion(BOTH, perceptual)(*pair, linear=linear)
    assert float(loss) == pytest.approx(float(wanted), rel=1e-6)


def test_a_recipe_without_a_share_needs_no_vgg16(nowhere, pair) -> None:
    criterion = load_criterion(Recipe(), "cpu")
    assert torch.equal(criterion(*pair, linear=False), distance(*pair, "l1", linear=False))


def test_verified_weights_are_loaded(weights, perceptual, pair) -> None:
    assert torch.equal(load_perceptual()(*pair), perceptual(*pair))


def test_without_weights_nothing_begins_and_the_way_out_is_named(nowhere, run, tmp_path) -> None:
    with pytest.raises(UnavailableError, match=r"vgg16-397923af\.pth.*perceptual = 0") as caught:
        run("never", recipe=BOTH)
    assert BACKBONES["vgg16"].url in str(caught.value)
    assert not (tmp_path / "never").exists()


def test_a_run_learns_from_it(weights, run) -> None:
    losses = []
    for name, share in (("without", 0.0), ("with", 0.01)):
        folder = run(name, steps=2, recipe=replace(BOTH, perceptual=share))
        losses.append(float((folder / "log.csv").read_text().splitlines()[1].split(",")[3]))
    assert losses[1] > losses[0] > 0


def test_a_negative_share_is_refused() -> None:
    with pytest.raises(UsageError, match="perceptual is -1"):
        Recipe(perceptual=-1)
