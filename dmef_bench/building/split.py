"""Which scenes train and which test: whole groups, by hash, and once decided for good."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, Literal

from dmef_bench.errors import UsageError


@dataclass(frozen=True)
class SplitRule:
    """How many scenes go where.

    Parameters
    ----------
    train, test : int
        Scene counts where at least ``train + test`` scenes exist, their ratio otherwise.
    salt : str
        Mixed into every hash; another salt deals the groups anew.
    mode : {"count", "ratio"}
        ``"ratio"`` never counts, however many scenes there are.
    """

    train: int = 80
    test: int = 30
    salt: str = "dmef"
    mode: Literal["count", "ratio"] = "count"

    @classmethod
    def parse(cls, text: str) -> SplitRule:
        """``"80/30"``, or the share that trains, as a rule.

        Examples
        --------
        >>> SplitRule.parse("80/30")
        SplitRule(train=80, test=30, salt='dmef', mode='count')
        >>> SplitRule.parse("0.75")
        SplitRule(train=3, test=1, salt='dmef', mode='ratio')
        """
        if re.fullmatch(r"0?\.[0-9]+", text) and 0 < Fraction(text) < 1:
            share = Fraction(text)
            return cls(share.numerator, share.denominator - share.numerator, mode="ratio")
        train, slash, test = text.partition("/")
        if not (slash and train.isdecimal() and test.isdecimal() and int(train) + int(test)):
            raise UsageError(
                f"{text!r} is no split; write TRAIN/TEST, for example 80/30, the share that "
                "trains, for example 0.75, or the name of a file."
            )
        return cls(train=int(train), test=int(test))

    def to_record(self) -> dict[str, Any]:
        """As a recipe's record keeps it; the usual mode goes without saying."""
        record = asdict(self)
        return record if self.mode != "count" else {k: v for k, v in record.items() if k != "mode"}


def position(group: str, salt: str) -> float:
    """Where a group stands between 0 and 1: the first 8 bytes of SHA-256(salt NUL group).

    Independent of every other group, so adding videos moves nothing.
    """
    hashed = hashlib.sha256(f"{salt}\0{group}".encode()).digest()
    return int.from_bytes(hashed[:8], "big") / 2**64


def assign_splits(
    groups: Mapping[str, int], rule: SplitRule, settled: Mapping[str, str] | None = None
) -> dict[str, tuple[str, str]]:
    """Give every group a side.

    Parameters
    ----------
    groups : mapping
        Group id to its number of scenes.
    rule : SplitRule
        Counts or ratio.
    settled : mapping, optional
        Groups that already have a side; they keep it.

    Returns
    -------
    dict
        Group id to (split, reason); the reason is ``"settled"``, ``"count"``, ``"ratio"`` or
        ``"not-empty"``.

    Examples
    --------
    >>> assign_splits({"a": 1, "b": 1}, SplitRule(1, 1))
    {'a': ('test', 'count'), 'b': ('train', 'count')}
    """
    settled = settled or {}
    sides = {group: (settled[group], "settled") for group in groups if group in settled}
    fresh = sorted(set(groups) - set(sides), key=lambda group: position(group, rule.salt))
    by_count = rule.mode == "count" and sum(groups.values()) >= rule.train + rule.test
    in_test = sum(groups[group] for group, (side, _) in sides.items() if side == "test")
    for group in fresh:
        if by_count:
            fits = in_test + groups[group] <= rule.test
            in_test += groups[group] if fits else 0
            sides[group] = ("test" if fits else "train", "count")
        else:
            share = rule.test / (rule.train + rule.test)
            sides[group] = ("test" if position(group, rule.salt) < share else "train", "ratio")
    if not by_count:
        _leave_no_side_empty(sides, fresh, rule)
    return dict(sorted(sides.items()))


def _leave_no_side_empty(
    sides: dict[str, tuple[str, str]], fresh: list[str], rule: SplitRule
) -> None:
    """With two groups or more, a small data set still gets a test side and a training side."""
    if len(sides) < 2 or not fresh:
        return
    present = {side for side, _ in sides.values()}
    if "test" not in present and rule.test:
        sides[fresh[0]] = ("test", "not-empty")
    elif "train" not in present and rule.train:
        sides[fresh[-1]] = ("train", "not-empty")
