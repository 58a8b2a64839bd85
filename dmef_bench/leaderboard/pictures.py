"""Which scenes and windows a page shows, and their pictures, checked against the records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from dmef_bench.datasets import load_scenes
from dmef_bench.errors import ImageContractError, UsageError
from dmef_bench.imagefile import pixels_sha256, read_image
from dmef_bench.leaderboard.records import higher_is_better
from dmef_bench.metrics.motion_mask import moving_mask
from dmef_bench.metrics.tonemap import to_display
from dmef_bench.report.comparison import GROUND_TRUTH, REFERENCE, Comparison, Window
from dmef_bench.results import MethodResult, SceneScore
from dmef_bench.scene import Scene, to_uint8

SCENES = 3
"""How many scenes a page shows where nobody names one."""
SIDE = 512
"""Pixels of a window's side."""
_STEP = 16
"""Windows start at multiples of so many pixels."""

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
        From `fused_files`.
    root : Path
        The data set.
    crops : str
        ``"auto"``: the three scenes where the best method is worst, each at the window of largest
        error of the median method and at the window of most motion. ``"SCENE:X,Y"``: that scene,
        at the window that begins there. ``"none"``: the three scenes, no windows.
    side : int
        Pixels of a window's side; smaller pictures are shown whole.

    Raises
    ------
    UsageError
        No picture was kept; an unknown scene; another data set, or other pictures, than scored.
    """
    order = [name for name in frame["method"] if any(row == name for row, _ in files)]
    # The bounds are the reference, the truth, and what nobody looks at.
    order = [n for n in order if frame.set_index("method").loc[n, "kind"] != "bound"]
    if not order:
        raise UsageError(
            "No fused pictures lie beside these records; run `dmef bench --save-fused` again and "
            "give its folder."
        )
    by_row = {result.row: {s.scene_id: s for s in result.ok} for result in results}
    scene_ids, corner = _chosen(frame, by_row, files, order, crops)
    scenes = load_scenes(root, results[0].protocol.split)
    for scene_id in scene_ids:
        if scene_id not in scenes.ids:
            raise UsageError(
                f"{root} holds no scene {scene_id!r}; give the data set that was scored."
            )
        scene = scenes[scenes.ids.index(scene_id)]
        fused = {
            name: _checked(files[name, scene_id], by_row[name][scene_id], scene)
            for name in order
            if (name, scene_id) in files
        }
        yield _comparison(scene, fused, crops, corner, side)


def _chosen(
    frame: pd.DataFrame,
    by_row: Mapping[str, Mapping[str, SceneScore]],
    files: Fused,
    order: Sequence[str],
    crops: str,
) -> tuple[list[str], tuple[int, int] | None]:
    """Scene ids, and the corner (left, top) where somebody gave one."""
    best = order[0]
    kept = {scene for row, scene in files if row == best}
    if crops in ("auto", "none"):
        convention = frame.attrs["conventions"][frame.attrs["sort"]]
        sign = 1 if higher_is_better(frame.attrs["sort"]) else -1
        scores = {s: by_row[best][s].scores.get(convention) for s in kept}
        known = {scene: sign * score for scene, score in scores.items() if score is not None}
        return sorted(known or kept, key=lambda s: (known.get(s, 0.0), s))[:SCENES], None
    scene, _, place = crops.rpartition(":")
    left, comma, top = place.partition(",")
    if not (scene and comma and left.isdecimal() and top.isdecimal()):
        raise UsageError(f"--crops {crops!r}: write auto, none, or SCENE:X,Y in pixels.")
    if scene not in {name for _, name in files}:
        raise UsageError(
            f"No fused picture of {scene!r} was kept; there are {', '.join(sorted(kept))}."
        )
    return [scene], (int(left), int(top))


def _checked(path: Path, score: SceneScore, scene: Scene) -> npt.NDArray[np.uint8]:
    """A fused picture that is the one the record speaks of."""
    if score.scene_digest != scene.digest:
        raise UsageError(f"Scene {scene.scene_id} is not the one that was scored: other pixels.")
    fused = to_uint8(read_image(path))
    if score.fused_sha256 and pixels_sha256(fused) != score.fused_sha256:
        raise UsageError(f"{path} is not the picture that was scored: run `dmef bench` again.")
    return fused


def _comparison(
    scene: Scene,
    fused: Mapping[str, npt.NDArray[np.uint8]],
    crops: str,
    corner: tuple[int, int] | None,
    side: int,
) -> Comparison:
    if scene.ground_truth is None:
        raise UsageError(f"Scene {scene.scene_id} has no ground truth to compare with.")
    truth = scene.ground_truth
    shown = to_uint8(to_display(truth) if truth.dtype == np.float32 else truth)  # type: ignore[arg-type]
    reference = to_uint8(scene.stack.images[scene.stack.reference])
    windows: list[Window] = []
    if corner:
        windows.append(_fitted(*corner, shown.shape[:2], side))
    elif crops == "auto":
        middle = list(fused)[len(fused) // 2]
        error = np.abs(fused[middle].astype(np.int16) - shown).mean(axis=2)
        windows.append(_densest(error, side, f"largest error of {middle}"))
        windows += _most_motion(scene, side)
    pictures = {REFERENCE: reference, GROUND_TRUTH: shown, **fused}
    return Comparison(scene.scene_id, pictures, tuple(windows))


def _most_motion(scene: Scene, side: int) -> list[Window]:
    try:
        moving = moving_mask(scene.stack)
    except ImageContractError:  # too small for flow
        return []
    return [_densest(moving, side, "most motion")] if moving.any() else []


def _densest(weights: npt.NDArray[np.floating | np.bool_], side: int, why: str) -> Window:
    """The window that holds most; the first of equals, from the top left."""
    height, width = (min(side, length) for length in weights.shape)
    sums = cv2.integral(weights.astype(np.float64))
    held = (
        sums[height:, width:]
        - sums[:-height, width:]
        - sums[height:, :-width]
        + sums[:-height, :-width]
    )
    top, left = np.unravel_index(int(held[::_STEP, ::_STEP].argmax()), held[::_STEP, ::_STEP].shape)
    return Window(int(left) * _STEP, int(top) * _STEP, width, height, why)


def _fitted(left: int, top: int, size: tuple[int, ...], side: int) -> Window:
    """The chosen window, moved back inside the picture where it would reach out of it."""
    height, width = (min(side, length) for length in size)
    return Window(min(left, size[1] - width), min(top, size[0] - height), width, height, "chosen")
