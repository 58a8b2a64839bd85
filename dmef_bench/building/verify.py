"""Does the disk hold what the manifest says? Every file, every byte, every pixel."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmef_bench.building.inventory import read_checksums
from dmef_bench.building.layout import CHECKSUMS, SCRATCH, manifest_digest, split_lists
from dmef_bench.building.likeness import Features, find_alike
from dmef_bench.building.papers_check import check_papers
from dmef_bench.building.proving import Proof, prove_scene
from dmef_bench.building.public_check import check_public
from dmef_bench.building.release import check_release
from dmef_bench.datasets import PUBLIC_SETS
from dmef_bench.errors import ManifestError, UsageError
from dmef_bench.imagefile import bytes_sha256
from dmef_bench.manifest import Manifest, SceneEntry

Progress = Callable[[int, int], None]
"""Called with (done, in all)."""

OURS = "4k-dmef"
AUDITED = 0.05
"""The audit of so large a share of the scenes is measured again, of one at least."""


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

    def to_record(self) -> dict[str, Any]:
        """The same, for ``--json``."""
        return {
            "ok": self.ok,
            "problems": list(self.problems),
            "scenes": self.scenes,
            "files": self.files,
        }


def verify_dataset(
    root: Path | str,
    dataset: str | None = None,
    *,
    quick: bool = False,
    release: bool = False,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Report:
    """Prove a data set, or list what is wrong with it; bad data never raises.

    Parameters
    ----------
    root : Path or str
        Folder that ``dmef build`` wrote, or that holds a public data set.
    dataset : str, optional
        ``"4k-dmef"`` (the default), or one of `dmef_bench.datasets.PUBLIC_SETS`: then counts and
        sizes are held against those published.
    quick : bool
        Existence, sizes and the manifest's logic only; no picture is opened.
    release : bool
        Also list what is still blank: licence, contact, consent, ``TODO:`` lines (4k-dmef).
    jobs : int
        Threads.
    progress : callable, optional
        See `Progress`.

    Raises
    ------
    UsageError
        Fewer than one thread, or a release of a public set.
    """
    root = Path(root)
    if jobs < 1:
        raise UsageError("--jobs is at least 1.")
    if dataset in PUBLIC_SETS:
        if release:
            raise UsageError(f"--release is for data sets of your own, not for {dataset}.")
        found = check_public(root, dataset, quick=quick, jobs=jobs, progress=progress)
        return Report(root, tuple(found[0]), *found[1:])
    if dataset not in (None, OURS):
        known = ", ".join((OURS, *PUBLIC_SETS))
        return Report(root, (f"No data set is called {dataset!r}; dmef verifies {known}.",))
    try:
        manifest = Manifest.load(root)
        listed = read_checksums(root)
    except ManifestError as error:
        return Report(root, (str(error),))
    problems = _check_logic(manifest, listed) + _check_listing(root, listed)
    problems += _prove_scenes(manifest, quick=quick, jobs=jobs, progress=progress)
    pictures = {entry.path for scene in manifest.scenes for entry in scene.files}
    changed = [] if quick else _check_other_files(root, listed, pictures)
    # What papers say is worth reading only where they are those that were written.
    problems += changed + check_papers(manifest, quick=quick or bool(changed))
    if release:
        problems += check_release(manifest)
    return Report(root, tuple(problems), len(manifest.scenes), len(pictures))


def _prove_scenes(
    manifest: Manifest, *, quick: bool, jobs: int, progress: Progress | None
) -> list[str]:
    """Look at every picture; then, whether one place is shown on both sides of the split."""
    again = _sample(manifest)
    problems: list[str] = []
    features: dict[str, Features] = {}
    for scene, proof in _proofs(manifest, again, quick, jobs, progress):
        problems += proof.problems
        if proof.features is not None:
            features[scene.scene] = proof.features
    sides = {scene.scene: scene.split for scene in manifest.scenes}
    # find_alike leaves out pairs of one group: here, of one side.
    for one, other, count in find_alike(features, sides, set(features)):
        problems.append(
            f"{one} ({sides[one]}) and {other} ({sides[other]}) show the same place ({count} "
            "common features), on both sides of the split. Build with --groups or --resplit."
        )
    return problems


def _proofs(
    manifest: Manifest, again: set[str], quick: bool, jobs: int, progress: Progress | None
) -> Iterator[tuple[SceneEntry, Proof]]:
    # Threads are enough: decoding and hashing leave Python's lock alone.
    with ThreadPoolExecutor(jobs) as pool:

        def prove(scene: SceneEntry) -> Proof:
            return prove_scene(manifest, scene, quick=quick, audit=scene.scene in again)

        done, total = 0, sum(len(scene.files) for scene in manifest.scenes)
        proofs = pool.map(prove, manifest.scenes)
        try:
            for scene, proof in zip(manifest.scenes, proofs, strict=True):
                yield scene, proof
                done += len(scene.files)
                if progress:
                    progress(done, total)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _sample(manifest: Manifest) -> set[str]:
    """The scenes whose audit is repeated: always the same, and spread over videos."""
    names = sorted(
        (scene.scene for scene in manifest.scenes),
        key=lambda name: hashlib.sha256(name.encode()).digest(),
    )
    return set(names[: math.ceil(AUDITED * len(names))])


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
        if not path.is_file() or path.read_bytes() != text.encode():
            problems.append(f"{name} does not list the scenes of the manifest.")
    sides: dict[tuple[str, str], str] = {}
    for scene in manifest.scenes:
        for kind, shared in (("group", scene.group), ("video", str(scene.source.get("sha256")))):
            if sides.setdefault((kind, shared), scene.split) != scene.split:
                problems.append(f"{kind} {shared} stands on both sides of the split.")
    return problems


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
            problems.append(
                f"{path}: was changed after the build. Restore it; if the change is meant (an "
                "answer in DATASHEET.md), run `dmef describe ROOT`."
            )
    return problems
