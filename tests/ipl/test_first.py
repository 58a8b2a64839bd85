"""A network that refines what another method makes: where it starts, what it states and refuses."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from skimage import data

from dmef_bench.errors import (
    CheckpointError,
    MethodNotFoundError,
    UnavailableError,
    UsageError,
)
from dmef_bench.exposure.camera_response import Sigmoid
from dmef_bench.method import traits
from dmef_bench.registry import load_method
from dmef_bench.scene import ExposureStack, to_uint8
from ipl.method import IPL, IPLTiny
from ipl.network import IPLConfig, IPLNetwork
from ipl.row_bands import StackRows
from ipl.weights_file import save_weights

SHORT = {"blocks": 2}
KNOWN = "response-fill@response=Sigmoid"
EVS = (-1.0, 1.0, 3.0)


@pytest.fixture(scope="module")
def stack() -> ExposureStack:
    """A photograph by the default camera; between the exposures it moves by two pixels."""
    photo = data.astronaut()[40:150, 130:270] / 255
    moved = [np.roll(photo, shift, axis=1) for shift in (-2, 0, 2)]
    exposed = (Sigmoid().transform(p, 2.0**ev) for p, ev in zip(moved, EVS, strict=True))
    return ExposureStack(tuple(to_uint8(np.float32(np.clip(p, 0, 1))) for p in exposed), EVS)


@pytest.fixture
def weights(tmp_path):
    """Of a network that halves what it is given, trained behind response-fill, it says."""
    config = dataclasses.replace(IPLConfig.tiny(), blocks=2, first=KNOWN)
    network = IPLNetwork(config).requires_grad_(False)
    network.up.gain.bias.fill_(0.5)
    save_weights(network, tmp_path / "half.safetensors")
    return tmp_path / "half.safetensors"


def relabelled(weights, first: str):
    """The same weights, whose header names another method."""
    method = IPLTiny(weights=weights)
    config = dataclasses.replace(method.config, first=first)
    path = weights.with_name("relabelled.safetensors")
    save_file(method.network_in_use.state_dict(), path, metadata={"config": config.to_json()})
    return path


# --- what it makes -------------------------------------------------------------------------------


@pytest.mark.parametrize("inputs", ["display", "normalised"])
def test_an_untrained_network_returns_the_first_methods_picture(stack, inputs) -> None:
    alone = load_method("response-fill", response="Sigmoid").fuse(stack)
    method = IPLTiny(weights="identity", first=KNOWN, inputs=inputs, **SHORT)
    fused = method.fuse(stack)
    # Half a code of 16 bits, and the rounding of float32.
    assert np.abs(fused - alone).max() <= 0.5 / 65535 + 1e-6
    assert not np.allclose(fused, stack.images[1], atol=0.1)
    assert np.array_equal(method.fuse(stack), fused)


def test_the_other_exposures_stay_beside_it_as_they_are(stack) -> None:
    plain = IPLTiny(weights="identity", **SHORT).upload(stack)
    method = IPLTiny(weights="identity", first=KNOWN, **SHORT)
    low, first, high = method.inputs(method.prepare(stack))
    assert torch.allclose(low, plain[0], rtol=0, atol=1e-7)
    assert torch.allclose(high, plain[2], rtol=0, atol=1e-7)
    assert not torch.allclose(first, plain[1], rtol=0, atol=0.1)


def test_only_the_other_exposures_are_brought_to_ev_zero(stack) -> None:
    method = IPLTiny(weights="identity", first=KNOWN, inputs="normalised", **SHORT)
    prepared = method.prepare(stack)
    low, first, _ = method.inputs(prepared)
    dark = Sigmoid().transform(stack.images[0], 2.0)
    assert np.allclose(low[0].permute(1, 2, 0), dark, rtol=0, atol=1e-6)
    assert np.allclose(first[0].permute(1, 2, 0), prepared.images[1], rtol=0, atol=1e-6)


def test_bytes_words_and_floats_are_prepared_alike(stack) -> None:
    method = IPLTiny(weights="identity", first="reference", **SHORT)
    words = ExposureStack(tuple(code.astype(np.uint16) * 257 for code in stack.encoded), EVS)
    floats = ExposureStack.from_images(stack.images, EVS)
    for given in (stack, words, floats):
        prepared = method.prepare(given)
        assert prepared.evs == EVS
        for picture, code in zip(prepared.encoded, words.encoded, strict=True):
            assert np.array_equal(picture, code)


def test_the_first_method_runs_where_the_clock_runs(stack) -> None:
    method = IPLTiny(weights="identity", first="reference", **SHORT)
    given = method.upload(stack)
    assert given is stack  # nothing is computed yet
    assert np.array_equal(method.download(method.compute(given)), method.fuse(stack))


def test_a_cache_by_position_is_filled_behind_the_first_method(stack, weights) -> None:
    method = IPLTiny(weights=weights, cache="position", quant="none")
    method.calibrate([stack])
    method.reset()
    exact = IPLTiny(weights=weights).fuse(stack)
    assert np.allclose(method.fuse(stack), exact, rtol=0, atol=1e-5)
    assert method.cache_counters()["hits"] == 2


# --- what it states ------------------------------------------------------------------------------


def test_its_needs_are_those_of_both() -> None:
    for first, needs in (("response-fill", True), ("reference", False)):
        method = IPLTiny(weights="identity", first=first, drtm=False, **SHORT)
        stated = traits(method)
        assert (stated.needs_evs, stated.is_global) == (needs, needs)
        assert method.preparation == first
        assert stated.stride == 64
    assert IPLTiny(weights="identity", **SHORT).preparation == ""


def test_weights_name_the_first_method_and_its_options(stack, weights) -> None:
    method = IPL(weights=weights)
    assert method.config.first == KNOWN
    assert method.header()["config"] == method.config.to_json()
    half = load_method("response-fill", response="Sigmoid").fuse(stack) / 2
    assert np.abs(method.fuse(stack) - half).max() <= 1e-5


def test_whoever_names_its_options_has_the_last_word(weights) -> None:
    assert IPLTiny(weights=weights, first="response-fill").config.first == "response-fill"


def test_without_evs_it_says_who_needs_them(stack, weights) -> None:
    with pytest.raises(UnavailableError, match="response-fill needs the exposures' EVs"):
        IPLTiny(weights=weights).fuse(ExposureStack(stack.encoded, None))


# --- what it refuses -----------------------------------------------------------------------------


def test_weights_for_another_first_method_are_refused(weights, tmp_path) -> None:
    with pytest.raises(CheckpointError, match="first='mertens' was asked for"):
        IPLTiny(weights=weights, first="mertens")
    with pytest.raises(CheckpointError, match="first='' was asked for"):
        IPLTiny(weights=weights, first="")
    plain = dataclasses.replace(IPLConfig.tiny(), blocks=2)
    save_weights(IPLNetwork(plain), tmp_path / "plain.safetensors")
    with pytest.raises(CheckpointError, match="made with first=''"):
        IPLTiny(weights=tmp_path / "plain.safetensors", first="mertens")


@pytest.mark.parametrize(
    "first", ["{path}:Evil", "os:system", "ipl-tiny@weights=identity,first={path}:Evil"]
)
def test_no_header_makes_code_run(weights, tmp_path, first) -> None:
    evil = tmp_path / "evil.py"
    evil.write_text("raise SystemExit('code of a header ran')\n")
    with pytest.raises(CheckpointError, match="is no installed method"):
        IPLTiny(weights=relabelled(weights, first.format(path=evil)))


@pytest.mark.parametrize(
    ("first", "error", "message"),
    [
        ("respons-fill", MethodNotFoundError, "did you mean response-fill"),
        ("response-fill@response=Film", UsageError, "give estimate or a model"),
        ("tone-curve", UsageError, "looks at the ground truth"),
    ],
)
def test_a_first_method_that_cannot_be_is_refused(first, error, message) -> None:
    with pytest.raises(error, match=message):
        IPLTiny(weights="identity", first=first, **SHORT)


def test_it_does_not_stream(stack) -> None:
    with pytest.raises(UsageError, match="cannot stream: first=reference fuses the whole frame"):
        IPLTiny(weights="identity", first="reference", streaming=True, **SHORT)
    method = IPLTiny(weights="identity", first="reference", **SHORT)
    assert not method.streams((10**6, 10**6))
    with pytest.raises(UsageError, match="cannot stream"):
        method.fuse_rows(StackRows(stack), None)


def test_missing_weights_behind_a_first_method_are_told() -> None:
    with pytest.raises(UnavailableError, match="No weights for ipl-tiny are shipped"):
        IPLTiny(first="../weights/x")
