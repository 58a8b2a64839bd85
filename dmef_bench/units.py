"""Amounts of memory as people write them: ``24GiB`` to bytes and back."""

from __future__ import annotations

import re

from dmef_bench.errors import UsageError

_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def bytes_text(count: float) -> str:
    """Bytes to three digits, in powers of 1024.

    Examples
    --------
    >>> bytes_text(24 * 2**30), bytes_text(1_500_000), bytes_text(1023)
    ('24 GiB', '1.43 MiB', '1023 B')
    """
    unit = "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(count) < 1024 or unit == "TiB":
            break
        count /= 1024
    return f"{count:.4g} {unit}" if abs(count) >= 1000 else f"{count:.3g} {unit}"


def parse_bytes(text: str) -> int:
    """``24GiB``, ``512 MB``, ``1.5G`` or plain bytes; a bare letter and ``iB`` mean powers of 1024.

    Raises
    ------
    UsageError
        No such amount.

    Examples
    --------
    >>> parse_bytes("24GiB") == 24 * 2**30, parse_bytes("512 MB"), parse_bytes("1.5G")
    (True, 512000000, 1610612736)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(iB|B|)\s*", text, re.IGNORECASE)
    amount = float(match[1]) if match else 0.0
    if match is None or amount <= 0:
        raise UsageError(f"{text!r} is no amount of memory; write for example 24GiB or 512MB.")
    base = 1000 if match[3].lower() == "b" and match[2] else 1024
    return int(amount * base ** _POWERS[match[2].upper()])
