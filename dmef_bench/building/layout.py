"""Where things lie inside a data set, and what they are called."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from dmef_bench.imagefile import bytes_sha256
from dmef_bench.manifest import SPLITS, Manifest, SceneEntry

SCRATCH = ".dmef"
"""Staging, lock and records of a build; removable once the build is complete."""

CHECKSUMS = "manifest-sha256.txt"
"""``hash  path`` of every file, sorted; ``sha256sum -c`` reads it."""


def slug(stem: str) -> str:
    """A file's stem in plain ASCII, for folder names.

    Examples
    --------
    >>> slug("IMG_3853"), slug("Abend über Köln (2)"), slug("夜景")
    ('img-3853', 'abend-uber-koln-2', 'video')
    """
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:48] or "video"


def source_id(stem: str, sha256: str) -> str:
    """A video's name inside the data set: slug and first hash digits, whatever the order.

    Without a stem the hash alone, twice as long.
    """
    return f"{slug(stem)}-{sha256[:8]}" if stem else sha256[:16]


def scene_id(source: str, seconds: float) -> str:
    """A scene's name: its source and the milliseconds of sample 2."""
    return f"{source}-{round(seconds * 1000):06d}"


def split_lists(scenes: Iterable[SceneEntry]) -> dict[str, str]:
    """Relative path to content of the split lists: scene ids, sorted, one a line."""
    scenes = tuple(scenes)
    return {
        f"splits/{split}.txt": "".join(
            f"{scene.scene}\n" for scene in scenes if scene.split == split
        )
        for split in SPLITS
    }


def published_scenes(root: Path) -> tuple[SceneEntry, ...]:
    """Scenes of the manifest that lies in ``root``, if one does."""
    return Manifest.load(root).scenes if (root / "manifest.jsonl").exists() else ()


def manifest_digest(root: Path) -> str:
    """SHA-256 of ``manifest.jsonl`` as it lies on disk."""
    return bytes_sha256(root / "manifest.jsonl")


def features_path(root: Path, scene: str) -> Path:
    """Where the features of a scene's truth are kept, for finding near-duplicates."""
    return root / SCRATCH / "features" / f"{scene}.npz"
