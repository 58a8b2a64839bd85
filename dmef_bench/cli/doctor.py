"""`dmef doctor`: what this machine has, and what is missing."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from dmef_bench.cli.words import FOLDER


@click.command()
@click.option("--fetch", is_flag=True, help="Download the LPIPS backbone that is missing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.argument("folder", type=FOLDER, default=".")
def doctor(folder: Path, *, fetch: bool, as_json: bool) -> None:
    """Say what this machine has for dmef; exit 3 where something needed is missing."""
    from dmef_bench import strict_json
    from dmef_bench.doctor import examine, fetch_weights

    if fetch:
        click.echo(f"LPIPS backbone: {fetch_weights()}", err=True)
    found = examine(folder)
    if as_json:
        click.echo(strict_json.dumps({"findings": [asdict(finding) for finding in found]}))
    else:
        for finding in found:
            click.echo(finding.line())
    sys.exit(3 if any(finding.state == "missing" for finding in found) else 0)
