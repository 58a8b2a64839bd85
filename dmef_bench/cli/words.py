"""How the command line reads words: folders, and lists written with commas."""

from __future__ import annotations

from pathlib import Path

import click

FOLDER = click.Path(path_type=Path)


def names(text: str) -> tuple[str, ...]:
    """Split ``a,b`` into its names; blanks and empty ones are dropped."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
