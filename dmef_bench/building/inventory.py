"""The list of everything a data set holds, with hashes: written at the end, read with suspicion."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dmef_bench.building.layout import CHECKSUMS
from dmef_bench.errors import ManifestError
from dmef_bench.imagefile import bytes_sha256, write_atomic
from dmef_bench.manifest import SceneEntry, check_relative

_HASH, _GAP = 64, "  "


def write_checksums(root: Path, scenes: Iterable[SceneEntry], others: Iterable[str]) -> None:
    """Write ``manifest-sha256.txt``, which ``sha256sum -c`` reads.

    Parameters
    ----------
    root : Path
        Of the data set.
    scenes : iterable of SceneEntry
        Pictures count with the hash that the manifest states.
    others : iterable of str
        Relative paths of all other files; hashed as they lie on disk.
    """
    listed = {entry.path: entry.sha256 for scene in scenes for entry in scene.files}
    listed |= {name: bytes_sha256(root / name) for name in others}
    text = "".join(f"{listed[path]}{_GAP}{path}\n" for path in sorted(listed))
    write_atomic(root / CHECKSUMS, text.encode())


def read_checksums(root: Path) -> dict[str, str]:
    """Relative path to SHA-256, as ``manifest-sha256.txt`` has it.

    Raises
    ------
    ManifestError
        Missing, damaged, or with a path that leaves the data set.
    """
    try:
        lines = (root / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(
            f"{root}: {CHECKSUMS} cannot be read ({error}). Run the build again."
        ) from error
    listed = {}
    for line in lines:
        digest, gap, path = line[:_HASH], line[_HASH : _HASH + 2], line[_HASH + 2 :]
        if gap != _GAP or not path:
            raise ManifestError(f"{CHECKSUMS}: {line!r} is no line of it; run the build again.")
        check_relative(path, CHECKSUMS)
        listed[path] = digest
    return listed


def file_stem(scene: SceneEntry) -> str:
    """A scene's id, once it is sure that a file may be called after it.

    Raises
    ------
    ManifestError
        An id that is no plain name.
    """
    check_relative(scene.scene, "manifest.jsonl")
    if "/" in scene.scene or "." in scene.scene:
        raise ManifestError(
            f"manifest.jsonl: scene {scene.scene!r} is no plain name. The manifest is damaged."
        )
    return scene.scene
