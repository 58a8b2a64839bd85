"""IPL as a method: whose weights, which inputs, what the cache keeps, when it streams."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from skimage import data

from dmef_bench.checkpoint import RUN_WEIGHTS
from dmef_bench.errors import CheckpointError, UnavailableError, UsageError
from dmef_bench.exposure.camera_response import Beta, Sigmoid
from dmef_bench.method import (
    CachingMethod,
    CalibratedMethod,
    StagedMethod,
    StatefulMethod,
    StreamingMethod,
    traits,
)
from dmef_bench.registry import load_method
from dmef_bench.scene import ExposureStack, to_float
from ipl.method import IPL, IPLTiny
from ipl.network import IPLConfig, IPLNetwork
from ipl.row_bands import StackRows
from ipl.weights_file import read_config, save_weights

SHORT = {"blocks": 2}


def stack(height: int = 70, width: int = 100, evs=(-1.0, 1.0, 3.0), top: int = 60) -> ExposureStack:
    """Part of a photograph, by a plain gain, uint8."""
    photo = data.astronaut()[top : top + height, 150 : 150 + width] / 2
    codes = (np.clip(photo * 2.0 ** (ev / 2), 0, 255).astype(np.uint8) for ev in evs)
    return ExposureStack(tuple(codes), evs)


@pytest.fixture
def weights(tmp_path):
    """A file of a short tiny network whose picture is not the medium exposure."""
    torch.manual_seed(3)
    config = dataclasses.replace(IPLConfig.tiny(), blocks=2)
    network = IPLNetwork(dataclasses.replace(config, init="torch"))
    network.requires_grad_(False)
    network.up.gain.weight /= 20
    network.up.gain.bias.fill_(0.7)
    network.config = config
    save_weights(network, tmp_path / "short.safetensors")
    return tmp_path / "short.safetensors"


def altered(weights, **metadata: str):
    """The same tensors under another header."""
    state = IPLTiny(weights=weights).network_in_use.state_dict()
    path = weights.with_name("altered.safetensors")
    save_file(state, path, metadata=metadata or None)
    return path


# --- weights ---------------------------------------------------------------------------------


def test_the_identity_returns_the_medium_exposure_and_says_it_is_untrained() -> None:
    method, given = IPLTiny(weights="identity", **SHORT), stack()
    assert np.array_equal(method.fuse(given), given.images[1])
    assert method.untrained
    assert method.weights_digest == ""


def test_random_weights_come_from_the_seed_and_do_something() -> None:
    given = stack()
    one, same, other = (
        IPLTiny(weights="random", seed=seed, **SHORT).fuse(given) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.allclose(one, other, atol=0.01)
    assert not np.allclose(one, given.images[1], atol=0.01)
    assert IPLTiny(checkpoint="random", **SHORT).untrained


def test_weights_bring_their_configuration(weights) -> None:
    method = IPL(weights=weights)
    assert method.config == dataclasses.replace(IPLConfig.tiny(), blocks=2)
    assert method.name == "ipl-tiny"
    assert not method.untrained
    assert len(method.weights_digest) == 64


def test_a_run_folder_serves_as_its_weights(weights, tmp_path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    weights.rename(run / RUN_WEIGHTS)
    assert read_config(run) == IPLTiny(weights=run).config
    assert IPLTiny(weights=run).config.blocks == 2


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"dims": "W"}, "dims='W' was asked for, and .*short.safetensors was made with dims='CWH'"),
        ({"blocks": 8}, "blocks=8 was asked for"),
        ({"config": IPLConfig.tiny()}, "blocks=8 was asked for"),
    ],
    ids=str,
)
def test_options_that_contradict_the_weights_are_refused(weights, asked, message) -> None:
    with pytest.raises(CheckpointError, match=message):
        IPLTiny(weights=weights, **asked)


def test_options_that_agree_with_the_weights_are_welcome(weights) -> None:
    agreed = IPLTiny(weights=weights, dims="HWC", chunks=[16, 16, 16], init="torch")
    assert agreed.config == IPLTiny(weights=weights).config


def test_the_small_name_is_not_for_a_network_of_another_width(tmp_path) -> None:
    save_weights(IPLNetwork(IPLConfig(dim=32, blocks=1)), tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match="dim=16 was asked for"):
        IPLTiny(weights=tmp_path / "w.safetensors")
    with pytest.raises(UsageError, match="others go by the name ipl"):
        IPLTiny(weights="random", dim=32)


def test_what_training_writes_is_read_again(tmp_path) -> None:
    method = IPLTiny(checkpoint="random", dims="W", drtm=False, **SHORT)
    save_file(method.network().state_dict(), tmp_path / "w.safetensors", metadata=method.header())
    again = IPL(weights=tmp_path / "w.safetensors")
    assert again.config == method.config
    given = stack()
    assert np.array_equal(again.fuse(given), given.images[1])


def test_weights_without_a_header_take_the_options(weights) -> None:
    plain = altered(weights)
    assert read_config(plain) is None
    given = stack()
    fused = IPLTiny(weights=plain, blocks=2).fuse(given)
    assert np.array_equal(fused, IPLTiny(weights=weights).fuse(given))
    with pytest.raises(CheckpointError, match="missing"):
        IPLTiny(weights=plain)


@pytest.mark.parametrize("header", ["{", '{"depth": 3}', '{"dim": 0}'])
def test_a_header_that_makes_no_sense_is_refused(weights, header) -> None:
    with pytest.raises(CheckpointError, match="its header cannot be read"):
        IPLTiny(weights=altered(weights, config=header))


@pytest.mark.parametrize(
    "grown", [{"dim": 4 * 10**8}, {"blocks": 10**9}, {"hidden": [9, 9, 10**9]}]
)
def test_a_header_that_asks_for_all_memory_is_refused(weights, grown) -> None:
    config = {**dataclasses.asdict(read_config(weights)), "grid": None, **grown}
    with pytest.raises(CheckpointError, match="They do not fit"):
        IPL(weights=altered(weights, config=json.dumps(config)))


def test_a_damaged_file_is_refused(weights) -> None:
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="header cannot be read"):
        IPLTiny(weights=weights)


def test_missing_weights_are_told(tmp_path) -> None:
    with pytest.raises(UnavailableError, match="does not exist"):
        IPLTiny(weights=tmp_path / "none.safetensors")
    if IPL(weights="random", **SHORT).shipped() is None:
        with pytest.raises(UnavailableError, match="No weights for ipl are shipped"):
            IPL()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "random", "checkpoint": "random"}, "two names of one option"),
        ({"weights": "random", "streaming": "perhaps"}, "choose auto, true or false"),
        ({"weights": "random", "response": "Film"}, "No camera response is called 'Film'"),
        ({"weights": "random", "dim": 7}, "does not fit"),
        ({"weights": "random", "cache": "sometimes"}, "cache='sometimes' does not exist"),
        ({"weights": "random", "depth": 3}, "does not take these options.*depth"),
    ],
    ids=str,
)
def test_options_that_do_not_exist_are_refused(options, message) -> None:
    with pytest.raises(UsageError, match=message):
        load_method("ipl", **options)


# --- what the harness asks -------------------------------------------------------------------


def test_the_method_keeps_every_protocol() -> None:
    method = IPLTiny(weights="random", **SHORT)
    for protocol in (StagedMethod, StatefulMethod, CachingMethod, CalibratedMethod):
        assert isinstance(method, protocol)
    assert isinstance(method, StreamingMethod)


def test_its_traits_are_those_of_the_network() -> None:
    stated = traits(IPL(weights="random", **SHORT))
    assert (stated.stride, stated.halo, stated.is_global) == (64, 65, True)
    assert (stated.exposures, stated.paper_size, stated.untrained) == (3, None, True)
    assert not traits(IPLTiny(weights="random", drtm=False, **SHORT)).is_global
    assert traits(IPLTiny(weights="random", drtm=False, lfe="eq3", **SHORT)).is_global
    assert traits(IPLTiny(weights="random", inputs="normalised", **SHORT)).needs_evs


def test_a_fresh_network_is_the_papers_and_starts_as_the_identity() -> None:
    method = IPL(weights="random", device="cpu", blocks=8)
    assert sum(p.numel() for p in method.network().parameters()) == 974_748
    exposures = torch.rand(3, 1, 3, 64, 64)
    assert torch.equal(IPLTiny(weights="random", **SHORT).network()(*exposures), exposures[1])


def test_a_halo_is_all_that_reaches_a_tile_without_maps(weights) -> None:
    state = weights.with_name("local.safetensors")
    torch.manual_seed(4)
    network = IPLNetwork(dataclasses.replace(IPLConfig.tiny(), blocks=2, drtm=False, init="torch"))
    save_weights(network, state)
    method, given = IPLTiny(weights=state), stack(192, 320)
    changed = [image.copy() for image in given.encoded]
    inside = slice(128, 192)
    for image in changed:
        image[:, : inside.start - method.halo] = 0
        image[:, inside.stop + method.halo :] = 0
    other = ExposureStack(tuple(changed), given.evs)
    assert np.array_equal(method.fuse(other)[:, inside], method.fuse(given)[:, inside])
    # One pixel less would not do.
    for image in changed:
        image[:, inside.start - method.halo] = 0
    assert not np.array_equal(method.fuse(other)[:, inside], method.fuse(given)[:, inside])


def test_bytes_words_and_floats_of_one_picture_are_fused_alike(weights) -> None:
    method, given = IPLTiny(weights=weights), stack()
    words = ExposureStack(tuple(image.astype(np.uint16) * 257 for image in given.encoded), None)
    floats = ExposureStack.from_images(given.images, None)
    fused = method.fuse(given)
    # 257 i / 65535 is i / 255, up to a rounding.
    assert np.allclose(method.fuse(words), fused, rtol=0, atol=1e-6)
    assert np.array_equal(method.fuse(floats), fused)


def test_bfloat16_is_the_same_picture_in_eight_bits(weights) -> None:
    given = stack()
    exact, short = (IPLTiny(weights=weights, dtype=dtype) for dtype in ("float32", "bfloat16"))
    difference = exact.fuse(given) - short.fuse(given)
    assert 0 < np.square(difference).mean() < 1e-4  # 40 dB


# --- exposures brought to EV 0 ---------------------------------------------------------------


@pytest.mark.parametrize("response", ["Sigmoid", Beta()], ids=str)
@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_normalised_exposures_are_those_of_the_response(kind, response) -> None:
    given = stack()
    if kind == "uint16":
        codes = tuple(image.astype(np.uint16) * 200 for image in given.encoded)
        given = ExposureStack(codes, given.evs)
    if kind == "float32":
        given = ExposureStack.from_images(given.images, given.evs)
    method = IPLTiny(weights="identity", inputs="normalised", response=response, **SHORT)
    camera = Sigmoid() if response == "Sigmoid" else response
    for tensor, image, ev in zip(method.upload(given), given.images, given.evs, strict=True):
        expected = camera.transform(image, 2.0**-ev)
        assert np.allclose(tensor[0].permute(1, 2, 0), expected, rtol=0, atol=1e-6)
    # The identity then is the medium exposure two times darker, clipped.
    assert np.allclose(
        method.fuse(given), np.clip(camera.transform(given.images[1], 0.5), 0, 1), atol=1e-6
    )


def test_nothing_of_a_dark_exposure_is_clipped() -> None:
    white = ExposureStack(3 * (np.full((64, 64, 3), 255, np.uint8),), (-1.0, 1.0, 3.0))
    low, medium, _ = IPLTiny(weights="random", inputs="normalised", **SHORT).upload(white)
    assert low.min() > 1 > medium.max()


def test_normalising_needs_evs() -> None:
    method = IPLTiny(weights="random", inputs="normalised", **SHORT)
    unknown = ExposureStack(stack().encoded, None)
    for fuse in (method.fuse, lambda given: method.fuse_rows(StackRows(given), Kept(70, 100))):
        with pytest.raises(UnavailableError, match="nobody states their EVs"):
            fuse(unknown)


# --- streaming -------------------------------------------------------------------------------


class Kept:
    """A sink."""

    def __init__(self, height: int, width: int) -> None:
        self.picture = np.zeros((height, width, 3), np.float32)

    def write(self, start: int, rows: np.ndarray) -> None:
        self.picture[start : start + len(rows)] = rows


@pytest.mark.parametrize("inputs", ["display", "normalised"])
def test_streaming_changes_nothing_but_memory(weights, inputs, tmp_path) -> None:
    config = dataclasses.replace(read_config(weights), inputs=inputs)
    file = altered(weights, config=config.to_json())
    given, sink = stack(130, 100), Kept(130, 100)
    whole = IPLTiny(weights=file, streaming=False).fuse(given)
    streamed = IPLTiny(weights=file, streaming=True).fuse(given)
    stored = IPLTiny(weights=file, streaming=True, scratch=tmp_path).fuse(given)
    IPLTiny(weights=file).fuse_rows(StackRows(given), sink)
    # Rounding: sums run in another order.
    for other in (streamed, stored, sink.picture):
        assert np.abs(other - whole).max() <= 1e-5
    assert not np.allclose(whole, given.images[1], atol=0.05)


def test_auto_streams_what_memory_cannot_hold() -> None:
    method = IPLTiny(weights="random", **SHORT)
    assert not method.streams((64, 64))
    assert method.streams((10**6, 10**6))
    assert not IPLTiny(weights="random", streaming=False, **SHORT).streams((10**6, 10**6))
    assert not IPLTiny(weights="random", shift=True, **SHORT).streams((10**6, 10**6))
    assert not IPLTiny(weights="random", cache="content", **SHORT).streams((10**6, 10**6))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shift": True}, "cannot stream: shift=True"),
        ({"lfe": "hybrid"}, "cannot stream: lfe='hybrid'"),
        ({"cache": "content"}, "cannot stream: cache='content' is about full frames"),
    ],
    ids=str,
)
def test_what_cannot_stream_says_so_at_once(options, message) -> None:
    with pytest.raises(UsageError, match=message):
        IPLTiny(weights="random", streaming=True, **SHORT, **options)
    method = IPLTiny(weights="random", **SHORT, **options)
    with pytest.raises(UsageError, match=message):
        method.fuse_rows(StackRows(stack()), Kept(70, 100))


# --- the cache -------------------------------------------------------------------------------


def test_a_calibrated_cache_answers_and_outlives_a_reset(weights) -> None:
    method, given = IPLTiny(weights=weights, cache="position", quant="none"), stack()
    exact = IPLTiny(weights=weights).fuse(given)
    assert np.array_equal(method.fuse(given), exact)  # nothing is known yet
    method.calibrate([given])
    method.reset()
    # Its own attention, read instead of computed.
    assert np.allclose(method.fuse(given), exact, rtol=0, atol=1e-5)
    counters = method.cache_counters()
    assert (counters["hits"], counters["misses"]) == (2, 0)
    assert counters["bytes"] > 0
    other = stack(top=200)
    stale = method.fuse(other)
    assert not np.allclose(stale, IPLTiny(weights=weights).fuse(other), rtol=0, atol=1e-4)


def test_a_cache_by_content_is_emptied_by_reset_and_needs_no_calibration(weights) -> None:
    method, given = IPLTiny(weights=weights, cache="content", quant="none"), stack()
    method.calibrate(iter([]))
    first = method.fuse(given)
    assert np.array_equal(method.fuse(given), first)
    assert method.cache_counters()["hits"] > 0
    method.reset()
    assert set(method.cache_counters().values()) == {0}


def test_without_a_cache_nothing_is_counted() -> None:
    method = IPLTiny(weights="random", **SHORT)
    method.calibrate(iter([]))
    method.fuse(stack())
    assert method.cache_counters() == {}


def test_codecs_are_trained_where_they_are_wanted(weights) -> None:
    method = IPLTiny(weights=weights, cache="position", quant="cnn_c", codec_steps=2)
    given = stack()
    method.calibrate([given])
    method.fuse(given)
    assert method.cache_counters()["hits"] == 2


def test_pinned_maps_serve_streams_too(weights) -> None:
    given, other = stack(), stack(top=200)
    full = IPLTiny(weights=weights, cache="pinned", quant="none", streaming=False)
    stream = IPLTiny(weights=weights, cache="pinned", quant="none", streaming=True)
    for method in (full, stream):
        method.calibrate([other])
    assert np.abs(full.fuse(given) - stream.fuse(given)).max() <= 1e-5
    exact = IPLTiny(weights=weights).fuse(given)
    assert np.abs(stream.fuse(given) - exact).max() > 1e-4


def test_float_pictures_are_what_the_codes_stand_for() -> None:
    given = stack()
    rows = StackRows(given).read(10, 20)
    for part, codes in zip(rows, given.encoded, strict=True):
        assert np.array_equal(part, to_float(codes[10:20]))
