"""`dmef methods`: what is installed, what it needs, whether it keeps the contract."""

from __future__ import annotations

import sys

import click

from dmef_bench.cli.words import METHOD


@click.command()
@click.argument("names", nargs=-1, type=METHOD)
@click.option("-l", "--long", "long_form", is_flag=True, help="With paper, parameters and needs.")
@click.option("--check", is_flag=True, help="Hold the methods named to their contract.")
def methods(names: tuple[str, ...], long_form: bool, check: bool) -> None:
    """List the installed methods, or tell all of those NAMED.

    The plain list imports none of them. A NAME is as for `dmef bench --method`.
    """
    from dmef_bench.registry import available_methods

    if check:
        sys.exit(_check(names))
    if names and not long_form:
        from dmef_bench.harness.catalogue import details

        for name in names:
            for line in details(name):
                click.echo(line)
    elif long_form:
        from dmef_bench.harness.catalogue import table

        for line in table(names or available_methods()):
            click.echo(line)
    else:
        for name, target in available_methods().items():
            click.echo(f"{name:16} {target}")


def _check(names: tuple[str, ...]) -> int:
    """Print a line for each clause; the exit code."""
    from dmef_bench.errors import UsageError
    from dmef_bench.harness.contract import check_method
    from dmef_bench.registry import parse_method

    if not names:
        raise UsageError("Name what is to be checked: dmef methods --check NAME.")
    broken = False
    for name in names:
        plain, options = parse_method(name)
        click.echo(name)
        for verdict in check_method(plain, **options):
            click.echo(f"  {verdict}")
            broken = broken or bool(verdict.breach)
    return 4 if broken else 0
