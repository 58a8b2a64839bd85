"""`dmef datasets`: the sets that dmef reads, where to get them, what their folders look like."""

from __future__ import annotations

import click

from dmef_bench.cli.words import DATASET
from dmef_bench.errors import UsageError


@click.command()
@click.argument("names", nargs=-1, type=DATASET)
def datasets(names: tuple[str, ...]) -> None:
    """Say of each data set what it is, where it is obtained, and what its folder must look like.

    Nothing is downloaded. A set is recognised by its folders; --dataset NAME insists.
    """
    from dmef_bench.datasets import OURS, PUBLIC_SETS

    known = {OURS[0]: OURS, **{name: kind.lines() for name, kind in PUBLIC_SETS.items()}}
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise UsageError(f"No data set is called {unknown[0]!r}; there are {', '.join(known)}.")
    for name in names or known:
        for line in known[name]:
            click.echo(line)
        click.echo()
