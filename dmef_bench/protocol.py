"""The rules that make two numbers comparable, and the fingerprint they are known by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from dmef_bench import strict_json
from dmef_bench.errors import RecordError, UsageError

Fit = Literal["full", "downsample", "tile"]
FITS: tuple[Fit, ...] = ("full", "downsample", "tile")
BLENDS = ("cosine", "linear", "none")
"""How tiles are blended over their overlap."""


@dataclass(frozen=True)
class Protocol:
    """The rules under which two numbers may stand in one table.

    Everything that can change a quality score by rule is here; devices, libraries and timings are
    not: they are the environment.

    Parameters
    ----------
    dataset, split : str
        What is fused, e.g. ``"4k-dmef"``, ``"test"``.
    dataset_digest : str
        SHA-256 over the decoded-pixel hashes of the split's scenes, in order.
    metrics : tuple of str
        Convention ids of the metrics in the table.
    fit : {"full", "downsample", "tile"}
        How a method is fitted into memory.
    mr : str
        Maximum resolution: ``"auto"``, ``"paper"`` or ``"WxH"``.
    resize : str
        Convention id of the shrinking and enlarging.
    tile, overlap, blend
        Only under ``fit="tile"``.
    memory_budget : int or None
        Bytes a method may take, where a smaller device is emulated.
    scenes : tuple of str or None
        Set where only some scenes were asked for: never mixes with a full run.
    version : int
        Of these rules.
    """

    dataset: str
    split: str
    dataset_digest: str
    metrics: tuple[str, ...] = ("psnr/rgb8", "ssim/wang04-rgb-valid", "lpips/alex-v0.1")
    fit: Fit = "downsample"
    mr: str = "auto"
    resize: str = "resize/bilinear"
    tile: str | None = None
    overlap: int | None = 64
    blend: str | None = "cosine"
    memory_budget: int | None = None
    scenes: tuple[str, ...] | None = None
    version: int = 1

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise UsageError(f"fit is {self.fit!r}; choose one of {', '.join(FITS)}.")
        if self.mr not in {"auto", "paper"}:
            parse_size(self.mr)
        if self.fit == "tile":
            self._check_tiles()

    def _check_tiles(self) -> None:
        if self.blend not in BLENDS:
            raise UsageError(f"blend is {self.blend!r}; choose one of {', '.join(BLENDS)}.")
        size = self.tile or (None if self.mr in {"auto", "paper"} else self.mr)
        overlap = self.overlap or 0
        if overlap < 0 or (size and overlap >= min(parse_size(size))):
            raise UsageError(
                f"An overlap of {self.overlap} px does not fit tiles of {size or 'any size'}; give "
                "larger tiles or a smaller overlap."
            )

    @property
    def in_force(self) -> dict[str, Any]:
        """The rules as a mapping, with None for those that do not apply under this fit."""
        idle = {
            "full": ("mr", "resize", "tile", "overlap", "blend"),
            "downsample": ("tile", "overlap", "blend"),
            "tile": (),
        }[self.fit]
        return asdict(self) | dict.fromkeys(idle)

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits; equal rules hash equally, whatever stands in fields that do not apply.

        Examples
        --------
        >>> full = Protocol("4k-dmef", "test", "c0ffee", fit="full")
        >>> shrunk = Protocol("4k-dmef", "test", "c0ffee", fit="full", mr="256x256")
        >>> full.fingerprint == shrunk.fingerprint  # nothing is shrunk under "full"
        True
        """
        return strict_json.digest(self.in_force)[:12]

    def differences(self, other: Protocol) -> tuple[str, ...]:
        """Names of the rules in which two protocols differ."""
        mine, theirs = self.in_force, other.in_force
        return tuple(name for name in mine if mine[name] != theirs[name])

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Protocol:
        """Read a protocol back from a record.

        Raises
        ------
        RecordError
            Fields missing or unknown: the record was written by another version.
        """
        known = {part.name for part in fields(cls)}
        if not isinstance(record, Mapping) or set(record) != known:
            odd = known.symmetric_difference(record) if isinstance(record, Mapping) else {"all"}
            raise RecordError(
                f"The record's protocol does not fit this version of dmef (fields: "
                f"{', '.join(sorted(odd))}). Measure again, or use the version that wrote it."
            )
        values = dict(record)
        for name in ("metrics", "scenes"):
            values[name] = None if values[name] is None else tuple(values[name])
        for name in ("mr", "resize"):
            values[name] = getattr(cls, name) if values[name] is None else values[name]
        return cls(**values)


def parse_size(text: str) -> tuple[int, int]:
    """``"WxH"`` to (height, width).

    Examples
    --------
    >>> parse_size("3840x2160")
    (2160, 3840)
    """
    width, cross, height = text.lower().partition("x")
    if not (cross and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise UsageError(
            f"{text!r} is no size; write WIDTHxHEIGHT in pixels, for example 1920x1080."
        )
    return int(height), int(width)
