"""What every network baseline is measured against: golden outputs, FLOPs, maps held at once."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dmef_bench.harness.dry_run import LiveBytes

DATA = Path(__file__).resolve().parents[1] / "data"
RECIPE = "dmef-golden-1"
TOLERANCE = 2e-5
"""Float32 strays 1e-6 from float64, machines 2e-6 from one another; mistakes at least 1.5e-4."""


def golden_tensor(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """The value of the parameter called ``key``, float32; the name is its seed."""
    # RandomState, not default_rng: NumPy freezes its stream for ever.
    noise = np.random.RandomState(zlib.crc32(key.encode())).standard_normal(shape)
    if key.endswith("relative_position_bias_table"):
        value = 0.7 * noise
    elif key.endswith("temperature"):
        value = 1 + 1.5 * np.abs(noise)
    elif not key.endswith(".weight"):
        value = 0.1 * noise
    elif len(shape) == 1:
        value = 1 + 0.1 * noise
    else:
        value = 1.2 / math.sqrt(math.prod(shape[1:])) * noise
    return value.astype(np.float32)


def golden_state(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """A value for every parameter of {key: shape}."""
    return {key: golden_tensor(key, tuple(shape)) for key, shape in shapes.items()}


def golden_inputs(channels: int, height: int, width: int) -> tuple[np.ndarray, ...]:
    """Low, medium and high exposure, each (1, channels, height, width), uniform in [0, 1)."""
    drawn = np.random.RandomState(20250).random_sample((3, 1, channels, height, width))
    return tuple(drawn.astype(np.float32))


def golden_network(network: nn.Module) -> nn.Module:
    """The network with the golden parameters, in evaluation mode.

    Loading is strict, so a state that holds more than parameters (a stray buffer) fails here.
    """
    shapes = {key: tuple(value.shape) for key, value in network.named_parameters()}
    values = {key: torch.from_numpy(value) for key, value in golden_state(shapes).items()}
    network.load_state_dict(values, strict=True)
    return network.eval()


def golden_config(name: str) -> dict[str, object]:
    """The constructor arguments behind ``tests/data/<name>.npz``."""
    return json.loads(str(np.load(DATA / f"{name}.npz")["config"]))


def check_golden(network: nn.Module, name: str, device: str = "cpu") -> None:
    """Fail unless the network is the one that wrote ``tests/data/<name>.npz``.

    Parameters
    ----------
    network : torch.nn.Module
        Built with `golden_config`; its parameters are overwritten.
    name : str
        The golden file without its suffix.
    device : str
        Where to run; on ``"cuda"``, switch TF32 off beforehand.
    """
    golden = np.load(DATA / f"{name}.npz")
    assert str(golden["recipe"]) == RECIPE
    assert sum(p.numel() for p in network.parameters()) == int(golden["parameters"])
    size = (int(golden[entry]) for entry in ("in_channels", "height", "width"))
    exposures = [torch.from_numpy(x).to(device) for x in golden_inputs(*size)]
    with torch.inference_mode():
        output = golden_network(network).to(device)(*exposures).cpu().numpy()
    np.testing.assert_allclose(output, golden["output"], rtol=0, atol=TOLERANCE)


def flops(network: nn.Module, channels: int, height: int, width: int) -> int:
    """FLOPs of one forward pass, 2 per multiply-accumulate, counted on the meta device."""
    exposures = [torch.empty(1, channels, height, width, device="meta") for _ in range(3)]
    with FlopCounterMode(display=False) as counter:
        network.to("meta")(*exposures)
    return counter.get_total_flops()


def peak_maps(network: nn.Module, channels: int, size: tuple[int, int] = (64, 64)) -> float:
    """Feature maps (one channel of the input's size) that inference holds at its peak.

    The exposures themselves and the weights are not counted, nor what a kernel needs inside.
    """
    exposures = [torch.empty(1, channels, *size, device="meta") for _ in range(3)]
    network = network.to("meta")
    with torch.inference_mode(), LiveBytes() as memory:
        network(*exposures)
    return memory.peak / (4 * math.prod(size))
