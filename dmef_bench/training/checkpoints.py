"""What a run can be continued from: weights as safetensors, and the state of everything else."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from dmef_bench.errors import CheckpointError, UnavailableError, UsageError
from dmef_bench.imagefile import write_atomic
from dmef_bench.training.recipe import Recipe

STATE = "state.pt"
STATE_SCHEMA = "dmef-train-state/1"


def save_weights(path: Path, network: nn.Module, header: Mapping[str, str]) -> None:
    """Write a network's weights; ``path`` holds the old ones or the new ones, never half.

    Parameters
    ----------
    path : Path
        ``best.safetensors`` or ``last.safetensors`` of a run.
    network : Module
        Its state dict is written, on the CPU.
    header : mapping of str to str
        Metadata of the file: what the method needs to know to build the network again.
    """
    state = {
        name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()
    }
    write_whole(path, safetensors.torch.save(state, metadata=dict(header)))


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write what a run continues from: tensors and plain values."""
    buffer = io.BytesIO()
    torch.save({"schema": STATE_SCHEMA, **state}, buffer)
    write_whole(path, buffer.getvalue())


def write_whole(path: Path, data: bytes) -> None:
    """Write a file of a run, or keep the old one and say why.

    Raises
    ------
    UnavailableError
        The disk is full, or cannot be written to.
    """
    try:
        write_atomic(path, data)
    except OSError as error:
        raise UnavailableError(
            f"{path} could not be written ({error.strerror}); what was there before is kept. "
            "Make room, then go on from the last checkpoint with --resume."
        ) from error


def load_state(path: Path) -> dict[str, Any]:
    """Read what `save_state` wrote; nothing in it is run.

    Raises
    ------
    UsageError
        There is none.
    CheckpointError
        Damaged, or not written by this trainer.
    """
    if not path.is_file():
        raise UsageError(
            f"{path.parent} holds no {path.name}: nothing to resume. Leave --resume out."
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{path}: damaged ({str(error).splitlines()[0] if str(error) else error!r}). The run "
            "cannot go on; its weights may still be good."
        ) from error
    if not isinstance(state, dict) or state.get("schema") != STATE_SCHEMA:
        raise CheckpointError(f"{path}: not a state of this version's `dmef train`.")
    return state


def check_same_run(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to continue a run as another one: method, options, data, recipe, seed.

    Raises
    ------
    CheckpointError
        The message lists what differs, before and now.
    """
    # What a recipe has gained since the state was written, it did without.
    before = {f"recipe.{key}": str(value) for key, value in asdict(Recipe()).items()} | dict(before)
    differing = [
        f"{key}: {before.get(key)!r} before, {now.get(key)!r} now"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    ]
    if differing:
        raise CheckpointError(
            "The state belongs to another run. " + "; ".join(differing) + ". "
            "Give the same again, or train into another folder."
        )
