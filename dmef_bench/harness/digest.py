"""What code a method is: a hash of its sources, taken without running them."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dmef_bench import __version__, strict_json
from dmef_bench.errors import MethodNotFoundError


def method_digest(target: str, options: Mapping[str, Any]) -> str:
    """SHA-256 over a method's target, sources, options, weights files and dmef's major.minor.

    The sources are the method's module and, followed through their imports, the modules of its own
    package. A result is reused only while this stays the same.

    Parameters
    ----------
    target : str
        ``module:Class`` or ``path/to/file.py:Class``.
    options : mapping
        Constructor arguments, of JSON's types.

    Raises
    ------
    MethodNotFoundError
        The module does not exist.
    """
    module, _, attribute = target.rpartition(":")
    sources = _file_source(module) if module.endswith(".py") else _package_sources(module)
    return strict_json.digest(
        {
            # A file is known by what it says, not by where it lies.
            "target": f"{Path(module).name}:{attribute}",
            "sources": sources,
            "options": _by_content(options),
            "dmef": ".".join(__version__.split(".")[:2]),
        }
    )


def public_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as they may stand in a record: files by their names, not by where they lie."""
    return {
        key: Path(value).name if _is_file(value) or _is_folder(value) else value
        for key, value in _plain(options).items()
    }


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as JSON; TOML's dates and times by their text."""
    return {
        key: value if isinstance(value, (str, int, float, bool, list, dict)) else str(value)
        for key, value in options.items()
    }


def _by_content(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with files, and folders of weights, replaced by hashes of what they hold."""
    return {key: _content(value) for key, value in _plain(options).items()}


def _content(value: Any) -> Any:
    if _is_file(value):
        return {"sha256": _sha256(Path(value).read_bytes())}
    if _is_folder(value):
        weights = sorted(Path(value).glob("*.safetensors"))
        return {"sha256": [_sha256(path.read_bytes()) for path in weights]}
    return value


def _is_file(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) < 4096 and Path(value).is_file()


def _is_folder(value: Any) -> bool:
    # A bare word such as "identity" may by chance be a folder here; a path has a separator.
    return isinstance(value, str) and "/" in value and len(value) < 4096 and Path(value).is_dir()


def _file_source(path: str) -> dict[str, str]:
    try:
        return {Path(path).name: _sha256(Path(path).read_bytes())}
    except OSError as error:
        raise MethodNotFoundError(
            f"{path} cannot be read ({error.strerror}); give the path of the method's file."
        ) from error


def _package_sources(module: str) -> dict[str, str]:
    """Module name to source hash, for ``module`` and all it imports from its own package."""
    package = module.partition(".")[0]
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        source = None if name in found else _source(name)
        if source is None:
            continue
        found[name] = _sha256(source)
        waiting += [
            imported for imported in _imports(source, name) if imported.partition(".")[0] == package
        ]
    if module not in found:
        raise MethodNotFoundError(f"There is no module {module!r} to take a method from.")
    return dict(sorted(found.items()))


def _source(module: str) -> bytes | None:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin).read_bytes()


def _imports(source: bytes, module: str) -> Iterator[str]:
    """Every module a source may import; names that are no modules are sorted out by `_source`."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = module.split(".")[: -node.level]
                base = ".".join([*parent, base] if base else parent)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
