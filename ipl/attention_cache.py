"""The attention cache: which attention of earlier pictures may stand in for that of this one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from dmef_bench.checkpoint import state_digest
from dmef_bench.errors import UsageError
from ipl import cache_files
from ipl.cache_policy import CachePolicy, check_network, check_options, exactness
from ipl.cache_store import CacheStats, Key, Store
from ipl.cached_blocks import CachedBlock, PinnedBlock, PositionBlock, What
from ipl.collapsed import CollapsedBlocks
from ipl.daem import Form
from ipl.filling import Filling, FillingBlock, PinningBlock
from ipl.packing import CODECS, Kept, Packing, Quant, Scales, plain
from ipl.pinned_tiles import fuse_tiles, independent
from ipl.recalled_units import UnitBlock

if TYPE_CHECKING:
    from ipl.network import FeatureIntegrationBlock, IPLConfig, IPLNetwork

logger = logging.getLogger(__name__)

__all__ = ["AttentionCache", "CachePolicy", "CacheStats"]

Block = Callable[[Tensor, Form], Tensor]
"""What takes features to features: a block, or what stands in for it."""


@dataclass(frozen=True)
class Owner:
    """The network that entries belong to; they are worth nothing to another.

    Parameters
    ----------
    config : IPLConfig
        Its configuration.
    weights_digest : str
        SHA-256 of its weights (`dmef_bench.checkpoint.state_digest`).
    dtype : torch.dtype
        Of its weights.
    device : torch.device
        Where they are.
    """

    config: IPLConfig
    weights_digest: str
    dtype: torch.dtype
    device: torch.device


class AttentionCache:
    """Attention of earlier pictures, for one network: ``network.cache = AttentionCache(...)``.

    Read and filled during inference only, with ``network.eval()`` and without gradients. New
    weights, another dtype or another device empty it.

    Parameters
    ----------
    policy : CachePolicy or str
        ``off``, ``position``, ``content``, ``tolerance`` or ``pinned``.
    what : {"weights", "weights_per_dim", "lfe", "product"}
        What is kept of a block. ``weights``: the sum of its attention weights, in ``lfe="input"``
        alone. ``weights_per_dim``: those of each dimension. ``lfe``: what they made of their
        features, which brings the features of the other picture along. ``product``, the fastest,
        under ``position`` alone: the product of all blocks' weights, and each at the positions
        that global maps are made from; as ``weights`` on frames that those are most of.
        ``pinned`` has no choice.
    quant : {"none", "uint8", "cnn_w", "cnn_c"}
        How. The last two want ``codecs`` and policy ``position``.
    scales : {"tensor", "channel"}
        Whether ``uint8`` has one step for all, or one for each channel, brick or chunk.
    max_bytes : int, optional
        Budget for all that is kept; a quarter of the memory that is free at the first picture by
        default. What does not fit is computed each time. While filling, the sums stand beside it.
    tau : float
        For ``tolerance``, in units of features; 0 behaves as ``content``.
    codecs : sequence of nn.Module, optional
        One a block, from `ipl.codecs.train_codecs`; may be set (``cache.codecs``) until filling.

    Raises
    ------
    UsageError
        A combination that does not exist; one that the network does not allow, at its first
        picture.

    Examples
    --------
    >>> from ipl.network import IPLConfig, IPLNetwork
    >>> network, exposures = IPLNetwork(IPLConfig.tiny()).eval(), torch.rand(3, 1, 3, 64, 64)
    >>> network.cache = AttentionCache("position")
    >>> with torch.inference_mode():
    ...     with network.cache.filling():  # one call a picture; their mean is kept
    ...         _ = network(*exposures)
    ...     fused = network(*exposures)
    >>> network.cache.stats.hits, network.cache.exactness
    (8, 'lossy: stale attention')

    References
    ----------
    Eqs. 4 and 9 of Chen et al., arXiv:2412.11685, which leave the key open.
    """

    def __init__(
        self,
        policy: CachePolicy | str,
        *,
        what: What = "weights",
        quant: Quant = "uint8",
        scales: Scales = "tensor",
        max_bytes: int | None = None,
        tau: float = 0.0,
        codecs: Sequence[nn.Module] | None = None,
    ) -> None:
        check_options(policy, what, quant, scales, tau, max_bytes)
        self.policy = CachePolicy(policy)
        self.what = what
        self.tau = tau
        self._packing = Packing(quant, scales, codecs)
        self._store = Store(max_bytes)
        self._owner: Owner | None = None
        self._fingerprint: object = None
        self._filling: Filling | None = None
        self._sources: tuple[str, ...] = ()
        self._warned = False

    # --- what users ask ----------------------------------------------------------------------

    @property
    def quant(self) -> Quant:
        """How entries are kept."""
        return self._packing.quant

    @property
    def codecs(self) -> Sequence[nn.Module] | None:
        """One a block, for ``cnn_w`` and ``cnn_c``."""
        return self._packing.codecs

    @codecs.setter
    def codecs(self, codecs: Sequence[nn.Module] | None) -> None:
        self._packing.codecs = codecs

    @property
    def stats(self) -> CacheStats:
        """Counters since the last `reset`, and the bytes held now."""
        return self._store.stats

    @property
    def exactness(self) -> str:
        """How far fused pictures may be from those of the network without a cache."""
        return exactness(self.policy, self.quant, self.tau)

    @property
    def wants_filling(self) -> bool:
        """Whether `filling` fills it (``position``, ``pinned``); others fill themselves."""
        return self.policy.wants_filling

    @property
    def sources(self) -> tuple[str, ...]:
        """SHA-256 of the exposures that filled it, as the network got them, in order."""
        return self._sources

    def maps(self) -> list[Tensor]:
        """The pinned global maps, one a block, (1, C, C, C); empty where there are none."""
        if self.policy != CachePolicy.PINNED or self._owner is None:
            return []
        kept = sorted(self._store.pinned.items())
        return [
            plain(self._packing.opened(entry["map"], layer), self._owner.dtype)
            for layer, (_, entry) in enumerate(kept)
        ]

    def reset(self, *, keep_calibrated: bool = False) -> None:
        """Forget all entries, or all but those of `filling` and `load`; start counting anew."""
        self._store.reset(keep_pinned=keep_calibrated)
        if not keep_calibrated:
            self._sources = ()

    @contextmanager
    def filling(self) -> Iterator[None]:
        """Let the network's next pictures fill the cache: the mean over all of one size is kept.

        Meanwhile they are fused as without a cache. On leaving, they replace what was kept before,
        counters included; after an error inside, that stays.

        Raises
        ------
        UsageError
            A policy that is not filled this way (ask `wants_filling`); no picture came, or only
            with gradients or in training mode; attention that is not finite.
        """
        if not self.wants_filling:
            raise UsageError(f"The cache policy {str(self.policy)!r} is not filled beforehand.")
        self._filling = filling = Filling()
        try:
            yield
            self._replace(filling.entries(), filling.sources)
        finally:
            self._filling = None

    def save(self, path: Path | str) -> None:
        """Write what `filling` left, as safetensors.

        Raises
        ------
        UsageError
            There is nothing, or only what codecs made.
        """
        entries = self._store.pinned
        if self._owner is None or not entries:
            raise UsageError(f"There is nothing to save in {path}; fill the cache first.")
        if self.quant in CODECS:
            raise UsageError(f"quant={self.quant!r} is not saved, nor are codecs; choose uint8.")
        cache_files.save(Path(path), self._header(self._owner), entries, self.sources)

    def load(self, path: Path | str, network: IPLNetwork) -> None:
        """Take what `save` wrote, instead of `filling`.

        Parameters
        ----------
        path : Path or str
            Of the file; nothing in it is trusted.
        network : IPLNetwork
            With the weights that it was filled with.

        Raises
        ------
        UnavailableError
            No such file.
        CheckpointError
            The file is damaged, or made for other weights, another configuration or another kind
            of cache; the message names both values.
        UsageError
            It holds more bytes than the budget.
        """
        owner = self._bind(network)
        entries, sources = cache_files.load(
            Path(path), self._header(owner), network.config, self._store.max_bytes or 0
        )
        self._replace({key: kept.to(owner.device) for key, kept in entries.items()}, sources)

    # --- what the network asks ---------------------------------------------------------------

    def tiles(self, network: IPLNetwork, exposures: Tensor, form: Form) -> Tensor | None:
        """`IPLNetwork.pixels` by tiles, where pinned maps make that possible; None elsewhere."""
        if self.policy != CachePolicy.PINNED or self._filling is not None:
            return None
        device = self._bind(network).device
        maps = self.maps()
        if len(maps) < len(network.blocks) or device.type != "cpu" or not independent(network):
            return None
        return fuse_tiles(network, exposures, maps, self._store, form)

    def blocks(self, network: IPLNetwork, exposures: Tensor) -> Sequence[Block]:
        """What stands in for the network's blocks, given its padded exposures, (N, 9, H, W)."""
        device = self._bind(network).device
        if self._filling is not None:
            return self._gathering(network, exposures, self._filling)
        if self.policy == CachePolicy.PINNED:
            return self._each(network, PinnedBlock)
        if self.policy == CachePolicy.POSITION:
            key = ("product", *(side // network.config.factor for side in exposures.shape[2:]))
            if key not in self._store.pinned:
                return self._each(network, PositionBlock)
            blocks = cast("list[FeatureIntegrationBlock]", list(network.blocks))
            return [CollapsedBlocks(blocks, self._store.get(key))]
        if not self.tau and device.type != "cpu":
            self._warn_of_bytes(device)
            return list(network.blocks)
        return self._each(network, partial(UnitBlock, tau=self.tau))

    def recheck(self) -> None:
        """Look at the network's weights before the next picture, even if they seem untouched."""
        self._fingerprint = None

    def _gathering(self, network: IPLNetwork, exposures: Tensor, filling: Filling) -> list[Block]:
        if not filling.blocks:
            self._packing.check_codecs(len(network.blocks))
            pinned = self.policy == CachePolicy.PINNED
            filling.blocks = self._each(network, PinningBlock if pinned else FillingBlock)
        filling.note(exposures)
        return list(filling.blocks)

    def _each(self, network: IPLNetwork, kind: Callable[..., CachedBlock]) -> list[Any]:
        return [
            kind(block, layer, self.what, self._packing, self._store)
            for layer, block in enumerate(network.blocks)
        ]

    # --- whose attention it is ---------------------------------------------------------------

    def _bind(self, network: IPLNetwork) -> Owner:
        """Belong to this network as it is now, and forget what belonged to another."""
        fingerprint = _fingerprint(network)
        if self._owner is not None and fingerprint == self._fingerprint:
            return self._owner
        weight = network.up.gain.weight
        digest = state_digest(network.state_dict())
        owner = Owner(network.config, digest, weight.dtype, weight.device)
        if owner != self._owner:
            check_network(self.policy, self.what, network.config)
            self.reset()
            self._store.settle(owner.device)
            if self._filling is not None:
                self._filling.forget()
        self._owner, self._fingerprint = owner, fingerprint
        return owner

    def _replace(self, entries: Mapping[Key, Kept], sources: Sequence[str]) -> None:
        self.reset()
        self._sources = tuple(sources)
        for key, entry in entries.items():
            self._store.put(key, entry, pin=True)

    def _header(self, owner: Owner) -> dict[str, str]:
        """What a file must say to fit."""
        return {
            "policy": str(self.policy),
            "what": self.what,
            "quant": self.quant,
            "scales": self._packing.scales,
            "config": owner.config.to_json(),
            "dtype": str(owner.dtype),
            "weights_digest": owner.weights_digest,
        }

    def _warn_of_bytes(self, device: torch.device) -> None:
        if not self._warned:
            logger.warning(
                "cache=%r needs the bytes on the host and stays off on %s; choose 'position'.",
                str(self.policy), device,
            )  # fmt: skip
        self._warned = True


def _fingerprint(network: nn.Module) -> object:
    """What changes when weights are replaced, moved, converted or written to, at little cost."""
    return [
        (
            tensor.data_ptr(),
            tensor.dtype,
            tensor.device,
            # Inference tensors keep no version; eval() makes sure of them (`recheck`).
            0 if tensor.is_inference() else tensor._version,
        )
        for tensor in network.parameters()
    ]
