"""Scenes that ``dmef build`` wrote: the canonical triple and the truth, never the other six."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dmef_bench.datasets.scene_set import SceneFacts, SceneSet
from dmef_bench.errors import ManifestError
from dmef_bench.imagefile import decode_image, pixels_sha256
from dmef_bench.manifest import FileEntry, Manifest, SceneEntry
from dmef_bench.scene import Encoded, ExposureStack, Scene, size_text


class DmefScenes(SceneSet):
    """The scenes of one split, each read from disk when it is asked for.

    Parameters
    ----------
    root : Path
        Folder of the data set.
    split : {"train", "test", "all"}
        Which half.
    verify : bool
        Also compare decoded pixels with the manifest's hashes.
    """

    dataset = "4k-dmef"

    def __init__(self, root: Path, split: str, *, verify: bool = False) -> None:
        self.manifest = Manifest.load(root)
        self.split = split
        self.entries = self.manifest.of_split(split)
        self._verify = verify

    @property
    def root(self) -> Path:
        """Folder of the data set."""
        return self.manifest.root

    @property
    def facts(self) -> tuple[SceneFacts, ...]:
        """Of each scene, in the order of `ids`."""
        return tuple(
            SceneFacts(entry.scene, entry.digest, (entry.height, entry.width), entry.group or None)
            for entry in self.entries
        )

    def select(self, ids: Sequence[str]) -> DmefScenes:
        """The same data set cut down to the scenes named."""
        chosen = DmefScenes.__new__(DmefScenes)
        chosen.manifest, chosen.split, chosen._verify = self.manifest, self.split, self._verify
        chosen.entries = tuple(entry for entry in self.entries if entry.scene in set(ids))
        return chosen

    def read(self, scene_id: str) -> Scene:
        """Decode the canonical triple and the truth of one scene."""
        entry = next(entry for entry in self.entries if entry.scene == scene_id)
        low, medium, high, truth = (
            self._read(entry, entry.canonical_file(name))
            for name in ("low", "medium", "high", "gt")
        )
        stack = ExposureStack(encoded=(low, medium, high), evs=entry.evs, reference=1)
        return Scene(entry.scene, stack, truth, digest=entry.digest, group=entry.group or None)

    def _read(self, scene: SceneEntry, file: FileEntry) -> Encoded:
        path = self.manifest.file(file)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ManifestError(
                f"{file.path}: cannot be read ({error.strerror}). "
                "Restore the file, or build the scene again with `dmef build`."
            ) from error
        if len(data) != file.bytes:
            raise ManifestError(
                f"{file.path}: {len(data)} bytes, the manifest says {file.bytes}. "
                "Restore the file, or build the scene again."
            )
        image = decode_image(data, Path(file.path))
        if image.dtype != np.dtype(file.dtype) or image.shape[:2] != (scene.height, scene.width):
            raise ManifestError(
                f"{file.path}: {image.dtype} {size_text(image.shape[:2])}, the manifest says "
                f"{file.dtype} {scene.width}x{scene.height}. Restore the file."
            )
        if self._verify and pixels_sha256(image) != file.pixels:
            raise ManifestError(
                f"{file.path}: pixels differ from the manifest. Restore the file, or build the "
                "scene again."
            )
        return image
