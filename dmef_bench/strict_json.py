"""JSON as dmef writes it: sorted keys, UTF-8, no NaN, infinity as the text ``"inf"``."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any


def encodable(value: Any) -> Any:
    """``value`` with tuples as lists and infinities as text, ready for strict JSON.

    Examples
    --------
    >>> encodable({"psnr": math.inf, "size": (2, 3)})
    {'psnr': 'inf', 'size': [2, 3]}
    """
    if isinstance(value, dict):
        return {str(key): encodable(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [encodable(part) for part in value]
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value


def dumps(value: Any, *, indent: int | None = None) -> str:
    """One JSON text; a single line unless ``indent`` is given.

    Raises
    ------
    ValueError
        A NaN, which no reader of the record could tell from a mistake.
    """
    return json.dumps(
        encodable(value), sort_keys=True, ensure_ascii=False, allow_nan=False, indent=indent
    )


def canonical(value: Any) -> bytes:
    """The bytes that hashes are taken over: sorted keys, no spaces, ASCII, floats by ``repr``."""
    text = json.dumps(encodable(value), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def digest(value: Any) -> str:
    """SHA-256 of the canonical bytes, in hex."""
    return hashlib.sha256(canonical(value)).hexdigest()


def loads(text: str) -> Any:
    """Read strict JSON; ``NaN`` and ``Infinity``, which Python would accept, are refused."""

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def number(value: Any) -> float:
    """A number read back from a record, infinity included.

    Examples
    --------
    >>> number("inf")
    inf
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{value!r} is not a number")
    if isinstance(value, str) and value not in {"inf", "-inf"}:
        raise ValueError(f"{value!r} is not a number")
    return float(value)
