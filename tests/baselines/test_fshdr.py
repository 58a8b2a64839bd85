"""FSHDR: the authors' network under our names, its checkpoints, and the published cost."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from baselines.fshdr import BridgeNet, from_keras
from dmef_bench.errors import UsageError
from tests.baselines.golden import check_golden, flops, peak_maps

GOLDEN = "fshdr_6ch_48x40"
SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
KERAS = {
    ("encoder_low.0", "encoder_medium.0", "encoder_high.0"): ("1", "0", "2"),
    ("encoder_low.1", "encoder_medium.1", "encoder_high.1"): ("4", "3", "6"),
    ("encoder_low.2", "encoder_medium.2", "encoder_high.2"): ("9", "8", "11"),
    ("bridge_low.0", "bridge_high.0"): ("5", "7"),
    ("bridge_low.1", "bridge_high.1"): ("10", "12"),
    ("bridge_low.2", "bridge_high.2"): ("13", "14"),
    ("dilated.0.0", "dilated.0.1", "dilated.0.2"): ("15/conv1", "15/conv2", "15/conv3"),
    ("dilated.1.0", "dilated.1.1", "dilated.1.2"): ("16/conv1", "16/conv2", "16/conv3"),
    ("output",): ("17",),
}
"""The correspondence of layers as the authors' checkpoint index shows it."""


def keras_arrays(state: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """A checkpoint of the authors', with what else lies in one."""
    arrays = {"save_counter" + SUFFIX: np.int64(7), "_CHECKPOINTABLE_OBJECT_GRAPH": np.array(b"")}
    for ours, theirs in KERAS.items():
        for layer, number in zip(ours, theirs, strict=True):
            name = f"layer_with_weights-{number}"
            kernel = state[f"{layer}.weight"].numpy().transpose(2, 3, 1, 0)
            arrays[f"{name}/kernel{SUFFIX}"] = kernel
            arrays[f"{name}/kernel/.OPTIMIZER_SLOT/optimizer/m{SUFFIX}"] = np.zeros_like(kernel)
            arrays[f"{name}/bias{SUFFIX}"] = state[f"{layer}.bias"].numpy()
    return arrays


def test_the_golden_tells_low_from_high():
    network = BridgeNet()
    network.forward = lambda low, medium, high: BridgeNet.forward(network, high, medium, low)
    with pytest.raises(AssertionError, match="Mismatched elements"):
        check_golden(network, GOLDEN)


@pytest.mark.parametrize("channels", [6, 3])
def test_its_parameters_carry_the_documented_names_and_shapes(channels):
    inputs = [channels, 64, 64, 128, 192, 192, 192, 384, 576]
    widths = dict(zip(KERAS, inputs, strict=True))
    weights = {
        layer: (3 if layer == "output" else 64, widths[layers], 3, 3)
        for layers in KERAS
        for layer in layers
    }
    expected = {f"{layer}.weight": shape for layer, shape in weights.items()}
    expected |= {f"{layer}.bias": shape[:1] for layer, shape in weights.items()}
    state = BridgeNet(channels).state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == expected


@pytest.mark.parametrize(
    ("channels", "parameters", "flop_per_pixel"),
    [(6, 1_833_603, 3_664_512), (3, 1_828_419, 3_654_144)],
)
def test_it_costs_what_was_published(channels, parameters, flop_per_pixel):
    network = BridgeNet(channels)
    assert len(network.state_dict()) == 44
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert flops(network, channels, 64, 40) == 64 * 40 * flop_per_pixel
    with torch.inference_mode():
        assert flops(network, channels, 64, 40) == 64 * 40 * flop_per_pixel


def test_table_1_prints_its_flops_at_512_squared():
    # The paper prints 957.92, eight millionths more.
    assert flops(BridgeNet(3), 3, 512, 512) / 1e9 == pytest.approx(957.912, abs=5e-4)


def test_inference_holds_no_more_maps_than_both_blocks_need():
    # 3 x 192 maps that lie together, and the base, or the three maps being written, beside them.
    assert peak_maps(BridgeNet(), 6) == 3 * 192 + 192


@pytest.mark.parametrize("channels", [6, 3])
def test_a_keras_checkpoint_comes_back_as_our_state(channels):
    state = BridgeNet(channels).state_dict()
    loaded = from_keras(keras_arrays(state))
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[key], state[key]) for key in state)
    assert all(value.dtype == torch.float32 for value in loaded.values())
    BridgeNet(channels).load_state_dict(loaded, strict=True)


def test_a_loaded_checkpoint_owns_its_memory():
    arrays = keras_arrays(BridgeNet().state_dict())
    loaded = from_keras(arrays)
    arrays[f"layer_with_weights-17/bias{SUFFIX}"][:] = 9
    assert not (loaded["output.bias"] == 9).any()


def test_missing_variables_are_listed():
    arrays = keras_arrays(BridgeNet().state_dict())
    gone = [f"layer_with_weights-{n}{SUFFIX}" for n in ("4/bias", "16/conv2/kernel", "0/kernel")]
    for name in gone:
        del arrays[name]
    with pytest.raises(UsageError, match="Pass all that") as caught:
        from_keras(arrays)
    assert all(f"{name} is missing" in str(caught.value) for name in gone)
    assert str(caught.value).count("layer_with_weights-") == len(gone)


def test_misshaped_variables_are_listed_with_both_shapes():
    arrays = keras_arrays(BridgeNet().state_dict())
    arrays[f"layer_with_weights-3/kernel{SUFFIX}"] = np.zeros((64, 64, 3, 3), np.float32)
    arrays[f"layer_with_weights-17/bias{SUFFIX}"] = np.float32(1)
    with pytest.raises(UsageError) as caught:
        from_keras(arrays)
    message = str(caught.value)
    assert (
        f"layer_with_weights-3/kernel{SUFFIX} is (64, 64, 3, 3) instead of (3, 3, 64, 64)"
        in message
    )
    assert f"layer_with_weights-17/bias{SUFFIX} is () instead of (3,)" in message
    assert message.count("layer_with_weights-") == 2


def test_encoders_of_different_inputs_are_refused():
    arrays = keras_arrays(BridgeNet(6).state_dict())
    name = f"layer_with_weights-1/kernel{SUFFIX}"
    arrays[name] = arrays[name][:, :, :3]
    with pytest.raises(UsageError, match=r"is \(3, 3, 3, 64\) instead of \(3, 3, 6, 64\)"):
        from_keras(arrays)


def test_something_else_altogether_is_refused():
    with pytest.raises(UsageError) as caught:
        from_keras({})
    assert str(caught.value).count("is missing") == 44
