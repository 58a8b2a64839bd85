"""How figures are written: fixed digits for scores, three significant ones for seconds."""

from __future__ import annotations

import math
from collections.abc import Callable

from dmef_bench.metrics import METRICS

Writer = Callable[[float], str]

NOTHING = "–"
"""What stands where there is no figure."""


def score(metric: str) -> Writer:
    """How a metric is written: decibels with two digits, the others with four."""
    unit = METRICS[metric].unit if metric in METRICS else ""
    return decimals(2 if unit == "dB" else 4)


def decimals(digits: int, scale: float = 1.0) -> Writer:
    """A writer of fixed digits after the point; infinity as ∞, NaN as a dash.

    Examples
    --------
    >>> decimals(2)(34.125), decimals(4, scale=1e-6)(1313635), decimals(2)(math.inf)
    ('34.12', '1.3136', '∞')
    """

    def write(value: float) -> str:
        if math.isnan(value):
            return NOTHING
        return "∞" if math.isinf(value) else f"{value * scale:.{digits}f}"

    return write


def significant(value: float, digits: int = 3) -> str:
    """A positive figure with ``digits`` significant ones, never with an exponent.

    Examples
    --------
    >>> significant(0.00170001), significant(221.4), significant(12345.0), significant(0.9999)
    ('0.00170', '221', '12345', '1.00')
    """
    if not math.isfinite(value):
        return decimals(0)(value)
    # Rounded first: 0.9999 has one digit before the point as soon as it is written.
    rounded = float(f"{value:.{digits - 1}e}")
    leading = math.floor(math.log10(rounded)) + 1 if rounded > 0 else 1
    return f"{value:.{max(0, digits - leading)}f}"


def gibibytes(value: float) -> str:
    """Bytes in GiB, without the unit."""
    return significant(value / 2**30)


def engineering(value: float) -> str:
    """A count with four significant digits and its prefix.

    Examples
    --------
    >>> engineering(1241856), engineering(2.93e12), engineering(12.0)
    ('1.242 M', '2.930 T', '12')
    """
    for step, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= step:
            return f"{significant(value / step, 4)} {prefix}"
    return decimals(0)(value)


def signed(write: Writer) -> Writer:
    """The same writer for differences: with a sign, the minus a true one.

    Examples
    --------
    >>> signed(decimals(2))(-1.5), signed(decimals(2))(0.25)
    ('−1.50', '+0.25')
    """

    def write_signed(value: float) -> str:
        if math.isnan(value):
            return NOTHING
        return f"{'−' if value < 0 else '+'}{write(abs(value))}"

    return write_signed
