"""The one door for a fusion method: what it must have, what it may have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from dmef_bench.scene import ExposureStack, Image


@runtime_checkable
class Method(Protocol):
    """A fusion method: any object with these three, no base class, nothing to register.

    ``fuse`` gets a stack of display-encoded exposures, darkest first, and returns one picture,
    float32 (H, W, 3) RGB in [0, 1], of the stack's size, with the motion of its reference.
    """

    name: str
    """The row's title."""
    paper: str
    """Where the method was published."""

    def fuse(self, stack: ExposureStack) -> Image:
        """Fuse one stack."""
        ...


@runtime_checkable
class StagedMethod(Method, Protocol):
    """Optional: computation timed apart from copies."""

    device: str
    """``"cpu"`` or ``"cuda:0"``: tells the harness which clock to use."""

    def upload(self, stack: ExposureStack) -> object:
        """Bring the stack to the device."""
        ...

    def compute(self, inputs: object) -> object:
        """Fuse what `upload` returned; nothing leaves the device."""
        ...

    def download(self, outputs: object) -> Image:
        """Bring the fused picture back."""
        ...


@runtime_checkable
class StatefulMethod(Method, Protocol):
    """Optional: a method with caches."""

    def reset(self) -> None:
        """Forget everything learnt from earlier stacks."""
        ...


@runtime_checkable
class CalibratedMethod(Method, Protocol):
    """Optional: filled from training scenes, outside the clock."""

    def calibrate(self, stacks: Iterable[ExposureStack]) -> None:
        """Learn from training stacks."""
        ...


@runtime_checkable
class CachingMethod(StatefulMethod, Protocol):
    """Optional: a method that says what its cache does."""

    def cache_counters(self) -> Mapping[str, float]:
        """``hits``, ``misses``, ``bytes`` and more, counted since `reset`."""
        ...


class RowReader(Protocol):
    """Exposures that need not fit into memory: any band of rows, as often as asked for."""

    size: tuple[int, int]
    """(height, width) of each exposure."""
    evs: tuple[float, ...] | None
    """Stops, rising, where they are known."""

    def read(self, start: int, stop: int) -> tuple[Image, ...]:
        """Rows ``[start, stop)`` of every exposure, darkest first, float32 (rows, W, 3)."""
        ...


class RowSink(Protocol):
    """Takes the fused picture band by band."""

    def write(self, start: int, rows: Image) -> None:
        """Keep rows from ``start`` on, float32 (rows, W, 3) in [0, 1]; from the top down, once."""
        ...


@runtime_checkable
class StreamingMethod(Method, Protocol):
    """Optional: pictures larger than memory, band by band."""

    def fuse_rows(self, rows: RowReader, sink: RowSink) -> None:
        """Fuse what ``rows`` holds into ``sink``, in bounded memory."""
        ...


@dataclass(frozen=True)
class Traits:
    """The optional attributes of a method, with their defaults; read here and nowhere else.

    Parameters
    ----------
    stride : int
        Sizes the method likes are multiples of this many pixels.
    halo : int
        Pixels around a tile that influence its inside.
    is_global : bool
        Whether tiles and the full frame give different answers.
    in_channels : int
        Channels of one exposure, as the network eats it.
    exposures : int or None
        How many exposures a stack must hold; None for any number.
    needs_evs : bool
        Whether their EVs must be known.
    network : callable or None
        Builds a fresh module, for cost and training.
    recipes : mapping
        Name to training recipe.
    sees_ground_truth : bool
        True only for the bounds, which are never ranked. The harness calls their
        ``fuse(stack, ground_truth=..., size=...)``.
    paper_size : (height, width) or None
        The size that Table 1 of the paper lists for the method (``--mr paper``).
    untrained : bool
        True where weights are random: good for time and cost, and no quality figure is shown.
    weights_digest : str
        SHA-256 of the weights in use (`dmef_bench.checkpoint.state_digest`); empty without any.
    """

    stride: int = 8
    halo: int = 0
    is_global: bool = False
    in_channels: int = 3
    exposures: int | None = None
    needs_evs: bool = False
    network: Callable[[], Any] | None = None
    recipes: Mapping[str, Any] = field(default_factory=dict)
    sees_ground_truth: bool = False
    paper_size: tuple[int, int] | None = None
    untrained: bool = False
    weights_digest: str = ""


def traits(method: object) -> Traits:
    """Read a method's optional attributes.

    Examples
    --------
    >>> class Average:
    ...     name, paper, stride = "Average", "unpublished", 16
    >>> traits(Average()).stride
    16
    """
    stated = {
        name: getattr(method, name) for name in Traits.__annotations__ if hasattr(method, name)
    }
    return Traits(**stated)


def missing_parts(candidate: object) -> tuple[str, ...]:
    """Which of ``name``, ``paper`` and ``fuse`` an object or class lacks.

    Examples
    --------
    >>> class Nameless:
    ...     def fuse(self, stack): ...
    >>> missing_parts(Nameless)
    ('name', 'paper')
    """
    absent = [
        part for part in ("name", "paper") if not isinstance(getattr(candidate, part, None), str)
    ]
    if not callable(getattr(candidate, "fuse", None)):
        absent.append("fuse")
    return tuple(absent)
