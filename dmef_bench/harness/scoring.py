"""From a fused picture to the scores, flags and sums of its record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeGuard

import numpy as np
import numpy.typing as npt

from dmef_bench.errors import DmefError, UsageError
from dmef_bench.harness.fitting import Fitting
from dmef_bench.harness.tiles import seam_score
from dmef_bench.imagefile import pixels_sha256, write_image
from dmef_bench.method import Method, traits
from dmef_bench.metrics import METRICS, Measurement, Metric
from dmef_bench.metrics.psnr import squared_error
from dmef_bench.results import (
    COPIES_INPUT,
    EQUALS_TRUTH,
    GLOBAL_TILED,
    STREAMED,
    UNTRAINED,
    SceneScore,
    Status,
    without_paths,
)
from dmef_bench.scene import Encoded, Image, Scene, to_uint8

Scorer = Callable[[Encoded | Image, Scene], Measurement]
"""Measures a picture on its scene."""


@dataclass(frozen=True, eq=False)
class Fused:
    """What came of one scene.

    Parameters
    ----------
    codes : ndarray, shape (H, W, 3), uint8
        The picture as a user receives it.
    picture : ndarray, shape (H, W, 3), float32 or uint8
        As the metrics get it: unquantised where the truth is linear radiance.
    seconds : float
        From the decoded stack to ``codes``.
    cache : dict or None
        What caches counted meanwhile.
    """

    codes: npt.NDArray[np.uint8]
    picture: Encoded | Image
    seconds: float
    cache: dict[str, float] | None


def scorers_of(conventions: Iterable[str], lpips_weights: Path | None = None) -> dict[str, Scorer]:
    """Convention id to a call that measures a picture on its scene.

    Parameters
    ----------
    conventions : iterable of str
        Ids of `METRICS`.
    lpips_weights : Path, optional
        File of the LPIPS backbone.

    Raises
    ------
    UsageError
        An id that no metric has.
    """
    by_convention = {metric.convention: metric for metric in METRICS.values()}
    unknown = [name for name in conventions if name not in by_convention]
    if unknown:
        raise UsageError(
            f"No metric has the convention {unknown[0]!r}; known: {', '.join(by_convention)}."
        )

    def scorer(metric: Metric) -> Scorer:
        extra = {"weights": lpips_weights} if metric.name == "lpips" else {}
        return lambda fused, scene: metric.measure(fused, scene, **extra)

    return {name: scorer(by_convention[name]) for name in conventions}


def is_bound(method: Method) -> bool:
    """Whether a method is no method but a mark to read the others by."""
    return traits(method).sees_ground_truth or method.name == "reference"


def flags_of(
    method: Method,
    scene: Scene,
    fused: npt.NDArray[np.uint8],
    fitting: Fitting,
    *,
    streamed: bool = False,
) -> tuple[str, ...]:
    """What a reader of the row must know, told from the pictures and from how they were fused."""
    if is_bound(method):
        return ()
    inputs = scene.stack.images if scene.stack.encoded is None else scene.stack.encoded
    truth = scene.ground_truth
    found = {
        STREAMED: streamed,
        GLOBAL_TILED: fitting.tile is not None and traits(method).is_global,
        EQUALS_TRUTH: _is_display(truth) and np.array_equal(fused, to_uint8(truth)),
        COPIES_INPUT: any(np.array_equal(fused, to_uint8(exposure)) for exposure in inputs),
    }
    return tuple(flag for flag, holds in found.items() if holds)


def scored(
    blank: SceneScore,
    scene: Scene,
    fused: Fused,
    scorers: Mapping[str, Scorer],
    *,
    unavailable: Mapping[str, str],
    save: Path | None = None,
) -> SceneScore:
    """The record of a picture.

    Parameters
    ----------
    blank : SceneScore
        Without scores yet.
    scene : Scene
        What was fused.
    fused : Fused
        What came of it.
    scorers : mapping
        See `scorers_of`.
    unavailable : mapping
        Convention id to the reason why a score cannot be had.
    save : Path, optional
        Folder that gets the picture as PNG.
    """
    found: dict[str, Measurement] = {}
    begin = time.perf_counter()
    for name, scorer in scorers.items():
        try:
            reason = unavailable.get(name)
            found[name] = Measurement(None, reason) if reason else scorer(fused.picture, scene)
        except DmefError as error:  # too small for the window, weights out of reach
            found[name] = Measurement(None, without_paths(str(error)))
    sse, samples = _sums(scene, fused)
    seconds = {**blank.seconds, "metrics": time.perf_counter() - begin}
    if save is not None:
        save.mkdir(parents=True, exist_ok=True)
        write_image(save / f"{scene.scene_id}.png", fused.codes)
    return replace(
        blank,
        status=Status.OK,
        scores={name: measurement.value for name, measurement in found.items()},
        unavailable={name: m.reason for name, m in found.items() if m.value is None},
        masked={
            name: {"sse": m.sse, "samples": m.samples}
            for name, m in found.items()
            if m.sse is not None and m.samples is not None
        },
        seconds=seconds,
        fused_sha256=pixels_sha256(fused.codes),
        sse=sse,
        samples=samples,
    )


def _sums(scene: Scene, fused: Fused) -> tuple[int | None, int | None]:
    """Squared error and samples of the whole picture, from which any pooling can be made."""
    if not _is_display(scene.ground_truth):
        return None, None
    return squared_error(fused.codes, to_uint8(scene.ground_truth))


def unscored(blank: SceneScore, fused: Fused, scorers: Mapping[str, Scorer]) -> SceneScore:
    """The record of a method with random weights: time and picture, and no figure of quality."""
    reason = "random weights: time and cost alone, no figures of quality"
    return replace(
        blank,
        status=Status.OK,
        scores=dict.fromkeys(scorers),
        unavailable=dict.fromkeys(scorers, reason),
        fused_sha256=pixels_sha256(fused.codes),
        flags=(*blank.flags, UNTRAINED),
    )


def with_seams(
    score: SceneScore,
    method: Method,
    scene: Scene,
    fused: npt.NDArray[np.uint8],
    fitting: Fitting,
) -> SceneScore:
    """The record with its seam score, where tiles were fused."""
    if fitting.tiling is None or not _is_display(scene.ground_truth):
        return score
    truth = to_uint8(scene.ground_truth)
    return replace(score, seam_score=seam_score(fused, truth, fitting.tiling, method))


def _is_display(truth: Encoded | Image | None) -> TypeGuard[Encoded]:
    """Whether there is a truth in display codes; float32 is linear radiance."""
    return truth is not None and truth.dtype != np.float32
