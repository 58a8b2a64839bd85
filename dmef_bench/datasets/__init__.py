"""Scenes from disk, one data set a file; `load_scenes` is the way in."""

from __future__ import annotations

import logging
from pathlib import Path

from dmef_bench.datasets.any_folders import FOLDERS
from dmef_bench.datasets.dmef4k import DmefScenes
from dmef_bench.datasets.kalantari import CHALLENGE123, HU, KALANTARI, TEL
from dmef_bench.datasets.mobile_hdr import MOBILE_HDR
from dmef_bench.datasets.ntire import NTIRE
from dmef_bench.datasets.public_set import PublicScenes, PublicSet
from dmef_bench.datasets.scene_set import SPLIT_NAMES, SceneSet
from dmef_bench.errors import ManifestError, UsageError
from dmef_bench.manifest import DATASET_FILE

__all__ = ["OURS", "PUBLIC_SETS", "SceneSet", "load_scenes", "recognise"]

logger = logging.getLogger(__name__)

PUBLIC_SETS = {
    kind.name: kind for kind in (KALANTARI, TEL, CHALLENGE123, HU, MOBILE_HDR, NTIRE, FOLDERS)
}
"""Sets that others publish, the most particular layout first: a folder is what it first fits."""


OURS = (
    DmefScenes.dataset,
    "  what     what `dmef build` makes of your own videos",
    "  paper    Chen et al., Ultra-High-Definition Dynamic Multi-Exposure Image Fusion, AAAI 2025",
    "  scenes   80 train / 30 test, 3840x2160, in the paper; its own scenes are not public",
    "  truth    display-encoded: the original frame of sample 2",
    "  where    your phone",
    "  folder",
    "           dataset.json, manifest.jsonl, {train,test}/SCENE/",
)
"""What `dmef datasets` prints of our own layout."""


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
        ``"4k-dmef"``, the layout that ``dmef build`` writes, or one of `PUBLIC_SETS`; recognised
        where left out.
    verify : bool
        Compare every picture's pixels with the manifest's hashes while reading (4k-dmef).

    Returns
    -------
    SceneSet
        A sequence of `Scene`, sorted by scene id.

    Raises
    ------
    UsageError
        Unknown split or data set.
    ManifestError
        The folder holds no readable data set, or none of the layout named.
    """
    root = Path(root)
    if split not in SPLIT_NAMES:
        raise UsageError(f"No split is called {split!r}; choose one of {', '.join(SPLIT_NAMES)}.")
    name = dataset or recognise(root)
    if name == DmefScenes.dataset:
        return DmefScenes(root, split, verify=verify)
    if name not in PUBLIC_SETS:
        known = ", ".join((DmefScenes.dataset, *PUBLIC_SETS))
        raise UsageError(f"No data set is called {name!r}; dmef reads {known}.")
    return _public(PUBLIC_SETS[name], root, split)


def recognise(root: Path) -> str:
    """The name of the data set that a folder holds.

    Raises
    ------
    ManifestError
        None that dmef knows; the message lists what was looked for.
    """
    if (root / DATASET_FILE).exists() or not root.is_dir():
        # A folder that does not exist is told best by the reader of our own layout.
        return DmefScenes.dataset
    for name, kind in PUBLIC_SETS.items():
        if any(kind.find(root).values()):
            logger.info("%s: recognised as %s", root, name)
            return name
    raise ManifestError(
        f"{root} holds no data set that dmef knows: neither {DATASET_FILE} of `dmef build`, nor "
        f"the folders of {', '.join(PUBLIC_SETS)}. `dmef datasets` says what they look like."
    )


def _public(kind: PublicSet, root: Path, split: str) -> PublicScenes:
    found = kind.find(root)
    if not any(found.values()):
        raise ManifestError(
            f"{root} does not look like {kind.name}. Expected:\n{kind.layout}\n"
            "Check the folder, or name another data set with --dataset."
        )
    halves = tuple(found) if split == "all" else (split,)
    scenes = [source for half in halves for source in found.get(half, ())]
    published = sum(kind.counts.get(half, 0) for half in halves)
    if published and len(scenes) != published:
        logger.warning(
            "%s: %d scenes of %s (%s), %d are published", root, len(scenes), kind.name, split,
            published,
        )  # fmt: skip
    return PublicScenes(kind, root, split, scenes)
