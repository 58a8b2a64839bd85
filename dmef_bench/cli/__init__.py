"""The ``dmef`` command: one file a command, each of which parses, calls one function, prints."""

from __future__ import annotations

import importlib
import logging
from typing import Any

import click

from dmef_bench import __version__
from dmef_bench.errors import DmefError

COMMANDS = (
    "build",
    "verify",
    "describe",
    "overview",
    "export",
    "datasets",
    "bench",
    "leaderboard",
    "methods",
    "train",
    "fuse",
    "lecarm",
    "demo",
    "doctor",
)
"""In the order of the work; ``dmef_bench.cli.NAME`` holds the function NAME."""


class _Group(click.Group):
    """Turns dmef's own errors into a message and their exit code, and Ctrl-C into 130."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        # A command is imported when it is called for, so that each may import what it likes.
        module = importlib.import_module(f"dmef_bench.cli.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DmefError as error:
            click.echo(f"dmef: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo(
                "dmef: interrupted; finished work is kept. Run the same command again to go on.",
                err=True,
            )
            ctx.exit(130)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@click.option("-v", "--verbose", is_flag=True, help="Say more on stderr.")
def main(verbose: bool) -> None:
    """Measure dynamic multi-exposure fusion at 4K, honestly.

    Videos in (build), methods run and scored (bench), tables out (leaderboard).
    """
    logging.basicConfig(
        level=logging.INFO if verbose else logging.ERROR, format="%(levelname)s %(message)s"
    )
