"""Find a fusion method by name, and import none beforehand."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from dmef_bench.errors import MethodNotFoundError, UnavailableError, UsageError
from dmef_bench.method import Method, missing_parts

ENTRY_POINT_GROUP = "dmef.methods"


def available_methods() -> dict[str, str]:
    """Installed methods, name to ``"module:Class"``, sorted; nothing is imported."""
    found = {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)}
    return dict(sorted(found.items()))


def load_method(name: str, **options: Any) -> Method:
    """Build a method.

    Parameters
    ----------
    name : str
        An installed name (`available_methods`), ``package.module:Class`` or
        ``path/to/file.py:Class``.
    **options
        Handed to the constructor.

    Raises
    ------
    MethodNotFoundError
        No such name; the message lists the installed ones and the nearest spelling.
    UnavailableError
        The method needs a package that is not installed.
    UsageError
        The class is no method, or does not take these options.

    Examples
    --------
    >>> load_method("reference").name
    'reference'
    """
    target = resolve(name)
    try:
        kind = _import_target(target)
    except ImportError as error:
        raise UnavailableError(
            f"Method {name!r} ({target}) cannot be imported: {error}. Install what it needs."
        ) from error
    # An instance attribute may hold name or paper, so the class alone is asked only for fuse.
    if not callable(getattr(kind, "fuse", None)):
        raise UsageError(f"{target} is no fusion method: it has no fuse(stack).")
    try:
        method = kind(**options)
    except TypeError as error:
        raise UsageError(f"Method {name!r} does not take these options: {error}.") from error
    if absent := missing_parts(method):
        raise UsageError(
            f"{target} is no fusion method yet: it lacks {', '.join(absent)}. "
            "A method has name, paper and fuse(stack)."
        )
    return method


def accepts(name: str, option: str) -> bool:
    """Whether a method's constructor knows an option; its module is imported to ask."""
    try:
        parameters = inspect.signature(_import_target(resolve(name))).parameters.values()
    except (ImportError, TypeError, ValueError):
        return False
    return any(
        parameter.name == option or parameter.kind is parameter.VAR_KEYWORD
        for parameter in parameters
    )


def resolve(name: str) -> str:
    """The ``module:Class`` or ``file.py:Class`` that a method name stands for."""
    installed = available_methods()
    if name in installed:
        return installed[name]
    module, colon, attribute = name.rpartition(":")
    if colon and module and attribute.isidentifier():
        return name
    raise MethodNotFoundError(_unknown(name, installed))


def _unknown(name: str, installed: dict[str, str]) -> str:
    near = difflib.get_close_matches(name, installed, n=1)
    guess = f"; did you mean {near[0]}?" if near else "."
    return (
        f"No method is called {name!r}{guess} Installed: {', '.join(installed)}. "
        "Your own: package.module:Class or path/to/file.py:Class."
    )


def _import_target(target: str) -> Any:
    module_name, _, attribute = target.rpartition(":")
    is_file = module_name.endswith(".py")
    module = _import_file(Path(module_name)) if is_file else importlib.import_module(module_name)
    if not hasattr(module, attribute):
        raise MethodNotFoundError(f"{module_name} has no {attribute!r}; check the class name.")
    return getattr(module, attribute)


def _import_file(path: Path) -> ModuleType:
    """Load a file under a private name; its folder does not join the import path."""
    if not path.is_file():
        raise MethodNotFoundError(f"{path} does not exist; give the path of the method's file.")
    mark = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    private = f"_dmef_{path.stem}_{mark}"
    spec = importlib.util.spec_from_file_location(private, path)
    if spec is None or spec.loader is None:
        raise MethodNotFoundError(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[private] = module  # dataclasses and pickling look a class's module up there
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise UsageError(f"{path}, line {error.lineno}: {error.msg}.") from error
    return module


def parse_method(text: str) -> tuple[str, dict[str, Any]]:
    """Split ``NAME@key=value,key=value`` into the name and its options.

    Values are read as TOML; bare words are text.

    Examples
    --------
    >>> parse_method("gdc@window=5,clip=0.8,label=small")
    ('gdc', {'window': 5, 'clip': 0.8, 'label': 'small'})
    """
    name, at, rest = text.partition("@")
    if not at:
        return name, {}
    # A comma inside brackets or quotes belongs to the value.
    parts = re.findall(r"""(?:[^,\[\]"']|\[[^\]]*\]|"[^"]*"|'[^']*')+""", rest)
    return name, dict(parse_option(part) for part in parts)


def parse_option(text: str) -> tuple[str, Any]:
    """``key=value`` as a pair, the value read as TOML, bare words as text."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip().isidentifier():
        raise UsageError(f"{text!r} is no option; write key=value.")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()
