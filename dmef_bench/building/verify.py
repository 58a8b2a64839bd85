"""Does the disk hold what the manifest says? Every file, every byte, every pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dmef_bench.building.layout import CHECKSUMS, SCRATCH, manifest_digest, split_lists
from dmef_bench.errors import DmefError, ManifestError
from dmef_bench.imagefile import bytes_sha256, pixels_sha256, read_image
from dmef_bench.manifest import FileEntry, Manifest, SceneEntry, check_relative


@dataclass(frozen=True)
class Report:
    """What `verify_dataset` found.

    Parameters
    ----------
    root : Path
        The data set.
    problems : tuple of str
        What is wrong, one sentence each; empty means proven.
    scenes, files : int
        How many were looked at.
    """

    root: Path
    problems: tuple[str, ...]
    scenes: int = 0
    files: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing was found wrong."""
        return not self.problems

    def lines(self) -> list[str]:
        """What the command line prints."""
        if self.ok:
            return [f"{self.root}: {self.scenes} scenes, {self.files} pictures, all as built."]
        count = len(self.problems)
        return [*self.problems, f"{self.root}: {count} problem{'s' * (count > 1)} found."]


def verify_dataset(
    root: Path | str,
    dataset: str | None = None,
    *,
    quick: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Prove a data set, or list what is wrong with it; bad data never raises.

    Parameters
    ----------
    root : Path or str
        Folder that ``dmef build`` wrote.
    dataset : str, optional
        Only ``"4k-dmef"`` so far.
    quick : bool
        Existence, sizes and the manifest's logic only; no picture is opened.
    progress : callable, optional
        Called with (files done, files in all).
    """
    root = Path(root)
    if dataset not in (None, "4k-dmef"):
        return Report(root, (f"No data set is called {dataset!r}; dmef verifies 4k-dmef.",))
    try:
        manifest = Manifest.load(root)
        listed = _read_checksums(root)
    except ManifestError as error:
        return Report(root, (str(error),))
    problems = _check_logic(manifest, listed) + _check_listing(root, listed)
    pictures = [(scene, entry) for scene in manifest.scenes for entry in scene.files]
    for done, (scene, entry) in enumerate(pictures, start=1):
        problems += _check_picture(manifest, scene, entry, quick=quick)
        if progress:
            progress(done, len(pictures))
    if not quick:
        problems += _check_other_files(root, listed, {entry.path for _, entry in pictures})
    return Report(root, tuple(problems), len(manifest.scenes), len(pictures))


def _check_logic(manifest: Manifest, listed: dict[str, str]) -> list[str]:
    """Whether manifest, data set file, checksums and split lists tell one story."""
    problems = [
        f"{entry.path}: {CHECKSUMS} and manifest.jsonl name different hashes."
        for scene in manifest.scenes
        for entry in scene.files
        if listed.get(entry.path) != entry.sha256
    ]
    if manifest.dataset.get("manifest_sha256") != manifest_digest(manifest.root):
        problems.append(
            "manifest.jsonl is not the one that dataset.json was written with. "
            "Restore both, or run the build again."
        )
    for name, text in split_lists(manifest.scenes).items():
        path = manifest.root / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            problems.append(f"{name} does not list the scenes of the manifest.")
    sides: dict[str, str] = {}
    for scene in manifest.scenes:
        if sides.setdefault(scene.group, scene.split) != scene.split:
            problems.append(f"group {scene.group} stands on both sides of the split.")
    return problems


def _check_picture(
    manifest: Manifest, scene: SceneEntry, entry: FileEntry, *, quick: bool
) -> list[str]:
    mend = "Restore the file, or rebuild this scene with `dmef build --rebuild`."
    try:
        path = manifest.file(entry)
        if not path.is_file():
            return [f"{entry.path}: missing. {mend}"]
        if path.stat().st_size != entry.bytes:
            return [f"{entry.path}: {path.stat().st_size} bytes instead of {entry.bytes}. {mend}"]
        if quick:
            return []
        bytes_agree = bytes_sha256(path) == entry.sha256
        image = read_image(path)
        if image.dtype != np.dtype(entry.dtype) or image.shape[:2] != (scene.height, scene.width):
            return [f"{entry.path}: {image.dtype} {image.shape} is not what was built. {mend}"]
        if pixels_sha256(image) != entry.pixels:
            also = "" if bytes_agree else " (bytes too)"
            return [f"{entry.path}: pixels differ from the manifest{also}. {mend}"]
        if not bytes_agree:
            return [f"{entry.path}: same pixels, other bytes: the file was written again. {mend}"]
    except (DmefError, OSError) as error:
        return [f"{entry.path}: {error}"]
    return []


def _read_checksums(root: Path) -> dict[str, str]:
    try:
        lines = (root / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(
            f"{CHECKSUMS} cannot be read ({error}); run the build again."
        ) from error
    listed = {}
    for line in lines:
        digest, gap, path = line.partition("  ")
        if not gap:
            raise ManifestError(f"{CHECKSUMS}: {line!r} is no line of it; run the build again.")
        check_relative(path, CHECKSUMS)
        listed[path] = digest
    return listed


def _check_listing(root: Path, listed: dict[str, str]) -> list[str]:
    """Files that are there and listed nowhere, or listed and not there."""
    present = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if (path.is_file() or path.is_symlink()) and path.relative_to(root).parts[0] != SCRATCH
    } - {CHECKSUMS}
    links = [
        f"{path}: a link; data sets hold files." for path in present if (root / path).is_symlink()
    ]
    stray = [f"{path}: not part of the data set; move it away." for path in present - set(listed)]
    gone = [f"{path}: listed in {CHECKSUMS}, but missing." for path in set(listed) - present]
    return sorted(stray + gone + links)


def _check_other_files(root: Path, listed: dict[str, str], pictures: set[str]) -> list[str]:
    problems = []
    for path in sorted(set(listed) - pictures):
        file = root / path
        if file.is_file() and not file.is_symlink() and bytes_sha256(file) != listed[path]:
            problems.append(f"{path}: was changed after the build. Restore it, or build again.")
    return problems
