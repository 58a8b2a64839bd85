"""A data set's inputs and truth in the forms that other tools stream or upload."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from dmef_bench import strict_json
from dmef_bench.building.derived import DATASHEET, metadata_path, write_derived
from dmef_bench.building.inventory import file_stem
from dmef_bench.building.layout import manifest_digest, split_lists
from dmef_bench.errors import UnavailableError, UsageError
from dmef_bench.imagefile import bytes_sha256, replacing, write_atomic
from dmef_bench.manifest import CANONICAL, DATASET_FILE, SPLITS, FileEntry, Manifest, SceneEntry

SHARD_BYTES = 10**9
"""A shard is closed before it grows beyond this."""

_BLOCK = 512

Progress = Callable[[int, int], None]


def export_dataset(
    root: Path | str,
    out: Path | str,
    to: str,
    *,
    shard_bytes: int = SHARD_BYTES,
    progress: Progress | None = None,
) -> tuple[Path, ...]:
    """Write a data set once more, without the exposures that no method may see.

    Parameters
    ----------
    root : Path or str
        Of the data set.
    out : Path or str
        An empty or new folder.
    to : {"hf", "webdataset"}
        ``hf``: an image folder for the Hugging Face hub, ``SPLIT/metadata.jsonl`` naming the
        pictures of each scene in the columns ``low_file_name`` to ``gt_file_name``.
        ``webdataset``: ``SPLIT-NNNNNN.tar``, one scene one sample: ``SCENE.low.png``,
        ``.medium.png``, ``.high.png``, ``.gt.png`` (or ``.jxl``) and its manifest line ``.json``.
    shard_bytes : int
        Largest size of a tar file; a scene larger than this has one of its own.
    progress : callable, optional
        Called with (scenes done, scenes in all).

    Returns
    -------
    tuple of Path
        The metadata files, or the tar files. The same data set gives the same bytes.

    Raises
    ------
    UsageError
        Another form, or a folder that holds something.
    ManifestError
        The data set is damaged; a picture is not the one that was built.
    """
    root, out = Path(root), Path(out)
    if to not in ("hf", "webdataset"):
        raise UsageError(f"dmef exports to hf or webdataset, not to {to!r}.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is not empty; give a new folder.")
    manifest = Manifest.load(root)
    out.mkdir(parents=True, exist_ok=True)
    told = _Counter(len(manifest.scenes), progress)
    if to == "hf":
        return _image_folder(manifest, out, told)
    return tuple(
        path
        for split in SPLITS
        for path in _shards(manifest, split, out, shard_bytes, told)
    )  # fmt: skip


class _Counter:
    """Counts scenes and tells of each."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def step(self) -> None:
        self._done += 1
        if self._progress:
            self._progress(self._done, self._total)


def _picture(manifest: Manifest, entry: FileEntry) -> Path:
    """Where a picture lies, once its bytes are sure."""
    path = manifest.file(entry)
    try:
        if bytes_sha256(path) == entry.sha256:
            return path
        said = "was changed after the build"
    except OSError as error:
        said = f"cannot be read ({error.strerror})"
    raise UnavailableError(f"{path} {said}; `dmef verify {manifest.root}` lists what is wrong.")


def _image_folder(manifest: Manifest, out: Path, told: _Counter) -> tuple[Path, ...]:
    """A data set like the first, of canonical pictures only; `dmef verify` proves it too."""
    scenes = tuple(map(_canonical_only, manifest.scenes))
    for scene in scenes:
        for entry in scene.files:
            place = out / entry.path
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(_picture(manifest, entry), place)
        told.step()
    lines = "".join(f"{scene.to_line()}\n" for scene in scenes)
    write_atomic(out / "manifest.jsonl", lines.encode())
    sizes = [entry.bytes for scene in scenes for entry in scene.files]
    dataset = manifest.dataset | {
        "size": {"files": len(sizes), "bytes": sum(sizes)},
        "manifest_sha256": manifest_digest(out),
        "leakage": manifest.dataset["leakage"] | {"aux_on_disk": False},
    }
    write_atomic(out / DATASET_FILE, (strict_json.dumps(dataset, indent=2) + "\n").encode())
    (out / "splits").mkdir()
    for path, text in split_lists(scenes).items():
        write_atomic(out / path, text.encode())
    for name in ("selection.jsonl", DATASHEET):
        if (manifest.root / name).is_file():
            shutil.copyfile(manifest.root / name, out / name)
    write_derived(out)
    return tuple(out / metadata_path(split) for split in SPLITS if manifest.of_split(split))


def _canonical_only(scene: SceneEntry) -> SceneEntry:
    return replace(scene, files=tuple(scene.canonical_file(name) for name in CANONICAL))


def _shards(
    manifest: Manifest, split: str, out: Path, limit: int, told: _Counter
) -> Iterator[Path]:
    for number, scenes in enumerate(_packed(manifest.of_split(split), limit)):
        path = out / f"{split}-{number:06d}.tar"
        with (
            replacing(path) as staging,
            tarfile.open(staging, "w", format=tarfile.USTAR_FORMAT) as tar,
        ):
            for scene in scenes:
                _add_scene(tar, manifest, scene)
                told.step()
        yield path


def _packed(scenes: Sequence[SceneEntry], limit: int) -> Iterator[list[SceneEntry]]:
    """Scenes in order, as many as fit into a shard."""
    shard: list[SceneEntry] = []
    filled = 0
    for scene in scenes:
        size = _tar_size(scene)
        if shard and filled + size > limit:
            yield shard
            shard, filled = [], 0
        shard.append(scene)
        filled += size
    if shard:
        yield shard


def _tar_size(scene: SceneEntry) -> int:
    sizes = [scene.canonical_file(name).bytes for name in CANONICAL]
    return sum(_BLOCK + -(-size // _BLOCK) * _BLOCK for size in [*sizes, len(_line(scene))])


def _line(scene: SceneEntry) -> bytes:
    return strict_json.canonical(strict_json.loads(scene.to_line()))


def _add_scene(tar: tarfile.TarFile, manifest: Manifest, scene: SceneEntry) -> None:
    stem = file_stem(scene)
    for name in CANONICAL:
        picture = _picture(manifest, scene.canonical_file(name))
        _add(tar, f"{stem}.{name}{picture.suffix}", picture.read_bytes())
    _add(tar, f"{stem}.json", _line(scene))


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    # TarInfo's own defaults: no owner, no time, so that the same pictures make the same file.
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, BytesIO(data))
