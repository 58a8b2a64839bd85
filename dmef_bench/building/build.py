"""Many videos to one data set: resumable, in any order, on any executor, the same bytes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from dmef_bench import strict_json
from dmef_bench.building.layout import CHECKSUMS, SCRATCH
from dmef_bench.building.lock import build_lock
from dmef_bench.building.publish import publish, published_scenes
from dmef_bench.building.recipe import Recipe
from dmef_bench.building.scenes import (
    blank_record,
    build_video,
    content_key,
    read_records,
    record_path,
)
from dmef_bench.errors import UnavailableError, UsageError
from dmef_bench.imagefile import bytes_sha256, write_atomic
from dmef_bench.manifest import SPLITS, SceneEntry

VIDEO_ENDINGS = frozenset({".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi"})

Progress = Callable[[int, int, str], None]
"""Called with (videos done, videos in all, what became of the last)."""


@dataclass(frozen=True)
class BuildReport:
    """What a build did.

    Parameters
    ----------
    root : Path
        The data set.
    scenes : tuple of SceneEntry
        All scenes of the data set, old and new.
    refused : mapping
        Video name to the reason why it gave no scene.
    notes : tuple of str
        What the user should know without it being wrong.
    audit : mapping
        The gate's verdict (`dmef_bench.exposure.audit.gate`); empty without scenes.
    """

    root: Path
    scenes: tuple[SceneEntry, ...]
    refused: dict[str, str]
    notes: tuple[str, ...] = ()
    audit: dict[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 whole; 3 no scene at all; 4 videos refused or the audit gate failed."""
        if not self.scenes:
            return 3
        return 4 if self.refused or not self.audit.get("passed") else 0

    def lines(self) -> list[str]:
        """What the command line prints."""
        sides = {side: sum(scene.split == side for scene in self.scenes) for side in SPLITS}
        lines = [*self.notes, *(f"refused: {reason}" for reason in self.refused.values())]
        if not self.scenes:
            return [*lines, f"No scene could be built; {self.root} holds no data set."]
        lines.append(
            f"{len(self.scenes)} scenes in {self.root}: {sides['train']} training, "
            f"{sides['test']} test; {len(self.refused)} videos refused."
        )
        lines.append(
            f"Audit: copying the medium gives {self.audit['median_copy_db']:.1f} dB, its best tone "
            f"curve {self.audit['median_curve_db']:.1f} dB; {self.audit['flagged']} scenes flagged."
        )
        if not self.audit["passed"]:
            lines.append(
                "The audit gate failed: too many scenes can be won without fusing. "
                "See the flags in manifest.jsonl, or choose other exposures with --ev."
            )
        return lines


def find_videos(paths: Iterable[Path | str]) -> tuple[Path, ...]:
    """Videos among files and folders (searched through), in a fixed order.

    Files are taken whatever their ending, so that a wrong one gets its own message.

    Raises
    ------
    UsageError
        A path that does not exist, or no video at all.
    """
    given = [Path(path) for path in paths]
    found: dict[Path, None] = {}
    for path in given:
        if path.is_dir():
            inside = (p for p in path.rglob("*") if p.suffix.lower() in VIDEO_ENDINGS)
            found.update(dict.fromkeys(sorted(p for p in inside if p.is_file())))
        elif path.is_file():
            found[path] = None
        else:
            raise UsageError(f"{path} does not exist; give video files or folders of them.")
    if not found:
        raise UsageError(
            f"No videos in {', '.join(map(str, given)) or 'nothing'}. "
            f"Looked for {' '.join(sorted(VIDEO_ENDINGS))}; give files or folders that hold some."
        )
    return tuple(found)


def build_dataset(
    videos: Iterable[Path | str],
    root: Path | str,
    recipe: Recipe | None = None,
    executor: Executor | None = None,
    *,
    jobs: int = 1,
    name: str | None = None,
    licence: str | None = None,
    rebuild: bool = False,
    progress: Progress | None = None,
) -> BuildReport:
    """Build a benchmark data set from videos.

    Parameters
    ----------
    videos : iterable of Path or str
        Files or folders.
    root : Path or str
        Folder of the data set; new, or one built by the same recipe, which is then added to.
    recipe : Recipe, optional
        How; the default recipe otherwise.
    executor : concurrent.futures.Executor, optional
        Where videos are worked on; in this process otherwise, or in ``jobs`` processes.
    jobs : int
        Processes, where no executor is given.
    name, licence : str, optional
        For ``dataset.json``.
    rebuild : bool
        Throw away what another recipe, or this one, left in ``root``.
    progress : callable, optional
        See `Progress`.

    Returns
    -------
    BuildReport
        Refused videos are listed in it; they do not raise.

    Raises
    ------
    UsageError
        No videos.
    UnavailableError
        Another build is at work on ``root``, it was built by another recipe, or the disk is full.
    """
    recipe = recipe or Recipe()
    sources = find_videos(videos)
    root = Path(root)
    scratch = root / SCRATCH
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        (scratch / "records").mkdir(exist_ok=True)
    except OSError as error:
        raise UnavailableError(f"{root} cannot be written: {error.strerror}.") from error
    with build_lock(scratch):
        if rebuild:
            _clear(root)
        _check_recipe(root, recipe)
        unique, notes = _hash_sources(sources)
        finished = _finished_sources(root, recipe)
        todo = {sha: path for sha, path in unique.items() if sha not in finished}
        done = len(unique) - len(todo)
        for sha, refused in _work(todo, recipe, root, executor, jobs):
            done += 1
            if progress:
                progress(done, len(unique), refused or f"{todo[sha].name}: built")
        scenes, verdict = publish(root, recipe, name, licence)
        return BuildReport(root, scenes, _refusals(root, unique), notes, verdict)


def _clear(root: Path) -> None:
    """Remove what builds wrote, and nothing else that may lie in the folder."""
    made = ["train", "test", "splits", "dataset.json", "manifest.jsonl", "selection.jsonl"]
    for part in [*made, CHECKSUMS, f"{SCRATCH}/records", f"{SCRATCH}/scenes"]:
        path = root / part
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    (root / SCRATCH / "records").mkdir(exist_ok=True)


def _check_recipe(root: Path, recipe: Recipe) -> None:
    """One root, one recipe: the first build writes it down, later ones must agree."""
    path = root / SCRATCH / "recipe.json"
    stated = {"recipe": recipe.to_record(), "digest": recipe.digest}
    if (root / "dataset.json").exists():
        dataset = strict_json.loads((root / "dataset.json").read_text(encoding="utf-8"))
        old = {"recipe": dataset.get("recipe", {}), "digest": dataset.get("recipe_sha256")}
    elif path.exists() and any((root / SCRATCH / "records").iterdir()):
        old = strict_json.loads(path.read_text(encoding="utf-8"))
    else:
        old = stated
    if old["digest"] != recipe.digest:
        ours, theirs = strict_json.encodable(stated["recipe"]), old["recipe"]
        differ = [key for key in ours if ours[key] != theirs.get(key)]
        told = "; ".join(f"{key} {theirs.get(key)}, you asked {ours[key]}" for key in differ)
        raise UnavailableError(
            f"{root} holds a data set with {told}. Use another folder, or --rebuild."
        )
    write_atomic(path, strict_json.dumps(stated).encode())


def _hash_sources(sources: Sequence[Path]) -> tuple[dict[str, Path], tuple[str, ...]]:
    """SHA-256 to path, each content once; a copy of a video is a note, not an error."""
    unique: dict[str, Path] = {}
    notes = []
    for path in sources:
        try:
            sha = bytes_sha256(path)
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
        if sha in unique:
            notes.append(f"{path.name}: the same bytes as {unique[sha].name}; skipped.")
        else:
            unique[sha] = path
    return unique, tuple(notes)


def _finished_sources(root: Path, recipe: Recipe) -> set[str]:
    """Sources that need no more work: recorded with all their files in place, or published."""
    published = {str(scene.source["sha256"]) for scene in published_scenes(root)}
    finished = set(published)
    for sha, record in read_records(root).items():
        scratch = root / SCRATCH / "scenes"
        places = [
            [
                scratch / scene["scene"],
                *(root / side / scene["scene"] for side in ("train", "test")),
            ]
            for scene in record["scenes"]
        ]
        in_place = all(any(place.is_dir() for place in options) for options in places)
        if record["key"] == content_key(sha, recipe) and in_place:
            finished.add(sha)
        elif sha not in published:
            record_path(root, sha).unlink()
    return finished


def _refusals(root: Path, sources: dict[str, Path]) -> dict[str, str]:
    """Name to reason, of the videos given that gave no scene."""
    return {
        sources[sha].name: record["refused"]
        for sha, record in read_records(root).items()
        if sha in sources and record["refused"]
    }


def _work(
    todo: dict[str, Path], recipe: Recipe, root: Path, executor: Executor | None, jobs: int
) -> Iterator[tuple[str, str | None]]:
    """Build every video; yields (source, reason of refusal or None) as they come."""
    if executor is not None:
        yield from _submit(todo, recipe, root, executor, window=64)
    elif jobs > 1:
        with _pool(jobs) as pool:
            yield from _submit(todo, recipe, root, pool, window=2 * jobs)
    else:
        for sha, path in todo.items():
            yield sha, build_video(path, sha, recipe, root)["refused"]


def _pool(jobs: int) -> ProcessPoolExecutor:
    # Not fork: OpenCV and FFmpeg hold threads, and a forked copy of their locks may never open.
    return ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))


def _submit(
    todo: dict[str, Path], recipe: Recipe, root: Path, executor: Executor, window: int
) -> Iterator[tuple[str, str | None]]:
    """Keep at most ``window`` videos submitted; ten thousand need not queue at once."""
    waiting = iter(todo.items())
    running: dict[Future[dict[str, Any]], str] = {}
    orphans: list[str] = []
    try:
        while True:
            for sha, path in waiting:
                running[executor.submit(build_video, path, sha, recipe, root)] = sha
                if len(running) >= window:
                    break
            if not running:
                break
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                sha = running.pop(future)
                try:
                    yield sha, future.result()["refused"]
                except BrokenProcessPool:
                    orphans.append(sha)
    except BrokenProcessPool:  # from submit: the pool died with videos still waiting
        orphans += [*running.values(), sha, *(sha for sha, _ in waiting)]
    finally:
        for future in running:
            future.cancel()
    for sha in orphans:
        yield sha, _alone(todo[sha], sha, recipe, root)


def _alone(video: Path, sha: str, recipe: Recipe, root: Path) -> str | None:
    """Try a video whose worker died once more, by itself, to find out whether it is to blame."""
    try:
        with _pool(1) as pool:
            return pool.submit(build_video, video, sha, recipe, root).result()["refused"]
    except BrokenProcessPool:
        refused = f"{video.name}: its worker process died twice; the file crashes the decoder."
        record = blank_record(video, sha, recipe) | {"refused": refused}
        write_atomic(record_path(root, sha), strict_json.dumps(record).encode())
        return refused
