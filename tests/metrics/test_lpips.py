"""LPIPS: the published numbers, tiles that change nothing, and weights that are what they claim."""

from __future__ import annotations

import functools
import hashlib
import json
import threading
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
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
from dmef_bench.metrics.lpips_backbone import TRUNKS, find_backbone, read_backbone

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
def nowhere(tmp_path, monkeypatch):
    """A machine without weights or a network to get them from."""
    for variable in ("HOME", "XDG_CACHE_HOME", "TORCH_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.delenv("DMEF_WEIGHTS", raising=False)
    monkeypatch.setenv("DMEF_OFFLINE", "1")
    load_model.cache_clear()
    yield tmp_path
    load_model.cache_clear()


@pytest.fixture
def seeded(nowhere, monkeypatch):
    """A file with a small machine's own trunk, which for once counts as the right one."""
    tensors = trunk_of(random_model())
    path = nowhere / "seeded.pth"
    torch.save(tensors, path)
    monkeypatch.setitem(TRUNKS, "alex", replace(ALEX, tensors_sha256=state_digest(tensors)))
    return path


def put(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())


def test_the_digest_is_the_documented_recipe():
    tensors = {"b": torch.tensor([[1.0, 2.0]]), "a": torch.tensor([0.5])}
    text = b"a\0(1,)\0" + np.float32(0.5).tobytes() + b"b\0(1, 2)\0" + np.float32([1, 2]).tobytes()
    assert state_digest(tensors) == hashlib.sha256(text).hexdigest()


def test_the_digest_recognises_the_shared_trunk_however_it_was_saved(tmp_path):
    tensors = read_backbone(shared("weights/alexnet_features_torchvision_layout.pth"), "alex")
    classifier = {"classifier.1.bias": torch.zeros(3)}
    torch.save(dict(reversed(tensors.items())) | classifier, tmp_path / "saved_again.pth")
    assert set(read_backbone(tmp_path / "saved_again.pth", "alex")) == set(tensors)


def test_weights_are_looked_for_in_the_stated_order(seeded, nowhere, monkeypatch):
    monkeypatch.setenv("DMEF_WEIGHTS", str(nowhere / "weights"))
    places = [
        nowhere / "XDG_CACHE_HOME" / "dmef" / ALEX.file,
        nowhere / "TORCH_HOME" / "hub" / "checkpoints" / ALEX.file,
        nowhere / "weights" / ALEX.trunk_file,
        nowhere / "weights" / ALEX.file,
    ]
    for place in places:  # from the last resort upwards, each one hides the ones before
        put(seeded, place)
        assert find_backbone() == place
    assert find_backbone(weights=seeded) == seeded


def test_verified_weights_fill_the_trunk_once_per_process(seeded):
    model = load_model("alex", seeded, "cpu")
    assert load_model("alex", seeded, "cpu") is model
    assert state_digest(trunk_of(model)) == TRUNKS["alex"].tensors_sha256
    pair = photo_pair(64, 80)
    assert lpips(*pair, weights=seeded) == tiled_distance(random_model(), *pair)


def test_without_weights_the_message_says_where_from_where_to_and_what(nowhere):
    with pytest.raises(UnavailableError) as caught:
        lpips(*photo_pair(64, 64))
    for part in (
        ALEX.url,
        str(nowhere),
        ALEX.file_sha256_begins,
        ALEX.tensors_sha256,
        "works offline",
    ):
        assert part in str(caught.value)


def test_offline_may_be_asked_for_by_argument(nowhere, monkeypatch):
    monkeypatch.delenv("DMEF_OFFLINE")
    with pytest.raises(UnavailableError, match="dmef works offline"):
        find_backbone(offline=True)


def test_an_explicit_file_that_is_missing_is_an_error_whatever_else_is_there(seeded, monkeypatch):
    monkeypatch.setenv("DMEF_WEIGHTS", str(seeded.parent))
    put(seeded, seeded.parent / ALEX.file)
    with pytest.raises(UnavailableError, match=r"absent\.pth is no file"):
        find_backbone(weights=seeded.parent / "absent.pth")


def test_wrong_weights_are_named_with_both_digests(nowhere):
    path = nowhere / "random.pth"
    tensors = trunk_of(random_model())
    torch.save(tensors, path)
    with pytest.raises(UnavailableError) as caught:
        find_backbone(weights=path)
    for part in (str(path), state_digest(tensors), ALEX.tensors_sha256):
        assert part in str(caught.value)


def one_bit_off(content):
    return content[:-40_000] + bytes([content[-40_000] ^ 1]) + content[-39_999:]


def cut_short(content):
    return content[: len(content) // 2]


def emptied(content):
    return content[:0]


def replaced_by_a_web_page(content):
    return b"<html>" + content[:0] + b"</html>"


@pytest.mark.parametrize("damage", [one_bit_off, cut_short, emptied, replaced_by_a_web_page])
def test_damaged_weights_are_refused_by_name(seeded, damage):
    seeded.write_bytes(damage(seeded.read_bytes()))
    with pytest.raises(UnavailableError) as caught:
        find_backbone(weights=seeded)
    assert str(seeded) in str(caught.value)
    assert TRUNKS["alex"].tensors_sha256 in str(caught.value)


def test_a_pickle_that_would_run_code_is_not_run(nowhere):
    torch.save({"features.0.weight": Path("harmless")}, nowhere / "object.pth")
    with pytest.raises(UnavailableError, match=r"object\.pth cannot be read"):
        find_backbone(weights=nowhere / "object.pth")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device")
def test_a_missing_device_is_said_to_be_missing(seeded):
    with pytest.raises(UnavailableError, match="cuda"):
        lpips(*photo_pair(64, 64), weights=seeded, device="cuda")


# ---- the download, from a real server on this machine --------------------------------------


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def served(seeded, nowhere, monkeypatch):
    """The trunk's URL leads to a local server, which has ``seeded`` to give."""
    monkeypatch.delenv("DMEF_OFFLINE")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=nowhere))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    begins = hashlib.sha256(seeded.read_bytes()).hexdigest()[:8]
    url = f"http://127.0.0.1:{server.server_port}/{seeded.name}"
    here = replace(TRUNKS["alex"], url=url, file_sha256_begins=begins)
    monkeypatch.setitem(TRUNKS, "alex", here)
    yield nowhere / "XDG_CACHE_HOME" / "dmef"
    server.shutdown()
    server.server_close()


def test_a_download_lands_in_the_cache_and_is_found_again_offline(served):
    assert find_backbone() == served / ALEX.file
    assert find_backbone(offline=True) == served / ALEX.file
    assert [path.name for path in served.iterdir()] == [ALEX.file]


def test_a_download_of_something_else_is_thrown_away(served, monkeypatch):
    monkeypatch.setitem(TRUNKS, "alex", replace(TRUNKS["alex"], file_sha256_begins="7be5be79"))
    with pytest.raises(UnavailableError, match="the download has sha256"):
        find_backbone()
    assert not list(served.iterdir())


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/alexnet.pth", "absent.pth"])
def test_a_failed_download_is_unavailable_not_a_crash(served, monkeypatch, url):
    if url == "absent.pth":  # the server is there, the file is not
        url = TRUNKS["alex"].url.replace("seeded", "absent")
    monkeypatch.setitem(TRUNKS, "alex", replace(TRUNKS["alex"], url=url))
    with pytest.raises(UnavailableError, match="the download failed"):
        find_backbone()
