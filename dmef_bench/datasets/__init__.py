"""Scenes from disk, one data set a file; `load_scenes` is the way in."""

from __future__ import annotations

from pathlib import Path

from dmef_bench.datasets.dmef4k import DmefScenes
from dmef_bench.datasets.scene_set import SPLIT_NAMES, SceneSet
from dmef_bench.errors import UsageError

__all__ = ["SceneSet", "load_scenes"]


def load_scenes(
    root: Path | str, split: str, dataset: str | None = None, verify: bool = False
) -> SceneSet:
    """The scenes of a data set, pictures read when asked for.

    Parameters
    ----------
    root : Path or str
        Folder of the data set.
    split : {"train", "test", "all"}
        Which half.
    dataset : str, optional
        ``"4k-dmef"``, the layout that ``dmef build`` writes and the only one so far.
    verify : bool
        Compare every picture's pixels with the manifest's hashes while reading.

    Returns
    -------
    SceneSet
        A sequence of `Scene`, sorted by scene id.

    Raises
    ------
    UsageError
        Unknown split or data set.
    ManifestError
        The folder holds no readable data set.
    """
    if dataset not in (None, DmefScenes.dataset):
        raise UsageError(f"No data set is called {dataset!r}; dmef reads {DmefScenes.dataset}.")
    if split not in SPLIT_NAMES:
        raise UsageError(f"No split is called {split!r}; choose one of {', '.join(SPLIT_NAMES)}.")
    return DmefScenes(Path(root), split, verify=verify)
