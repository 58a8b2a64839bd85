"""Caches on disk: safetensors with a header that says whose attention it is, read with distrust."""

from __future__ import annotations

import json
import math
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dmef_bench import strict_json
from dmef_bench.errors import CheckpointError, UnavailableError, UsageError
from ipl.cache_store import Key
from ipl.cached_blocks import attention_limits
from ipl.collapsed import Grid, collapses
from ipl.packing import Kept, Limits, Packed
from ipl.quantization import LEVELS, Quantized

if TYPE_CHECKING:
    from ipl.network import IPLConfig

FORMAT = "ipl-cache/1"

MOST_SIZES = 64
"""Frame sizes in one file."""

LARGEST_SIDE = 1 << 16
"""Rows or columns of features."""

TYPES = {
    str(torch.float32): "F32",
    str(torch.float64): "F64",
    str(torch.float16): "F16",
    str(torch.bfloat16): "BF16",
}
"""What safetensors calls the types of weights."""

BYTES = {"U8": 1, "F16": 2, "BF16": 2, "F32": 4, "I32": 4, "F64": 8}

DIGEST = re.compile("[0-9a-f]{64}")

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Field:
    """A tensor in the file: its name, its shape, and the types it may have."""

    name: str
    shape: Shape
    types: tuple[str, ...]


def save(
    path: Path, header: Mapping[str, str], entries: Mapping[Key, Kept], sources: Sequence[str]
) -> None:
    """Write entries, whole or not at all.

    Parameters
    ----------
    path : Path
        Of the file.
    header : mapping of str to str
        Whose attention it is.
    entries : mapping of Key to Kept
        Tensors and what `quantize` made of them.
    sources : sequence of str
        SHA-256 of the pictures that it came from.
    """
    tensors = {}
    for key, kept in entries.items():
        for name, packed in kept.items():
            tensors.update(_flat(".".join(map(str, (*key, name))), packed))
    sizes = sorted({key[-2:] for key in entries if key[0] != "map"})
    metadata = {
        "format": FORMAT,
        **header,
        "sizes": json.dumps(sizes),
        "sources": json.dumps(list(sources)),
    }
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder:
        whole = Path(folder) / path.name
        save_file(tensors, whole, metadata)
        whole.replace(path)


def load(
    path: Path, header: Mapping[str, str], config: IPLConfig, max_bytes: int
) -> tuple[dict[Key, Kept], list[str]]:
    """Read what `save` wrote; no tensor is read before its shape and type are known to fit.

    Parameters
    ----------
    path : Path
        Of the file.
    header : mapping of str to str
        What it must say.
    config : IPLConfig
        Of the network.
    max_bytes : int
        What its tensors may take.

    Returns
    -------
    entries : dict of Key to Kept
        On the CPU.
    sources : list of str
        SHA-256 of the pictures that it came from.

    Raises
    ------
    UnavailableError
        No such file.
    CheckpointError
        It does not say what ``header`` says, or holds what such a file cannot hold.
    UsageError
        More bytes than ``max_bytes``.
    """
    if not path.is_file():
        raise UnavailableError(f"{path} does not exist; save a cache there first.")
    try:
        with safe_open(path, framework="pt") as file:
            return _read(file, path, header, config, max_bytes)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: not whole as safetensors ({error}). Fill and save the cache again."
        ) from error


def _read(
    file: Any, path: Path, header: Mapping[str, str], config: IPLConfig, max_bytes: int
) -> tuple[dict[Key, Kept], list[str]]:
    metadata = file.metadata() or {}
    for name, wanted in {"format": FORMAT, **header}.items():
        if metadata.get(name) != wanted:
            raise CheckpointError(
                f"{path} was made for {name} {metadata.get(name)!r}; here it is {wanted!r}. "
                "Fill and save the cache with this network and these options."
            )
    layout = {
        key: {name: _fields(key, name, shape, header) for name, shape in shapes.items()}
        for key, shapes in _entries(header, config, _sizes(metadata.get("sizes"), path, config))
    }
    held = set(file.keys())
    # A block that the budget had no room for is lacking as a whole.
    present = {
        key: parts for key, parts in layout.items() if held & {f.name for f in _all_fields(parts)}
    }
    fields = [field for parts in present.values() for field in _all_fields(parts)]
    _check_names(held, {field.name for field in fields}, path)
    _check_sizes(file, fields, path, max_bytes)
    pinned = header["policy"] == "pinned"
    limits = None if pinned else attention_limits(header["what"], len(config.dims))
    entries = {
        key: Kept({name: _part(file, parts[name], limits, path) for name in parts})
        for key, parts in present.items()
    }
    return entries, _sources(metadata.get("sources"), path)


def _entries(
    header: Mapping[str, str], config: IPLConfig, sizes: Sequence[tuple[int, int]]
) -> Iterator[tuple[Key, dict[str, Shape]]]:
    """Every entry there may be, and the shapes of its tensors."""
    width = config.width
    if header["policy"] == "pinned":
        for layer in range(config.blocks):
            yield ("map", layer), {"map": (1, width, width, width)}
        return
    dims = list(config.dims) if header["what"] in {"weights_per_dim", "lfe"} else ["sum"]
    for size in sizes:
        if header["what"] == "product" and collapses(size, width, drtm=config.drtm):
            rows, columns = Grid(size, width).positions
            layers = range(config.blocks if config.drtm else 0)
            shapes: dict[str, Shape] = {"product": (1, width, *size)}
            shapes |= {str(layer): (1, width, len(rows), len(columns)) for layer in layers}
            yield ("product", *size), shapes
        else:
            for layer in range(config.blocks):
                yield ("attention", layer, *size), dict.fromkeys(dims, (1, width, *size))


def _fields(key: Key, name: str, shape: Shape, header: Mapping[str, str]) -> list[Field]:
    """The tensors that one kept tensor is written as."""
    full = ".".join(map(str, (*key, name)))
    if name == "product":
        return [Field(full, shape, ("F16", "F32", "F64"))]
    if header["quant"] == "none":
        return [Field(full, shape, (TYPES[header["dtype"]],))]
    units = (1, shape[1], 1, 1) if header["scales"] == "channel" else ()
    return [
        Field(full, shape, ("U8",)),
        Field(f"{full}.scale", units, ("F32",)),
        Field(f"{full}.zero_point", units, ("I32",)),
    ]


def _flat(name: str, packed: Packed) -> dict[str, Tensor]:
    """What `_fields` names, of a kept tensor."""
    if isinstance(packed, Quantized):
        parts = {"": packed.q, ".scale": packed.scale, ".zero_point": packed.zero_point}
        return {name + ending: part.contiguous() for ending, part in parts.items()}
    assert isinstance(packed, Tensor)  # what codecs made is not saved
    return {name: packed.contiguous()}


def _part(file: Any, fields: Sequence[Field], limits: Limits, path: Path) -> Tensor | Quantized:
    """Read one kept tensor and see whether its values can be."""
    tensors = [file.get_tensor(field.name) for field in fields]
    name = fields[0].name
    if len(tensors) == 1:
        lowest, highest = torch.aminmax(tensors[0].float())
        sound = bool(lowest.isfinite() and highest.isfinite())
        ends = float(lowest), float(highest)
        part: Tensor | Quantized = tensors[0]
    else:
        part = Quantized(*tensors)
        sound = bool(
            (part.scale.isfinite() & (part.scale > 0)).all()
            and ((part.zero_point >= 0) & (part.zero_point <= LEVELS)).all()
        )
        ends = (
            float((-part.zero_point * part.scale).min()),
            float(((LEVELS - part.zero_point) * part.scale).max()),
        )
    lowest_end, highest_end = limits or (-math.inf, math.inf)
    if name.endswith(".product"):
        highest_end = math.inf
    # A step times 255 may come out a little above the range it was made from.
    if not sound or ends[0] < lowest_end or ends[1] > highest_end * (1 + 1e-5):
        raise CheckpointError(
            f"{path}: {name} reaches from {ends[0]:g} to {ends[1]:g}, and attention lies between "
            f"{lowest_end:g} and {highest_end:g}. The file is damaged; fill the cache again."
        )
    return part


def _check_names(held: set[str], wanted: set[str], path: Path) -> None:
    missing, unexpected = sorted(wanted - held), sorted(held - wanted)
    for kind, names in (("lacks", missing), ("holds the unexpected", unexpected)):
        if names:
            raise CheckpointError(
                f"{path} {kind} {', '.join(names[:6])} ({len(names)} in all). "
                "The file is damaged; fill the cache again."
            )


def _check_sizes(file: Any, fields: Sequence[Field], path: Path, max_bytes: int) -> None:
    total = 0
    for field in fields:
        stored = file.get_slice(field.name)
        shape, kind = tuple(stored.get_shape()), stored.get_dtype()
        if shape != field.shape or kind not in field.types:
            raise CheckpointError(
                f"{path}: {field.name} is {kind} {shape} instead of "
                f"{' or '.join(field.types)} {field.shape}. The file is damaged; fill the cache "
                "again."
            )
        total += math.prod(shape) * BYTES[kind]
    if total > max_bytes:
        raise UsageError(
            f"{path} holds {total:,} bytes, and the cache may take {max_bytes:,}; raise max_bytes."
        )


def _sizes(text: str | None, path: Path, config: IPLConfig) -> list[tuple[int, int]]:
    """Rows and columns of the features of each frame size."""
    _, columns, rows = config.brick
    sizes = _listed(text, "sizes", path)
    sound = len(sizes) <= MOST_SIZES and all(
        isinstance(size, list)
        and len(size) == 2
        and all(
            isinstance(side, int) and 0 < side <= LARGEST_SIDE and side % step == 0
            for side, step in zip(size, (rows, columns), strict=True)
        )
        for size in sizes
    )
    if not sound:
        raise CheckpointError(f"{path} was made for sizes {text!r}, which no features have.")
    return [(height, width) for height, width in sizes]


def _sources(text: str | None, path: Path) -> list[str]:
    sources = _listed(text, "sources", path)
    if not all(isinstance(digest, str) and DIGEST.fullmatch(digest) for digest in sources):
        raise CheckpointError(f"{path} names sources that are no SHA-256 digests.")
    return sources


def _listed(text: str | None, name: str, path: Path) -> list[Any]:
    try:
        values = strict_json.loads(text or "")
    except ValueError as error:
        raise CheckpointError(f"{path}: {name} is not JSON ({error}).") from error
    if not isinstance(values, list):
        raise CheckpointError(f"{path}: {name} is {text!r}, not a list.")
    return values


def _all_fields(parts: Mapping[str, Sequence[Field]]) -> list[Field]:
    return [field for fields in parts.values() for field in fields]
