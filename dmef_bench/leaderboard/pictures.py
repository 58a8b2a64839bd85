"""Which scenes and windows a page shows, and their pictures, checked against the records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from dmef_bench.datasets import load_scenes
from dmef_bench.errors import UsageError
from dmef_bench.imagefile import pixels_sha256, read_image
from dmef_bench.leaderboard.records import higher_is_better
from dmef_bench.leaderboard.windows import telling_windows, window_at
from dmef_bench.metrics import METRICS
from dmef_bench.metrics.tonemap import to_display
from dmef_bench.report.comparison import GROUND_TRUTH, REFERENCE, Codes, Comparison, Window
from dmef_bench.report.numbers import score
from dmef_bench.results import MethodResult, SceneScore, Status
from dmef_bench.scene import Scene, to_uint8

SCENES = 3
"""How many scenes a page shows where nobody names one."""
METHODS = 12
"""How many methods' pictures it shows of one scene."""
SIDE = 512
"""Pixels of a window's side."""
_ORDINALS = ("lowest", "second lowest", "third lowest")

Fused = Mapping[tuple[str, str], Path]
"""(row, scene id) to the fused picture's file."""


def fused_files(
    results: Sequence[MethodResult], folders: Sequence[Path]
) -> dict[tuple[str, str], Path]:
    """The fused pictures that were kept, by row and scene.

    Parameters
    ----------
    results : sequence of MethodResult
        Of one protocol.
    folders : sequence of Path
        Where each was loaded from.
    """
    found = {}
    for result, folder in zip(results, folders, strict=True):
        # The listing, not the record, names the files: no scene id leads out of the folder.
        files = {path.stem: path for path in (folder / "fused").glob("*.png")}
        for scene in result.ok:
            if scene.scene_id in files:
                found[result.row, scene.scene_id] = files[scene.scene_id]
    return found


def comparisons(
    results: Sequence[MethodResult],
    frame: pd.DataFrame,
    files: Fused,
    root: Path,
    *,
    crops: str = "auto",
    side: int = SIDE,
) -> Iterator[Comparison]:
    """The pictures of a few scenes, one scene at a time.

    Parameters
    ----------
    results : sequence of MethodResult
        Of one protocol.
    frame : DataFrame
        Their board.
    files : mapping
        From `fused_files`; without any picture of a method there is nothing to compare.
    root : Path
        The data set.
    crops : str
        ``"auto"``: the three scenes where the best method is worst, each at up to three windows
        (`telling_windows`). ``"SCENE:X,Y"``: that scene, at the window that begins there.
        ``"none"``: the three scenes, no windows.
    side : int
        Pixels of a window's side; smaller pictures are shown whole.

    Raises
    ------
    UsageError
        An unknown scene; another data set, or other pictures, than scored.
    """
    shelf = _Shelf(results, frame, files)
    chosen, corner = _chosen(shelf, crops)
    if not chosen:
        return
    rules = results[0].protocol
    scenes = load_scenes(root, rules.split, rules.dataset)
    for scene_id, why in chosen.items():
        if scene_id not in scenes.ids:
            raise UsageError(
                f"{root} holds no scene {scene_id!r}; give the data set that was scored."
            )
        scene = scenes[scenes.ids.index(scene_id)]
        yield _comparison(shelf, scene, why, crops, corner, side)


@dataclass(frozen=True, eq=False)
class _Shelf:
    """Records, their board, and the pictures that were kept of them."""

    results: Sequence[MethodResult]
    frame: pd.DataFrame
    files: Fused

    @cached_property
    def methods(self) -> list[str]:
        """Rows, the best first; the bounds are the reference, the truth, and what nobody sees."""
        return list(self.frame.loc[self.frame["kind"] != "bound", "method"])

    @cached_property
    def shown(self) -> list[str]:
        """Those of which any picture was kept."""
        kept = {row for row, _ in self.files}
        return [name for name in self.methods if name in kept]

    @cached_property
    def by_row(self) -> dict[str, dict[str, SceneScore]]:
        """The records of every scene."""
        return {result.row: {s.scene_id: s for s in result.scenes} for result in self.results}

    def words(self, row: str, scene_id: str) -> str:
        """What a row scored on a scene."""
        scores = self.by_row[row][scene_id].scores
        return ", ".join(
            _said(name, value)
            for name, convention in list(self.frame.attrs["conventions"].items())[:2]
            if (value := scores.get(convention)) is not None
        )

    def missing(self, scene_id: str) -> Iterator[str]:
        """Sentences on the methods that a scene is shown without."""
        failed, unkept = [], []
        for name in self.methods:
            record = self.by_row[name].get(scene_id)
            if record is None or record.status is not Status.OK:
                failed.append(f"{name} ({record.status if record else 'not run'})")
            elif (name, scene_id) not in self.files:
                unkept.append(name)
        if failed:
            yield f"No picture of {_listed(failed)}: see what went wrong."
        if unkept:
            yield f"No picture was kept of {_listed(unkept)}; `dmef bench --save-fused` keeps them."
        there = [name for name in self.shown if (name, scene_id) in self.files]
        if len(there) > METHODS:
            yield (
                f"Shown are the best {METHODS} of {len(there)} methods; make a page of the folders "
                "of others alone to see them."
            )

    def options(self, row: str) -> str:
        """What a row's method was told."""
        result = next(result for result in self.results if result.row == row)
        given = result.method.get("options") or {}
        return ", ".join(f"{key}={value}" for key, value in given.items())


def _said(metric: str, value: float) -> str:
    """``34.12 dB``, ``SSIM 0.9776``: a unit says enough."""
    text, unit = score(metric)(value), METRICS[metric].unit if metric in METRICS else ""
    return f"{text} {unit}" if unit else f"{metric.upper()} {text}"


def _listed(names: Sequence[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def _chosen(shelf: _Shelf, crops: str) -> tuple[dict[str, str], tuple[int, int] | None]:
    """Scene ids, each with the reason, and the corner (left, top) where somebody gave one."""
    kept = {scene for row, scene in shelf.files if row in shelf.shown}
    if crops in ("auto", "none"):
        return _worst(shelf, kept) if kept else {}, None
    scene, _, place = crops.rpartition(":")
    left, comma, top = place.partition(",")
    if not (scene and comma and left.isdecimal() and top.isdecimal()):
        raise UsageError(f"--crops {crops!r}: write auto, none, or SCENE:X,Y in pixels.")
    if scene not in kept:
        known = _listed(sorted(kept)) if kept else "none; run `dmef bench --save-fused` again"
        raise UsageError(f"No fused picture of {scene!r} was kept; there are {known}.")
    return {scene: "Chosen by `--crops`."}, (int(left), int(top))


def _worst(shelf: _Shelf, kept: set[str]) -> dict[str, str]:
    """The scenes on which the best method scores worst."""
    best, metric = shelf.shown[0], shelf.frame.attrs["sort"]
    upward = higher_is_better(metric)
    convention = shelf.frame.attrs["conventions"][metric]
    scores = {
        scene: (value if upward else -value)
        for scene in kept
        if (record := shelf.by_row[best].get(scene)) is not None
        and (value := record.scores.get(convention)) is not None
    }
    order = sorted(scores or kept, key=lambda scene: (scores.get(scene, 0.0), scene))[:SCENES]
    if not scores:
        return dict.fromkeys(order, "")
    ordinals = _ORDINALS if upward else tuple(o.replace("low", "high") for o in _ORDINALS)
    return {
        scene: f"The {ordinal} {metric.upper()} of {best} among {len(scores)} scenes with pictures."
        for scene, ordinal in zip(order, ordinals, strict=False)
    }


def _checked(path: Path, record: SceneScore, scene: Scene) -> Codes:
    """A fused picture that is the one the record speaks of."""
    if record.scene_digest != scene.digest:
        raise UsageError(f"Scene {scene.scene_id} is not the one that was scored: other pixels.")
    fused = to_uint8(read_image(path))
    if record.fused_sha256 and pixels_sha256(fused) != record.fused_sha256:
        raise UsageError(f"{path} is not the picture that was scored: run `dmef bench` again.")
    return fused


def _comparison(
    shelf: _Shelf,
    scene: Scene,
    why: str,
    crops: str,
    corner: tuple[int, int] | None,
    side: int,
) -> Comparison:
    if scene.ground_truth is None:
        raise UsageError(f"Scene {scene.scene_id} has no ground truth to compare with.")
    truth = scene.ground_truth
    shown = to_uint8(to_display(truth) if truth.dtype == np.float32 else truth)  # type: ignore[arg-type]
    names = [name for name in shelf.shown if (name, scene.scene_id) in shelf.files][:METHODS]
    inputs = _inputs(scene)
    # A method may be called like an exposure; the picture of neither may hide the other's.
    fused = {
        f"{name} (fused)" if name in {*inputs, GROUND_TRUTH} else name: _checked(
            shelf.files[name, scene.scene_id], shelf.by_row[name][scene.scene_id], scene
        )
        for name in names
    }
    windows: tuple[Window, ...] = ()
    if corner:
        windows = (window_at(*corner, shown.shape[:2], side),)
    elif crops == "auto":
        windows = telling_windows(shown, fused, scene.stack, side)
    return Comparison(
        scene.scene_id,
        {**fused, GROUND_TRUTH: shown, **inputs},
        windows,
        methods=tuple(fused),
        scores={
            key: shelf.words(row, scene.scene_id) for key, row in zip(fused, names, strict=True)
        },
        options={key: shelf.options(row) for key, row in zip(fused, names, strict=True)},
        why=why,
        missing=tuple(shelf.missing(scene.scene_id)),
    )


def _inputs(scene: Scene) -> dict[str, Codes]:
    """The exposures by name, darkest first."""
    images, reference = scene.stack.encoded or scene.stack.images, scene.stack.reference
    if len(images) == 3 and reference == 1:
        names = ["low exposure", REFERENCE, "high exposure"]
    else:
        names = [f"exposure {number}" for number in range(1, len(images) + 1)]
        names[reference] = REFERENCE
    return {name: to_uint8(image) for name, image in zip(names, images, strict=True)}
