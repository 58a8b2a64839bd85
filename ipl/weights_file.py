"""Weights files: safetensors, with a header that says which network they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dmef_bench.checkpoint import RUN_WEIGHTS
from dmef_bench.errors import CheckpointError, UsageError
from ipl.network import IPLConfig, IPLNetwork

HEADER_CONFIG = "config"
"""Under which the header keeps `IPLConfig.to_json`."""


def header_of(config: IPLConfig) -> dict[str, str]:
    """The header for weights of such a network."""
    return {HEADER_CONFIG: config.to_json()}


def save_weights(network: IPLNetwork, path: Path | str) -> None:
    """Write a network as safetensors, its configuration in the header."""
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, path, metadata=header_of(network.config))


def read_config(checkpoint: Path | str) -> IPLConfig | None:
    """What the header of a weights file says of its network.

    Parameters
    ----------
    checkpoint : Path or str
        A file, or a run folder of ``dmef train``.

    Returns
    -------
    IPLConfig or None
        None where the file says nothing, or does not exist.

    Raises
    ------
    CheckpointError
        The file is damaged, or its header makes no sense.
    """
    file = Path(checkpoint)
    file = file / RUN_WEIGHTS if file.is_dir() else file
    if file.suffix != ".safetensors" or not file.is_file():
        return None
    try:
        with safe_open(file, "pt") as opened:
            text = (opened.metadata() or {}).get(HEADER_CONFIG)
        return None if text is None else IPLConfig.from_json(text)
    except (SafetensorError, OSError, UsageError) as error:
        raise CheckpointError(f"{file}: its header cannot be read ({error}).") from error


def check_size(config: IPLConfig, state: Mapping[str, Tensor], checkpoint: Path) -> None:
    """Raise CheckpointError unless a network of this configuration has as many parameters.

    Before it is built, that is: a header may ask for any memory.
    """
    blocks = {key.split(".")[1] for key in state if key.startswith("blocks.")}
    held = sum(tensor.numel() for tensor in state.values())
    described = 0
    if len(blocks) == config.blocks and max(config.width, *cast(tuple, config.hidden)) <= held:
        with torch.device("meta"):
            described = sum(weight.numel() for weight in IPLNetwork(config).parameters())
    if described != held:
        raise CheckpointError(
            f"{checkpoint}: its header describes {config.blocks} blocks of width {config.width}, "
            f"and it holds {len(blocks)} blocks and {held} parameters. They do not fit."
        )
