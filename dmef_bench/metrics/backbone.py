"""Weights of classifiers trained on ImageNet: where they are found, and that they are right."""

from __future__ import annotations

import json
import logging
import os
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dmef_bench.checkpoint import state_digest
from dmef_bench.errors import UnavailableError
from dmef_bench.imagefile import bytes_sha256

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backbone:
    """A checkpoint of torchvision of which the ``features.*`` tensors are wanted.

    Parameters
    ----------
    file : str
        What torchvision calls it.
    url : str
        Where it is.
    file_sha256_begins : str
        What its name states of its hash.
    tensors_sha256 : str, optional
        `dmef_bench.checkpoint.state_digest` of the ``features.*`` tensors. Where it is not known,
        the file is recognised by its bytes, and nothing but the whole checkpoint will do.
    trunk_file : str, optional
        What a file with these tensors alone is called.
    """

    file: str
    url: str
    file_sha256_begins: str
    tensors_sha256: str | None = None
    trunk_file: str | None = None

    def find(self, weights: Path | None = None, *, offline: bool = False) -> Path:
        """Find a verified file, or say how to get one.

        Looked for in this order: ``weights``; the folder ``$DMEF_WEIGHTS``, where the trunk alone
        does as well; torch's own cache, ``$TORCH_HOME/hub/checkpoints``; dmef's cache, into which
        it is downloaded unless that is forbidden.

        Parameters
        ----------
        weights : path, optional
            The one file to take.
        offline : bool
            Download nothing; so does ``DMEF_OFFLINE=1``.

        Raises
        ------
        UnavailableError
            No such file, or a file that holds something else. Random weights are never a fallback.
        """
        found = next((path for path in self._candidates(weights) if path.is_file()), None)
        if found is None and weights is not None:
            raise UnavailableError(f"{weights} is no file; give the weights of {self.file}.")
        found = found or self._download(offline)
        self.read(found)
        return found

    def read(self, path: Path) -> dict[str, torch.Tensor]:
        """Read the ``features.*`` tensors of a file, if they are the right ones.

        Parameters
        ----------
        path : path
            A ``state_dict`` as torchvision names its keys, whole or the trunk alone.

        Returns
        -------
        dict of str to torch.Tensor
            ``"features.0.weight"`` and so on.

        Raises
        ------
        UnavailableError
            The file cannot be read, or holds something else.
        """
        import torch

        if self.tensors_sha256 is None:
            self._check_bytes(path)
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except (
            OSError,
            EOFError,
            RuntimeError,
            ValueError,
            KeyError,
            pickle.UnpicklingError,
        ) as error:
            raise UnavailableError(
                f"{path} cannot be read as {self.file} ({type(error).__name__}); {self._marks}. "
                f"Fetch it again from {self.url}."
            ) from error
        tensors = {
            name: value
            for name, value in (state.items() if isinstance(state, Mapping) else ())
            if str(name).startswith("features.") and isinstance(value, torch.Tensor)
        }
        digest = state_digest(tensors)
        if self.tensors_sha256 not in (None, digest):
            raise UnavailableError(
                f"{path} is not {self.file}: its features.* tensors have sha256 {digest}, the "
                f"right ones {self.tensors_sha256}. Fetch it again from {self.url}."
            )
        return tensors

    @property
    def _marks(self) -> str:
        """What the right file is known by."""
        known = f"the right one's sha256 begins with {self.file_sha256_begins}"
        if self.tensors_sha256 is None:
            return known
        return f"{known}, its features.* tensors have sha256 {self.tensors_sha256}"

    def _check_bytes(self, path: Path) -> None:
        digest = bytes_sha256(path)
        if not digest.startswith(self.file_sha256_begins):
            raise UnavailableError(
                f"{path} is not {self.file}: its sha256 is {digest}, and the right one begins with "
                f"{self.file_sha256_begins}. Fetch it again from {self.url}."
            )

    def _candidates(self, weights: Path | None) -> Iterator[Path]:
        if weights is not None:
            yield Path(weights)
            return
        if folder := os.environ.get("DMEF_WEIGHTS"):
            yield Path(folder, self.file)
            if self.trunk_file is not None:
                yield Path(folder, self.trunk_file)
        from torch import hub

        yield Path(hub.get_dir(), "checkpoints", self.file)
        yield _cache() / self.file

    def _download(self, offline: bool) -> Path:
        target = _cache() / self.file
        if offline or os.environ.get("DMEF_OFFLINE", "0") not in ("", "0"):
            raise UnavailableError(self._how_to_get("not found, and dmef works offline"))
        import pooch

        # pooch checks whole hashes only, and torchvision publishes the first eight digits:
        # known_hash stays None, and the file is checked below before anybody can find it.
        partial = target.with_suffix(".unchecked")
        store = pooch.create(
            path=_cache(), base_url="", urls={partial.name: self.url}, registry={partial.name: None}
        )
        try:
            store.fetch(partial.name, downloader=pooch.HTTPDownloader(timeout=(5, 30)))
            digest = bytes_sha256(partial)
            if not digest.startswith(self.file_sha256_begins):
                partial.unlink()
                raise UnavailableError(self._how_to_get(f"the download has sha256 {digest}"))
            partial.replace(target)
        except OSError as error:  # requests' errors are OSErrors, too
            # In full it is a paragraph of addresses, and this text stands on boards.
            logger.info("%s: %s", self.url, error)
            kind = type(error).__name__
            raise UnavailableError(self._how_to_get(f"the download failed ({kind})")) from error
        return target

    def _how_to_get(self, reason: str) -> str:
        return (
            f"Backbone {self.file}: {reason}. Get {self.url} and put it at {_cache() / self.file} "
            f"or into the folder $DMEF_WEIGHTS; {self._marks}."
        )


def _cache() -> Path:
    import pooch

    return Path(pooch.os_cache("dmef"))


BACKBONES = {
    name: Backbone(**identity)
    for name, identity in json.loads(
        Path(__file__).with_name("weights.json").read_text(encoding="utf-8")
    ).items()
}
"""Those that LPIPS and perceptual losses stand on, by torchvision's names."""
