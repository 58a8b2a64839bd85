"""`dmef methods`: what is installed."""

from __future__ import annotations

import click


@click.command()
def methods() -> None:
    """List the installed methods; none is imported."""
    from dmef_bench.registry import available_methods

    for name, target in available_methods().items():
        click.echo(f"{name:16} {target}")
