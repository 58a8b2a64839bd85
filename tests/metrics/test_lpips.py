"""LPIPS: the published numbers, and tiles that change nothing."""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from imageio.v3 import imread
from skimage import data

from dmef_bench.checkpoint import state_digest
from dmef_bench.errors import ImageContractError, UnavailableError, UsageError
from dmef_bench.metrics import lpips
from dmef_bench.metrics.lpips import bare_model, load_model, tiled_distance
from dmef_bench.metrics.lpips_trunk import TRUNKS

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared"
ALEX = TRUNKS["alex"]


@pytest.fixture(autouse=True)
def _one_thread():
    """Small tiles only make threads wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def shared(name):
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"needs ../shared/{name}")
    return path


@functools.cache
def random_model():
    torch.manual_seed(2018)
    return bare_model("alex")


def trunk_of(model):
    names = model.net.state_dict().items()
    return {"features." + name.split(".", 1)[1]: value for name, value in names}


def photo_pair(height, width):
    photo = np.tile(data.astronaut(), (2, 3, 1))[:height, :width]
    noise = np.random.default_rng(1).normal(0, 5, photo.shape)
    blurred = cv2.GaussianBlur(photo, (0, 0), 1.2) + noise
    return np.clip(np.rint(blurred), 0, 255).astype(np.uint8), photo


def whole_frame(model, fused, truth):
    """The package's own answer."""
    tensors = (torch.from_numpy(p.copy()).permute(2, 0, 1)[None] for p in (fused, truth))
    with torch.inference_mode():
        return float(model(*(tensor.float() / 127.5 - 1 for tensor in tensors)))


# ---- the number ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ex_p0", "ex_p1"])
def test_published_distances_come_out(name):
    weights = shared("weights/alexnet_features_torchvision_layout.pth")
    published = json.loads(shared("metrics/published_values.json").read_text())["lpips"]
    pictures = shared("metrics/lpips_imgs")
    fused, truth = (imread(pictures / f"{file}.png")[..., :3] for file in (name, "ex_ref"))
    score = lpips(fused, truth, weights=weights)
    assert round(score, 3) == published["published_alex_v0.1"][name]
    assert score == pytest.approx(published["measured_alex_v0.1"][name], abs=1e-6)


# ---- the tiles -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "core"),
    [
        ((31, 31), 16),
        ((47, 100), 32),
        ((257, 129), 128),  # the last tile's core is one pixel: it owns no cell at all
        ((301, 413), 128),
        ((301, 413), 1024),
    ],
)
def test_tiles_change_nothing(size, core):
    model = random_model()
    fused, truth = photo_pair(*size)
    tiled = tiled_distance(model, fused, truth, core=core)
    # A halo of 64 would be off by 1e-5 of the value; float32 means of the package by 1e-7.
    assert tiled == pytest.approx(whole_frame(model, fused, truth), rel=1e-6)


@given(st.integers(31, 5000), st.integers(1, 80))
def test_every_cell_is_counted_once(side, sixteenths):
    spans = list(import_module("dmef_bench.metrics.lpips")._spans(side, 16 * sixteenths, ALEX))
    for layer, (stride, cells) in enumerate(zip(ALEX.strides, ALEX.map_sides(side), strict=True)):
        counted = [
            span.pixels.start // stride + cell
            for span in spans
            for cell in range(span.cells[layer].start, span.cells[layer].stop)
        ]
        assert counted == list(range(cells))


@pytest.mark.parametrize("side", [31, 32, 63, 100, 257])
def test_map_sides_are_those_of_the_network(side):
    with torch.inference_mode():
        maps = random_model().net(torch.zeros(1, 3, side, 31))
    assert tuple(layer.shape[2] for layer in maps) == ALEX.map_sides(side)


def test_identical_pictures_are_exactly_zero_apart():
    _, truth = photo_pair(200, 300)
    assert tiled_distance(random_model(), truth, truth.copy(), core=128) == 0.0


def test_the_order_of_the_channels_matters():
    model = random_model()
    fused, truth = photo_pair(120, 130)
    rgb, bgr = (tiled_distance(model, fused[..., s], truth[..., s]) for s in ([0, 1, 2], [2, 1, 0]))
    assert abs(rgb - bgr) > 1e-3 * rgb


@pytest.mark.parametrize("core", [100, 8, -16])
def test_tiles_off_the_grid_are_refused(core):
    with pytest.raises(UsageError, match=f"core is {core}"):
        tiled_distance(random_model(), *photo_pair(64, 64), core=core)


def test_too_small_a_picture_is_refused():
    with pytest.raises(ImageContractError, match=r"40x30.*31 pixels"):
        lpips(*photo_pair(30, 40))


def test_an_unknown_trunk_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match=r"'resnet'.*alex"):
        lpips(*photo_pair(64, 64), network="resnet")


def test_building_a_model_is_silent_and_leaves_the_generator_alone(capfd, recwarn):
    state = torch.get_rng_state()
    bare_model("alex")
    assert torch.equal(torch.get_rng_state(), state)
    assert capfd.readouterr() == ("", "")
    assert not recwarn


# ---- the weights ---------------------------------------------------------------------------


@pytest.fixture
def seeded(tmp_path, monkeypatch):
    """A file with a small machine's own trunk, which for once counts as the right one."""
    tensors = trunk_of(random_model())
    path = tmp_path / "seeded.pth"
    torch.save(tensors, path)
    right = replace(ALEX.backbone, tensors_sha256=state_digest(tensors))
    monkeypatch.setitem(TRUNKS, "alex", replace(ALEX, backbone=right))
    load_model.cache_clear()
    yield path
    load_model.cache_clear()


def test_verified_weights_fill_the_trunk_once_per_process(seeded):
    model = load_model("alex", seeded, "cpu")
    assert load_model("alex", seeded, "cpu") is model
    assert state_digest(trunk_of(model)) == TRUNKS["alex"].backbone.tensors_sha256
    pair = photo_pair(64, 80)
    assert lpips(*pair, weights=seeded) == tiled_distance(random_model(), *pair)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device")
def test_a_missing_device_is_said_to_be_missing(seeded):
    with pytest.raises(UnavailableError, match="cuda"):
        lpips(*photo_pair(64, 64), weights=seeded, device="cuda")
