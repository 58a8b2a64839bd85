"""Many videos to one data set: resumable, in any order, on any executor, the same bytes."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from dmef_bench import strict_json
from dmef_bench.building.derived import CARD, CROISSANT, TABLE
from dmef_bench.building.layout import CHECKSUMS, SCRATCH, published_scenes
from dmef_bench.building.lock import build_lock
from dmef_bench.building.outcome import BuildReport
from dmef_bench.building.plan import Plan, check_room, plan_videos
from dmef_bench.building.publish import publish
from dmef_bench.building.recipe import Recipe
from dmef_bench.building.records import (
    Record,
    belongs,
    content_key,
    place_key,
    public_name,
    read_records,
    record_path,
)
from dmef_bench.building.room import keeping_room
from dmef_bench.building.roster import call_roll
from dmef_bench.building.scenes import sweep_staging
from dmef_bench.building.sources import Source, find_videos, hash_sources
from dmef_bench.building.tables import Tables
from dmef_bench.building.work import AHEAD, work
from dmef_bench.errors import UnavailableError
from dmef_bench.imagefile import jxl_codec, write_atomic
from dmef_bench.manifest import SPLITS

Progress = Callable[[int, int, str], None]
"""Called with (videos done, videos in all, what became of the last)."""


def build_dataset(
    videos: Iterable[Path | str],
    root: Path | str,
    recipe: Recipe | None = None,
    executor: Executor | None = None,
    *,
    jobs: int = 1,
    ahead: int = AHEAD,
    fps: int | None = None,
    tables: Tables | None = None,
    resplit: bool = False,
    name: str | None = None,
    licence: str | None = None,
    contact: str | None = None,
    rebuild: bool = False,
    progress: Progress | None = None,
) -> BuildReport:
    """Build a benchmark data set from videos.

    Parameters
    ----------
    videos : iterable of Path or str
        Files, folders, or patterns.
    root : Path or str
        Folder of the data set; new, or one built by the same recipe, which is then added to.
    recipe : Recipe, optional
        How; the default recipe otherwise.
    executor : concurrent.futures.Executor, optional
        Where videos are worked on; in this process otherwise, or in ``jobs`` processes.
    jobs : int
        Processes, where no executor is given.
    ahead : int
        Videos submitted to ``executor`` at once; twice its workers is enough.
    fps : int, optional
        Folders of pictures count as videos of so many frames a second.
    tables : Tables, optional
        Triples, groups, rights and sides that the user wrote down.
    resplit : bool
        Deal all groups anew, those of published scenes too.
    name, licence, contact : str, optional
        For ``dataset.json``; what is left out stays as it stands there.
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
        No videos; tables that do not fit them; groups that would stand on both sides.
    UnavailableError
        Another build is at work on ``root``, it was built by another recipe or from a video that
        has changed since, or the disk is full.
    """
    recipe, tables = recipe or Recipe(), tables or Tables()
    paths = find_videos(videos, fps, apart_from=Path(root))
    with opened_root(Path(root), recipe, rebuild=rebuild) as place:
        sources, notes = hash_sources(paths, fps)
        sources, more_notes = _with_picks(sources, recipe, tables)
        check_unchanged_sources(place, sources)
        finished = finished_sources(place, sources, recipe)
        todo = {sha: source for sha, source in sources.items() if sha not in finished}
        _check_room(todo, recipe, place, fps)
        run(todo, len(sources), recipe, place, executor, jobs, ahead, progress)
        known: dict[str, PurePath] = {sha: source.path for sha, source in sources.items()}
        roster = call_roll(place, recipe, tables, known, resplit=resplit)
        statements = {"name": name, "licence": licence, "contact": contact}
        scenes, verdict = publish(place, recipe, roster, statements)
        told = (*notes, *more_notes, *roster.notes)
        return BuildReport(place, scenes, refusals(place, sources, recipe), told, verdict)


def plan_build(
    videos: Iterable[Path | str],
    root: Path | str,
    recipe: Recipe | None = None,
    *,
    fps: int | None = None,
    tables: Tables | None = None,
) -> Plan:
    """Say what `build_dataset` would do; nothing is written, and no video hashed or decoded.

    Returns
    -------
    Plan
        Videos count as already built where the data set holds one of their name and size.
    """
    recipe, tables = recipe or Recipe(), tables or Tables()
    place = Path(root).resolve()
    paths = find_videos(videos, fps, apart_from=place)
    built = {(scene.source["name"], scene.source["bytes"]) for scene in published_scenes(place)}
    done = [path for path in paths if (path.name, path.stat().st_size) in built]
    # By path instead of by content, which nobody has hashed yet.
    picks, notes = tables.picked({str(path): path for path in paths})
    todo = [(path, picks.get(str(path), ())) for path in paths if path not in done]
    if recipe.pick == "list":
        todo = [(path, listed) for path, listed in todo if listed]
    plan = plan_videos(todo, recipe, place, fps)
    return replace(plan, done=tuple(path.name for path in done), notes=notes)


@contextmanager
def opened_root(root: Path, recipe: Recipe, *, rebuild: bool = False) -> Iterator[Path]:
    """Hold the folder of a data set for one build, of one recipe; yields its absolute path."""
    root = root.resolve()
    scratch = root / SCRATCH
    if recipe.format == "jxl":
        jxl_codec()
    with build_lock(scratch), keeping_room(root):
        (scratch / "records").mkdir(exist_ok=True)
        sweep_staging(root)
        if rebuild:
            _clear(root)
        _check_recipe(root, recipe)
        yield root


def _clear(root: Path) -> None:
    """Remove what builds wrote, and nothing else that may lie in the folder."""
    # Not the datasheet, into which people wrote.
    made = [*SPLITS, "splits", "dataset.json", "manifest.jsonl", "selection.jsonl"]
    made += [CARD, CROISSANT, TABLE]
    inner = ("records", "scenes", "features", "staging")
    for part in [*made, CHECKSUMS, *(f"{SCRATCH}/{name}" for name in inner)]:
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
        differ = [key for key in sorted({*ours, *theirs}) if ours.get(key) != theirs.get(key)]
        had = ", ".join(_stated(key, theirs.get(key)) for key in differ)
        asked = ", ".join(_stated(key, ours.get(key)) for key in differ)
        raise UnavailableError(
            f"{root} holds a dataset with {had}; you asked {asked}. Use another folder, or "
            "--rebuild."
        )
    write_atomic(path, strict_json.dumps(stated).encode())


def _stated(key: str, value: Any) -> str:
    if key == "ev" and isinstance(value, list):
        return "EV " + ",".join(f"{ev:g}" for ev in value)
    return f"{key} {value}"


def _with_picks(
    sources: Mapping[str, Source], recipe: Recipe, tables: Tables
) -> tuple[dict[str, Source], tuple[str, ...]]:
    """Sources with the triples listed for them; with a list, those it names and no others."""
    picks, notes = tables.picked({sha: source.path for sha, source in sources.items()})
    if recipe.pick != "list":
        return dict(sources), notes
    left = tuple(
        f"{source.path.name}: not in the list of triples; left out."
        for sha, source in sources.items()
        if sha not in picks
    )
    listed = {sha: replace(sources[sha], picks=found) for sha, found in picks.items()}
    return listed, notes + left


def check_unchanged_sources(root: Path, sources: Mapping[str, Source]) -> None:
    """Raise `UnavailableError` where a file that scenes were built from now holds another video."""
    built = {
        record["place"]: (sha, record)
        for sha, record in read_records(root).items()
        if record.get("place") and record["scenes"]
    }
    for sha, source in sources.items():
        before, record = built.get(place_key(source.path), (sha, None))
        if before != sha and record and before not in sources:
            raise UnavailableError(
                f"{source.path} has changed: {record['scenes'][0]['scene']} was built from "
                f"{before[:12]}…, it now is {sha[:12]}…. Give the file back its content, rename "
                "the new one, or --rebuild."
            )


def finished_sources(root: Path, sources: Mapping[str, Source], recipe: Recipe) -> set[str]:
    """Sources that need no more work: recorded with all their files in place, or published."""
    published = Counter(str(scene.source["sha256"]) for scene in published_scenes(root))
    records = read_records(root)
    finished = {
        sha
        for sha, source in sources.items()
        if _is_recorded(root, records.get(sha), source, recipe)
        # The scratch folder may be gone; what is published stands, but for triples listed since.
        or (published[sha] and not source.picks)
        or (published[sha] >= len(source.picks) > 0 and sha not in records)
    }
    for sha, record in records.items():
        if not belongs(record, recipe) or (sha in sources and sha not in finished):
            record_path(root, sha).unlink()
    return finished


def _is_recorded(root: Path, record: Record | None, source: Source, recipe: Recipe) -> bool:
    fits = record is not None and record["key"] == content_key(source, recipe)
    return fits and _in_place(root, record)


def _in_place(root: Path, record: Record | None) -> bool:
    places = (root / SCRATCH / "scenes", *(root / side for side in SPLITS))
    scenes = record["scenes"] if record else ()
    return all(any((place / scene["scene"]).is_dir() for place in places) for scene in scenes)


def _check_room(todo: Mapping[str, Source], recipe: Recipe, root: Path, fps: int | None) -> None:
    if todo:
        planned = [(source.path, source.picks) for source in todo.values()]
        check_room(plan_videos(planned, recipe, root, fps), recipe)


def run(
    todo: Mapping[str, Source],
    total: int,
    recipe: Recipe,
    root: Path,
    executor: Executor | None,
    jobs: int,
    ahead: int,
    progress: Progress | None,
) -> None:
    """Work through videos and tell of each."""
    done = total - len(todo)
    for sha, refused in work(todo, recipe, root, executor, jobs=jobs, ahead=ahead):
        done += 1
        if progress:
            progress(done, total, refused or f"{todo[sha].path.name}: built")


def refusals(root: Path, sources: Mapping[str, Source], recipe: Recipe) -> dict[str, str]:
    """Name to reason, of the videos given that gave no scene; the user sees the names he gave."""
    names = Counter(source.path.name for source in sources.values())
    found = {}
    for sha, record in read_records(root).items():
        if sha in sources and record["refused"]:
            path, public = sources[sha].path, public_name(sources[sha], recipe)
            key = path.name if names[path.name] == 1 else str(path)
            found[key] = record["refused"].replace(public, path.name)
    return found
