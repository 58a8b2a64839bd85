"""Damage as copying, flaky disks and bad tools do it, from a seed."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

KINDS = ("cut", "flip", "zero", "drop", "repeat", "swap")
_PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"udta", b"dinf")


def mutated(content: bytes, seed: int) -> tuple[str, bytes]:
    """One kind of damage, and the bytes that it leaves."""
    generator = random.Random(seed)
    kind = KINDS[seed % len(KINDS)]
    return kind, _DAMAGES[kind](bytearray(content), generator)


def _cut(content: bytearray, generator: random.Random) -> bytes:
    return bytes(content[: generator.randrange(len(content))])


def _flip(content: bytearray, generator: random.Random) -> bytes:
    for _ in range(generator.choice([1, 1, 2, 5, 40])):
        content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    return bytes(content)


def _zero(content: bytearray, generator: random.Random) -> bytes:
    start, length = generator.randrange(len(content)), generator.choice([4, 16, 64, 512, 4096])
    length = min(length, len(content) - start)
    content[start : start + length] = bytes(length)
    return bytes(content)


def _drop(content: bytearray, generator: random.Random) -> bytes:
    start = generator.randrange(len(content))
    del content[start : start + generator.choice([1, 4, 100, 2000])]
    return bytes(content)


def _repeat(content: bytearray, generator: random.Random) -> bytes:
    start = generator.randrange(len(content))
    content[start:start] = content[start : start + generator.choice([1, 4, 100, 2000])]
    return bytes(content)


def _swap(content: bytearray, generator: random.Random) -> bytes:
    """Two boxes of one parent change places; in files without boxes, two pieces."""
    families = [family for family in _families(bytes(content)) if len(family) > 1]
    if families:
        family = generator.choice(families)
        (a, a_end), (b, b_end) = sorted(generator.sample(family, 2))
    else:
        a, b = sorted(generator.sample(range(len(content)), 2))
        length = min(64, b - a, len(content) - b)
        a_end, b_end = a + length, b + length
    pieces = content[:a], content[b:b_end], content[a_end:b], content[a:a_end], content[b_end:]
    return b"".join(map(bytes, pieces))


def _families(content: bytes) -> Iterator[list[tuple[int, int]]]:
    """Boxes of one parent, as (start, end), for every parent of an MP4 file."""
    spans = [(0, len(content))]
    while spans:
        start, end = spans.pop()
        family = []
        while start + 8 <= end:
            size, kind = struct.unpack(">I4s", content[start : start + 8])
            if size < 8 or start + size > end:
                break
            family.append((start, start + size))
            if kind in _PARENTS:
                spans.append((start + 8, start + size))
            start += size
        yield family


_DAMAGES = {
    "cut": _cut, "flip": _flip, "zero": _zero, "drop": _drop, "repeat": _repeat, "swap": _swap,
}  # fmt: skip
