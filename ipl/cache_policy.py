"""The policies of the cache: what each promises, and what goes together with it."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING, get_args

from dmef_bench.errors import UsageError
from ipl.cached_blocks import What
from ipl.packing import CODECS, Quant, Scales

if TYPE_CHECKING:
    from ipl.network import IPLConfig


class CachePolicy(StrEnum):
    """When stored attention may stand in for computed attention.

    ``off``: never. ``position``: whenever place and frame size agree, whatever the picture shows;
    filled by `AttentionCache.filling` alone. ``content``: where the bytes of a brick's or chunk's
    features agree. ``tolerance``: where their mean, deviation, smallest and largest value moved by
    tau at most. ``pinned``: global maps of other pictures, from `AttentionCache.filling`, and whole
    tiles where the bytes agree.
    """

    OFF = "off"
    POSITION = "position"
    CONTENT = "content"
    TOLERANCE = "tolerance"
    PINNED = "pinned"

    @property
    def wants_filling(self) -> bool:
        """Whether calibration fills the cache, and not whatever picture comes."""
        return self in {CachePolicy.POSITION, CachePolicy.PINNED}


def exactness(policy: CachePolicy, quant: Quant, tau: float) -> str:
    """How far fused pictures may be from those of the network without a cache.

    Examples
    --------
    >>> exactness(CachePolicy.CONTENT, "uint8", 0.0)
    'exact up to quantisation'
    """
    if policy == CachePolicy.POSITION:
        return "lossy: stale attention"
    if policy == CachePolicy.PINNED:
        return "lossy: stale maps, exact against the network with these maps"
    if policy == CachePolicy.TOLERANCE and tau:
        return "lossy: bounded by nothing proven"
    exact = policy == CachePolicy.OFF or quant == "none"
    return "exact" if exact else "exact up to quantisation"


def check_options(
    policy: str, what: str, quant: str, scales: str, tau: float, max_bytes: int | None
) -> None:
    """Raise UsageError where options of `AttentionCache` do not exist or contradict each other."""
    for name, value, choices in (
        ("cache", policy, tuple(map(str, CachePolicy))),
        ("what", what, get_args(What)),
        ("quant", quant, get_args(Quant)),
        ("scales", scales, get_args(Scales)),
    ):
        if value not in choices:
            raise UsageError(f"{name}={value!r} does not exist; choose from {', '.join(choices)}.")
    if not (math.isfinite(tau) and tau >= 0):
        raise UsageError(f"tau={tau!r} is no distance; give 0 or more.")
    if tau and policy != CachePolicy.TOLERANCE:
        raise UsageError(f"tau belongs to cache='tolerance', not to {str(policy)!r}.")
    if max_bytes is not None and max_bytes < 0:
        raise UsageError(f"max_bytes={max_bytes} is no budget; give 0 or more bytes.")
    _check_combination(CachePolicy(policy), what, quant)


def _check_combination(policy: CachePolicy, what: str, quant: str) -> None:
    position = policy == CachePolicy.POSITION
    if what == "product" and (not position or quant in CODECS):
        raise UsageError(
            "what='product' multiplies what was kept by position, as computed or in 256 levels; "
            "choose cache='position' and quant='none' or 'uint8'."
        )
    if quant in CODECS and (not position or what == "lfe"):
        raise UsageError(
            f"quant={quant!r} compresses the attention weights of whole frames; choose "
            "cache='position' and what='weights' or 'weights_per_dim'."
        )
    if policy == CachePolicy.PINNED and what != "weights":
        raise UsageError(
            f"cache='pinned' keeps global maps and tiles, not what={what!r}; leave it out."
        )


def check_network(policy: CachePolicy, what: What, config: IPLConfig) -> None:
    """Raise UsageError where a network has nothing that the cache could keep."""
    pinned = policy == CachePolicy.PINNED
    summed = what in {"weights", "product"} and not pinned
    for clash, advice in (
        (config.shift, "shift=True moves every other grid of chunks; choose cache='off'"),
        (not config.dims and not pinned, "dims='' leaves no attention; choose cache='off'"),
        (pinned and not config.drtm, "drtm=False leaves no maps to pin; choose cache='off'"),
        (
            summed and config.lfe != "input",
            f"lfe={config.lfe!r} needs each dimension; choose what='weights_per_dim'",
        ),
        (
            what == "product" and config.sum == "all",
            "sum='all' needs what lies between the blocks; choose what='weights'",
        ),
    ):
        if clash:
            raise UsageError(f"This network cannot use cache={str(policy)!r}: {advice}.")
