"""How the command line reads words: folders, sizes, lists, options, names that complete."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from dmef_bench.errors import UsageError

FOLDER = click.Path(path_type=Path)


class _Completed(click.ParamType):  # type: ignore[type-arg]
    """Text that the shell may complete from a list, fetched only when it asks."""

    def __init__(
        self, name: str, choices: Callable[[], Iterable[str]], *, many: bool = False
    ) -> None:
        self.name = name
        self._choices, self._many = choices, many

    def shell_complete(
        self, _ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Choices that begin with what is typed; of a list, with what follows the last comma."""
        head, comma, last = incomplete.rpartition(",") if self._many else ("", "", incomplete)
        return [
            CompletionItem(f"{head}{comma}{choice}")
            for choice in self._choices()
            if choice.startswith(last)
        ]


class _Size(click.ParamType):  # type: ignore[type-arg]
    """``WIDTHxHEIGHT``, kept as text."""

    name = "WxH"

    def convert(self, value: Any, _param: Any, _ctx: Any) -> str:
        from dmef_bench.protocol import parse_size
        from dmef_bench.scene import size_text

        return size_text(parse_size(str(value)))


class _Memory(click.ParamType):  # type: ignore[type-arg]
    """``24GiB`` to bytes."""

    name = "bytes"

    def convert(self, value: Any, _param: Any, _ctx: Any) -> int:
        from dmef_bench.units import parse_bytes

        return value if isinstance(value, int) else parse_bytes(str(value))


def _method_names() -> Iterable[str]:
    from dmef_bench.registry import available_methods

    return available_methods()


def _metric_names() -> Iterable[str]:
    from dmef_bench.metrics import METRIC_SETS, METRICS

    return (*METRICS, *METRIC_SETS)


def _dataset_names() -> Iterable[str]:
    from dmef_bench.datasets import OURS, PUBLIC_SETS

    return (OURS[0], *PUBLIC_SETS)


METHOD = _Completed("method", _method_names)
METRIC = _Completed("metric", _metric_names, many=True)
DATASET = _Completed("dataset", _dataset_names)
SIZE = _Size()
MEMORY = _Memory()


def names(text: str) -> tuple[str, ...]:
    """Split ``a,b`` into its names; blanks and empty ones are dropped."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def options(texts: Iterable[str]) -> dict[str, Any]:
    """``key=value`` words as a mapping, values read as TOML."""
    from dmef_bench.registry import parse_option

    return dict(parse_option(text) for text in texts)


def words_without_paths() -> tuple[str, ...]:
    """The command line as it may stand in a record: absolute paths by their last part."""
    return tuple(Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:])


def _read_config(ctx: click.Context, _param: click.Parameter, path: Path | None) -> None:
    """Make a TOML file's values the defaults of the command's options."""
    if path is None:
        return
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"--config {path}: {error}.") from error
    # As on the command line: --mr is "mr", --no-timing is "timing = false", --method is "method".
    known = {
        option.removeprefix("--").replace("-", "_"): param
        for param in ctx.command.params
        for option in param.opts
        if option.startswith("--")
    }
    defaults: dict[str, Any] = {}
    for key, value in values.items():
        param = known.get(key.replace("-", "_"))
        if param is None or param.name is None:
            raise UsageError(
                f"--config {path}: `dmef {ctx.info_name}` has no option {key!r}; it has "
                f"{', '.join(sorted(known))}."
            )
        many = getattr(param, "multiple", False)
        joined = isinstance(value, list) and not many
        defaults[param.name] = ",".join(map(str, value)) if joined else value
    ctx.default_map = {**(ctx.default_map or {}), **defaults}


config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    is_eager=True,
    expose_value=False,
    callback=_read_config,
    help="TOML file of options; words on the command line win.",
)
