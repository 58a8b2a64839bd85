"""Weights of others are found in the stated order, and are what they claim to be, or refused."""

from __future__ import annotations

import functools
import hashlib
import threading
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from dmef_bench.checkpoint import state_digest
from dmef_bench.errors import UnavailableError
from dmef_bench.metrics.backbone import BACKBONES

ALEX = BACKBONES["alexnet"]


def tensors(seed=0):
    draw = torch.Generator().manual_seed(seed)
    return {
        "features.0.weight": torch.randn(64, 3, 11, 11, generator=draw),
        "features.0.bias": torch.randn(64, generator=draw),
    }


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A machine without weights or a network to get them from."""
    for variable in ("HOME", "XDG_CACHE_HOME", "TORCH_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.delenv("DMEF_WEIGHTS", raising=False)
    monkeypatch.setenv("DMEF_OFFLINE", "1")
    return tmp_path


@pytest.fixture
def seeded(nowhere):
    """A file of random weights."""
    path = nowhere / "seeded.pth"
    torch.save(tensors(), path)
    return path


@pytest.fixture(params=["tensors", "bytes"])
def backbone(request, seeded):
    """One that counts the seeded weights as the right ones, and how it knows them."""
    if request.param == "tensors":
        return replace(ALEX, tensors_sha256=state_digest(tensors()))
    begins = hashlib.sha256(seeded.read_bytes()).hexdigest()[:8]
    return replace(ALEX, tensors_sha256=None, trunk_file=None, file_sha256_begins=begins)


def put(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())


# ---- what they are known by ----------------------------------------------------------------


def test_the_digest_is_the_documented_recipe():
    state = {"b": torch.tensor([[1.0, 2.0]]), "a": torch.tensor([0.5])}
    text = b"a\0(1,)\0" + np.float32(0.5).tobytes() + b"b\0(1, 2)\0" + np.float32([1, 2]).tobytes()
    assert state_digest(state) == hashlib.sha256(text).hexdigest()


def test_the_digest_recognises_the_shared_trunk_however_it_was_saved(tmp_path, shared):
    found = ALEX.read(shared("weights/alexnet_features_torchvision_layout.pth"))
    classifier = {"classifier.1.bias": torch.zeros(3)}
    torch.save(dict(reversed(found.items())) | classifier, tmp_path / "saved_again.pth")
    assert set(ALEX.read(tmp_path / "saved_again.pth")) == set(found)


def test_a_name_that_states_a_hash_states_the_right_one():
    for known in BACKBONES.values():
        assert known.file.endswith(f"-{known.file_sha256_begins}.pth")
        assert known.url.endswith(f"/{known.file}")


# ---- where they are found ------------------------------------------------------------------


def test_weights_are_looked_for_in_the_stated_order(backbone, seeded, nowhere, monkeypatch):
    monkeypatch.setenv("DMEF_WEIGHTS", str(nowhere / "weights"))
    places = [
        nowhere / "XDG_CACHE_HOME" / "dmef" / backbone.file,
        nowhere / "TORCH_HOME" / "hub" / "checkpoints" / backbone.file,
        *([nowhere / "weights" / backbone.trunk_file] if backbone.trunk_file else []),
        nowhere / "weights" / backbone.file,
    ]
    for place in places:  # from the last resort upwards, each one hides the ones before
        put(seeded, place)
        assert backbone.find() == place
    assert backbone.find(seeded) == seeded


def test_without_weights_the_message_says_where_from_where_to_and_what(nowhere):
    with pytest.raises(UnavailableError) as caught:
        ALEX.find()
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
        ALEX.find(offline=True)


def test_an_explicit_file_that_is_missing_is_an_error_whatever_else_is_there(
    backbone, seeded, monkeypatch
):
    monkeypatch.setenv("DMEF_WEIGHTS", str(seeded.parent))
    put(seeded, seeded.parent / backbone.file)
    with pytest.raises(UnavailableError, match=r"absent\.pth is no file"):
        backbone.find(seeded.parent / "absent.pth")


# ---- what is refused -----------------------------------------------------------------------


def test_wrong_tensors_are_named_with_both_digests(seeded):
    with pytest.raises(UnavailableError) as caught:
        ALEX.find(seeded)
    for part in (str(seeded), state_digest(tensors()), ALEX.tensors_sha256):
        assert part in str(caught.value)


def test_wrong_bytes_are_named_with_both_digests(seeded):
    with pytest.raises(UnavailableError) as caught:
        BACKBONES["vgg16"].find(seeded)
    for part in (str(seeded), hashlib.sha256(seeded.read_bytes()).hexdigest(), "397923af"):
        assert part in str(caught.value)


def one_bit_off(content):
    return content[:-8_000] + bytes([content[-8_000] ^ 1]) + content[-7_999:]


def cut_short(content):
    return content[: len(content) // 2]


def emptied(content):
    return content[:0]


def replaced_by_a_web_page(content):
    return b"<html>" + content[:0] + b"</html>"


@pytest.mark.parametrize("damage", [one_bit_off, cut_short, emptied, replaced_by_a_web_page])
def test_damaged_weights_are_refused_by_name(backbone, seeded, damage):
    seeded.write_bytes(damage(seeded.read_bytes()))
    with pytest.raises(UnavailableError) as caught:
        backbone.find(seeded)
    assert str(seeded) in str(caught.value)
    assert (backbone.tensors_sha256 or backbone.file_sha256_begins) in str(caught.value)


def test_a_pickle_that_would_run_code_is_not_run(nowhere):
    torch.save({"features.0.weight": Path("harmless")}, nowhere / "object.pth")
    with pytest.raises(UnavailableError, match=r"object\.pth cannot be read"):
        ALEX.find(nowhere / "object.pth")


# ---- the download, from a real server on this machine --------------------------------------


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def served(backbone, seeded, nowhere, monkeypatch):
    """A backbone whose URL leads to a local server, which has ``seeded`` to give."""
    monkeypatch.delenv("DMEF_OFFLINE")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=nowhere))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    begins = hashlib.sha256(seeded.read_bytes()).hexdigest()[:8]
    url = f"http://127.0.0.1:{server.server_port}/{seeded.name}"
    yield replace(backbone, url=url, file_sha256_begins=begins)
    server.shutdown()
    server.server_close()


def test_a_download_lands_in_the_cache_and_is_found_again_offline(served, nowhere):
    cache = nowhere / "XDG_CACHE_HOME" / "dmef"
    assert served.find() == cache / served.file
    assert served.find(offline=True) == cache / served.file
    assert [path.name for path in cache.iterdir()] == [served.file]


def test_a_download_of_something_else_is_thrown_away(served, nowhere):
    with pytest.raises(UnavailableError, match="the download has sha256"):
        replace(served, file_sha256_begins="7be5be79").find()
    assert not list((nowhere / "XDG_CACHE_HOME" / "dmef").iterdir())


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/alexnet.pth", "absent.pth"])
def test_a_failed_download_is_unavailable_not_a_crash(served, url):
    if url == "absent.pth":  # the server is there, the file is not
        url = served.url.replace("seeded", "absent")
    with pytest.raises(UnavailableError, match="the download failed"):
        replace(served, url=url).find()
