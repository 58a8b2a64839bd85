"""Weights from files: nothing in them is run, and what does not fit is told."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmef_bench.errors import CheckpointError, UnavailableError

if TYPE_CHECKING:
    import torch
    from torch import nn

    State = dict[str, torch.Tensor]

RUN_WEIGHTS = "best.safetensors"
_DERIVED = (".attn_mask", ".relative_position_index")


def read_state(path: Path | str) -> State:
    """The tensors of a checkpoint, by key.

    Parameters
    ----------
    path : Path or str
        ``.safetensors``, a PyTorch checkpoint, or a run folder of ``dmef train``.

    Returns
    -------
    dict of str to Tensor
        On the CPU; wrappers (``state_dict``), prefixes (``module.``) and buffers that networks
        derive by themselves are taken off.

    Raises
    ------
    UnavailableError
        The file does not exist.
    CheckpointError
        It is no checkpoint, is cut, or holds more than tensors.
    """
    path = Path(path)
    file = path / RUN_WEIGHTS if path.is_dir() else path
    if not file.is_file():
        raise UnavailableError(f"{file} does not exist; give a checkpoint file or a run folder.")
    raw = _safetensors(file) if file.suffix == ".safetensors" else _pickled(file)
    return _plain(raw, file)


def read_header(path: Path | str) -> dict[str, str]:
    """What a safetensors file, or that of a run folder, says of itself; empty for other files."""
    from safetensors import SafetensorError, safe_open

    file = Path(path) / RUN_WEIGHTS if Path(path).is_dir() else Path(path)
    if file.suffix != ".safetensors" or not file.is_file():
        return {}
    try:
        with safe_open(file, "pt") as opened:
            return dict(opened.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file}: its header cannot be read ({error}).") from error


def _safetensors(file: Path) -> Mapping[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{file}: not whole as safetensors ({error}). Copy it again."
        ) from error


def _pickled(file: Path) -> Any:
    import pickle
    import zipfile

    import torch

    try:
        # weights_only: a checkpoint is data; nothing in it is run.
        return torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, zipfile.BadZipFile) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{file}: not a checkpoint of plain tensors ({first}). dmef runs no code from "
            "checkpoints; save the state dict alone, best as safetensors."
        ) from error


def _plain(raw: Any, file: Path) -> State:
    import torch

    if isinstance(raw, Mapping) and isinstance(raw.get("state_dict"), Mapping):
        raw = raw["state_dict"]
    if not isinstance(raw, Mapping) or not raw:
        raise CheckpointError(f"{file}: holds {type(raw).__name__}, not named tensors.")
    state = {}
    for key, value in raw.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise CheckpointError(f"{file}: {key!r} is {type(value).__name__}, not a tensor.")
        name = key.removeprefix("module.")
        if not name.endswith(_DERIVED):
            state[name] = value
    return state


def fill_network(network: nn.Module, state: State, source: str) -> None:
    """Load ``state`` into ``network``, every key exactly once.

    Raises
    ------
    CheckpointError
        Keys missing, unexpected or of another shape; the message lists them.
    """
    wanted = network.state_dict()
    missing = sorted(wanted.keys() - state.keys())
    unexpected = sorted(state.keys() - wanted.keys())
    misshaped = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(wanted[key].shape)}"
        for key in sorted(wanted.keys() & state.keys())
        if state[key].shape != wanted[key].shape
    ]
    if missing or unexpected or misshaped:
        raise CheckpointError(
            f"{source} does not fit {type(network).__name__}: "
            + "; ".join(
                f"{len(keys)} {kind} ({_some(keys)})"
                for kind, keys in (
                    ("missing", missing),
                    ("unexpected", unexpected),
                    ("misshaped", misshaped),
                )
                if keys
            )
            + ". Check that it belongs to this network and to these options."
        )
    network.load_state_dict(state)


def _some(keys: Iterable[str], most: int = 6) -> str:
    keys = list(keys)
    more = f", and {len(keys) - most} more" if len(keys) > most else ""
    return ", ".join(keys[:most]) + more


def state_digest(state: Mapping[str, torch.Tensor]) -> str:
    r"""SHA-256 over the tensors, however they were saved.

    For every key in sorted order: ``key NUL str(shape) NUL`` and the little-endian float32 bytes.
    """
    import torch

    hasher = hashlib.sha256()
    for key in sorted(state):
        tensor = state[key].detach().to("cpu", torch.float32).contiguous()
        hasher.update(f"{key}\0{tuple(tensor.shape)}\0".encode())
        hasher.update(tensor.numpy().astype("<f4").tobytes())
    return hasher.hexdigest()
