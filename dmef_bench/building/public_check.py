"""A public data set held against what its paper states: scenes, sizes, readable pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from dmef_bench.datasets import PUBLIC_SETS
from dmef_bench.datasets.public_set import PublicSet, SceneSource
from dmef_bench.errors import DmefError
from dmef_bench.scene import size_text

Progress = Callable[[int, int], None]


def check_public(
    root: Path, dataset: str, *, quick: bool, jobs: int, progress: Progress | None
) -> tuple[list[str], int, int]:
    """List what is wrong with a public data set; bad data never raises.

    Nobody publishes hashes of these sets, so this proves that they are whole and readable, that
    the published number of scenes and their size are there, and that no scene stands on both
    sides of the split.

    Parameters
    ----------
    root : Path
        Of the data set.
    dataset : str
        A key of `PUBLIC_SETS`.
    quick : bool
        Counts and sizes only.
    jobs : int
        Threads.
    progress : callable or None
        Called with (scenes done, scenes in all).

    Returns
    -------
    tuple
        Problems, scenes, files.
    """
    kind = PUBLIC_SETS[dataset]
    try:
        found = kind.find(root)
    except (DmefError, OSError) as error:
        return [str(error)], 0, 0
    sources = [(split, source) for split, scenes in found.items() for source in scenes]
    if not sources:
        return [f"{root} does not look like {kind.name}. Expected:\n{kind.layout}"], 0, 0
    problems = [
        f"{split}: {len(found.get(split, ()))} scenes; {count} are published."
        for split, count in kind.counts.items()
        if len(found.get(split, ())) != count
    ]
    digests: dict[str, tuple[str, str]] = {}
    with ThreadPoolExecutor(jobs) as pool:
        look = partial(_look, kind, quick=quick)
        looked = pool.map(look, (source for _, source in sources))
        for done, ((split, source), (wrong, digest)) in enumerate(
            zip(sources, looked, strict=True), start=1
        ):
            problems += wrong
            problems += _twice(digests, digest, split, source.scene_id)
            if progress:
                progress(done, len(sources))
    return problems, len(sources), sum(len(source.files) for _, source in sources)


def _look(kind: PublicSet, source: SceneSource, *, quick: bool) -> tuple[list[str], str]:
    try:
        size = source.size()
        if kind.size and size != kind.size:
            said = f"{size_text(size)} instead of {size_text(kind.size)}"
            return [f"{source.scene_id}: {said}."], ""
        if quick:
            return [], ""
        source.read()
    except (DmefError, OSError) as error:
        return [f"{source.scene_id}: {error}"], ""
    return [], source.digest


def _twice(
    digests: dict[str, tuple[str, str]], digest: str, split: str, scene: str
) -> Iterator[str]:
    """Say so where the same files have been seen before."""
    if not digest:
        return
    other_split, other = digests.setdefault(digest, (split, scene))
    if (other_split, other) != (split, scene):
        yield f"{scene} ({split}) holds the very files of {other} ({other_split})."
