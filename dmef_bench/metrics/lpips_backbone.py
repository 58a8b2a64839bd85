"""The trunk LPIPS stands on: its grid, where its weights are found, and that they are right."""

from __future__ import annotations

import json
import logging
import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dmef_bench.checkpoint import state_digest
from dmef_bench.errors import UnavailableError, UsageError
from dmef_bench.imagefile import bytes_sha256

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trunk:
    """What tiling must know of a trunk, and by what its weights are recognised.

    Parameters
    ----------
    strides : tuple of int
        Pixels from one cell of a layer's map to the next.
    map_sides : callable
        Cells along a side of each layer's map, from the pixels along that side.
    smallest : int
        Pixels a side must have for the last map to hold a cell.
    file, trunk_file : str
        What torchvision calls its checkpoint, and what the file with the trunk alone is called.
    url, file_sha256_begins : str
        Where the checkpoint is, and what its name states of its hash.
    tensors_sha256 : str
        `dmef_bench.checkpoint.state_digest` of the ``features.*`` tensors.
    """

    strides: tuple[int, ...]
    map_sides: Callable[[int], tuple[int, ...]]
    smallest: int
    file: str
    trunk_file: str
    url: str
    file_sha256_begins: str
    tensors_sha256: str


def _alexnet_map_sides(pixels: int) -> tuple[int, ...]:
    first = (pixels + 2 * 2 - 11) // 4 + 1
    second = (first - 3) // 2 + 1
    third = (second - 3) // 2 + 1
    return first, second, third, third, third


_IDENTITIES: dict[str, dict[str, str]] = json.loads(
    Path(__file__).with_name("weights.json").read_text(encoding="utf-8")
)

TRUNKS = {
    "alex": Trunk((4, 8, 16, 16, 16), _alexnet_map_sides, 31, **_IDENTITIES["alex"]),
}
"""The trunks LPIPS can stand on, by the ``lpips`` package's names."""


def find_trunk(network: str) -> Trunk:
    """Look a trunk up by its name."""
    if network not in TRUNKS:
        raise UsageError(f"No LPIPS trunk is called {network!r}; there are: {', '.join(TRUNKS)}.")
    return TRUNKS[network]


def find_backbone(
    network: str = "alex", weights: Path | None = None, offline: bool = False
) -> Path:
    """Find a verified file with the weights of LPIPS' trunk, or say how to get one.

    Looked for in this order: ``weights``; the folder ``$DMEF_WEIGHTS``, where the trunk alone does
    as well; torch's own cache, ``$TORCH_HOME/hub/checkpoints``; dmef's cache, into which it is
    downloaded unless that is forbidden.

    Parameters
    ----------
    network : str
        The trunk, one of `TRUNKS`.
    weights : path, optional
        The one file to take.
    offline : bool
        Download nothing; so does ``DMEF_OFFLINE=1``.

    Returns
    -------
    Path
        A file whose tensors are the right ones.

    Raises
    ------
    UnavailableError
        No such file, or a file that holds something else. Random weights are never a fallback.
    UsageError
        An unknown ``network``.
    """
    trunk = find_trunk(network)
    found = next((path for path in _candidates(trunk, weights) if path.is_file()), None)
    if found is None and weights is not None:
        raise UnavailableError(f"{weights} is no file; give the weights of LPIPS ({network}).")
    found = found or _download(trunk, offline)
    read_backbone(found, network)
    return found


def _candidates(trunk: Trunk, weights: Path | None) -> Iterator[Path]:
    if weights is not None:
        yield Path(weights)
        return
    if folder := os.environ.get("DMEF_WEIGHTS"):
        yield Path(folder, trunk.file)
        yield Path(folder, trunk.trunk_file)
    from torch import hub

    yield Path(hub.get_dir(), "checkpoints", trunk.file)
    yield _cache() / trunk.file


def _cache() -> Path:
    import pooch

    return Path(pooch.os_cache("dmef"))


def _download(trunk: Trunk, offline: bool) -> Path:
    target = _cache() / trunk.file
    if offline or os.environ.get("DMEF_OFFLINE", "0") not in ("", "0"):
        raise UnavailableError(_how_to_get(trunk, "not found, and dmef works offline"))
    import pooch

    # pooch checks whole hashes only, and torchvision publishes the first eight digits: known_hash
    # stays None, and the file is checked below before anybody can find it.
    partial = target.with_suffix(".unchecked")
    store = pooch.create(
        path=_cache(), base_url="", urls={partial.name: trunk.url}, registry={partial.name: None}
    )
    try:
        store.fetch(partial.name, downloader=pooch.HTTPDownloader(timeout=(5, 30)))
        digest = bytes_sha256(partial)
        if not digest.startswith(trunk.file_sha256_begins):
            partial.unlink()
            raise UnavailableError(_how_to_get(trunk, f"the download has sha256 {digest}"))
        partial.replace(target)
    except OSError as error:  # requests' errors are OSErrors, too
        # In full it is a paragraph of addresses, and this text stands on boards.
        logger.info("%s: %s", trunk.url, error)
        kind = type(error).__name__
        raise UnavailableError(_how_to_get(trunk, f"the download failed ({kind})")) from error
    return target


def _how_to_get(trunk: Trunk, reason: str) -> str:
    return (
        f"LPIPS backbone {trunk.file}: {reason}. Get {trunk.url}, whose sha256 begins with "
        f"{trunk.file_sha256_begins}, and put it at {_cache() / trunk.file} or into the folder "
        f"$DMEF_WEIGHTS; its features.* tensors have sha256 {trunk.tensors_sha256}."
    )


def read_backbone(path: Path, network: str) -> dict[str, torch.Tensor]:
    """Read the ``features.*`` tensors of a weights file, if they are the right ones.

    Parameters
    ----------
    path : path
        A ``state_dict`` as torchvision names its keys, whole or the trunk alone.
    network : str
        The trunk, one of `TRUNKS`.

    Returns
    -------
    dict of str to torch.Tensor
        ``"features.0.weight"`` and so on.

    Raises
    ------
    UnavailableError
        The file cannot be read, or its tensors have another digest.
    """
    import torch

    trunk = find_trunk(network)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise UnavailableError(
            f"{path} cannot be read as weights ({type(error).__name__}); the trunk of LPIPS "
            f"({network}) has tensors of sha256 {trunk.tensors_sha256}. Fetch it again from "
            f"{trunk.url}."
        ) from error
    tensors = {
        name: value
        for name, value in (state.items() if isinstance(state, Mapping) else ())
        if str(name).startswith("features.") and isinstance(value, torch.Tensor)
    }
    digest = state_digest(tensors)
    if digest != trunk.tensors_sha256:
        raise UnavailableError(
            f"{path} is not the trunk of LPIPS ({network}): its features.* tensors have sha256 "
            f"{digest}, the right ones {trunk.tensors_sha256}. Fetch it again from {trunk.url}."
        )
    return tensors
