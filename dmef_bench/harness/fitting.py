"""At which size, or in which tiles, one picture is fused under a protocol."""

from __future__ import annotations

from dataclasses import dataclass

from dmef_bench.harness.resolution import Size, of_aspect
from dmef_bench.harness.tiles import Tiling
from dmef_bench.method import Traits
from dmef_bench.protocol import Fit, Protocol, parse_size


@dataclass(frozen=True)
class Fitting:
    """How one scene is fitted: the size fused at, or the tiles, and where that comes from.

    Parameters
    ----------
    fit : {"full", "downsample", "tile"}
        By the protocol.
    size : (height, width)
        Fused size, or that of the tiles.
    source : {"native", "given", "search", "paper"}
        Where the size comes from.
    tiling : Tiling or None
        Only where the picture is larger than a tile.
    """

    fit: Fit
    size: Size
    source: str
    tiling: Tiling | None = None

    @property
    def tile(self) -> Size | None:
        """Size of the tiles, None where the picture is fused as a whole."""
        return self.tiling.tile if self.tiling else None


def fit_of(
    stated: Traits, protocol: Protocol, native: Size, *, found: Size | None = None
) -> Fitting:
    """Size or tiles for a picture of ``native`` size.

    A picture is never enlarged: a size that holds the native one stands for the native one.

    Parameters
    ----------
    stated : Traits
        Of the method.
    protocol : Protocol
        The rules.
    native : (height, width)
        Of the picture.
    found : (height, width), optional
        What the search for the largest size found, where there was one.

    Examples
    --------
    >>> rules = Protocol("4k-dmef", "test", "c0ffee", mr="512x288")
    >>> fit_of(Traits(), rules, (2160, 3840)).size
    (288, 512)
    """
    size, source = _size(stated, protocol, native, found)
    if all(given >= whole for given, whole in zip(size, native, strict=True)):
        return Fitting(protocol.fit, native, "native" if source != "given" else source)
    tiling = None
    if protocol.fit == "tile":
        tiling = Tiling(size, protocol.overlap or 0, protocol.blend or "none")
    return Fitting(protocol.fit, size, source, tiling)


def _size(stated: Traits, protocol: Protocol, native: Size, found: Size | None) -> tuple[Size, str]:
    if protocol.fit == "full":
        return native, "native"
    if protocol.fit == "tile" and protocol.tile is not None:
        return parse_size(protocol.tile), "given"
    if protocol.mr not in {"auto", "paper"}:
        return parse_size(protocol.mr), "given"
    if protocol.mr == "paper" and stated.paper_size is not None:
        return stated.paper_size, "paper"
    if found is not None:
        return of_aspect(found, native, stated.stride), "search"
    return native, "native"
