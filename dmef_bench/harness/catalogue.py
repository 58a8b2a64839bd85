"""What is known of a method before it fuses anything: its paper, its size, what it asks for."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from dmef_bench.errors import DmefError
from dmef_bench.harness.contract import load_with_any_weights
from dmef_bench.harness.cost import UHD, count_macs
from dmef_bench.method import Method, traits
from dmef_bench.registry import parse_method, resolve

_VARIABLE = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


@dataclass(frozen=True)
class Entry:
    """One method of the table.

    Parameters
    ----------
    name, paper : str
        As on its row.
    parameters : int or None
        Of its network; None where it has none.
    weights : str
        ``shipped``, ``to be given``, or nothing where there is no network.
    stack : str
        What the exposures must be.
    """

    name: str
    paper: str
    parameters: int | None
    weights: str
    stack: str


def entry(name: str) -> Entry:
    """Build a method, with random weights where it has no own, and read what it states.

    Parameters
    ----------
    name : str
        As for `load_method`, options after ``@`` included.

    Returns
    -------
    Entry
        Of a method that cannot be built: its name and the reason.
    """
    plain, options = parse_method(name)
    try:
        method = load_with_any_weights(plain, **options)
    except DmefError as error:
        return Entry(name, f"not to be had here: {error}", None, "", "")
    return Entry(name, method.paper, _parameters(method), _weights(method), _stack(method))


def table(names: Iterable[str]) -> Iterator[str]:
    """Lines of text: a heading, and each method with paper, parameters, weights and needs."""
    rows = [("method", "parameters", "weights", "stack", "paper")]
    for known in map(entry, names):
        count = "" if known.parameters is None else f"{known.parameters:,}"
        rows.append((known.name, count, known.weights, known.stack, known.paper))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        name, count, *others = row
        cells = [name.ljust(widths[0]), count.rjust(widths[1])]
        cells += [cell.ljust(width) for cell, width in zip(others, widths[2:], strict=True)]
        yield "  ".join(cells).rstrip()


def details(name: str) -> Iterator[str]:
    """Lines of text: all that one method states of itself, and the options that it takes.

    Raises
    ------
    DmefError
        There is no such method, or it cannot be built.
    """
    plain, options = parse_method(name)
    method = load_with_any_weights(plain, **options)
    stated = traits(method)
    yield f"{name} ({resolve(plain)})"
    if documentation := inspect.getdoc(type(method)):
        yield f"  {documentation.splitlines()[0]}"
    facts = {
        "paper": method.paper,
        "network": _network(method),
        "weights": _weights(method),
        "stack": _stack(method),
        "sizes": "any" if stated.stride == 1 else f"multiples of {stated.stride} preferred",
        "tiles": _tiles(stated.is_global, stated.halo),
        "options": ", ".join(_options(type(method))),
    }
    for key, fact in facts.items():
        if fact:
            yield f"  {key:8} {fact}"


def _parameters(method: Method) -> int | None:
    build = traits(method).network
    return None if build is None else sum(value.numel() for value in build().parameters())


def _weights(method: Method) -> str:
    stated = traits(method)
    if stated.network is None:
        return ""
    return "to be given" if stated.untrained else "shipped"


def _stack(method: Method) -> str:
    stated = traits(method)
    count = "any number" if stated.exposures is None else f"exactly {stated.exposures}"
    needs = ["EVs"] * stated.needs_evs + ["ground truth"] * stated.sees_ground_truth
    return " with ".join([count, *needs])


def _network(method: Method) -> str:
    stated = traits(method)
    if stated.network is None:
        return ""
    cost = count_macs(stated.network(), UHD, channels=stated.in_channels)
    products = cost.reason if cost.macs is None else f"{cost.macs / 1e12:.4g} TMAC at 3840x2160"
    return f"{cost.parameters:,} parameters, {products}"


def _tiles(is_global: bool, halo: int) -> str:
    if is_global:
        return "differ from the whole frame"
    return f"equal the whole frame from an overlap of {halo} px on" if halo else ""


def _options(kind: type) -> Iterator[str]:
    """The constructor's parameters, and those of the bases that it hands the rest to."""
    found: dict[str, inspect.Parameter] = {}
    for level in kind.__mro__:
        if "__init__" in vars(level):
            _, *own = inspect.signature(vars(level)["__init__"]).parameters.values()
            found |= {p.name: p for p in own if p.name not in found}
            if not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in own):
                break
    for parameter in found.values():
        if parameter.kind not in _VARIABLE:
            yield _option(parameter)


def _option(parameter: inspect.Parameter) -> str:
    default: Any = parameter.default
    if default is inspect.Parameter.empty or default is None:
        return parameter.name
    return f"{parameter.name}={default}"
