"""One method on scenes under a protocol: fuse, score, record, scene by scene."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from dmef_bench.errors import UnavailableError
from dmef_bench.harness.environment import describe_environment
from dmef_bench.harness.fit import fuse_at
from dmef_bench.harness.fitting import Fitting, fit_of
from dmef_bench.harness.foresight import Foresight, Shortage, streams
from dmef_bench.harness.scoring import (
    Fused,
    Scorer,
    flags_of,
    is_bound,
    scored,
    scorers_of,
    unscored,
    with_seams,
)
from dmef_bench.harness.tiles import TileMemo, Tiling
from dmef_bench.method import CachingMethod, Method, StatefulMethod, traits
from dmef_bench.metrics.tonemap import to_display
from dmef_bench.protocol import Protocol
from dmef_bench.results import (
    FORESEEN,
    MethodResult,
    SceneScore,
    Status,
    summarise,
    without_paths,
)
from dmef_bench.scene import Image, Scene, check_image, to_float, to_uint8

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """What may be asked of `evaluate` beside the protocol; nothing here changes a score.

    Parameters
    ----------
    lpips_weights : Path or None
        File of the LPIPS backbone; None searches the usual places, and may download.
    unavailable : mapping
        Convention id to reason, for metrics already known to be out of reach.
    save_fused : Path or None
        Folder that gets every fused picture as PNG.
    found_size : (height, width) or None
        What the search for the largest size found; None where nothing was searched.
    size : (height, width) or None
        Of a bound that is asked for at one size.
    warm : bool
        Fuse each stack twice without `reset` between, and time and score the second picture.
    tile_memo : bool
        Fuse equal tiles once.
    seed : int
        For Python's and numpy's generators, set once before the first scene.
    method_digest : str
        Written into every score.
    forecast : bool
        Do not even try what a forecast says to be too large (`Foresight`): it is ``oom`` at once.
    memory_limit : int or None
        Bytes that the process, or on a GPU its tensors, may take.
    """

    lpips_weights: Path | None = None
    unavailable: Mapping[str, str] | None = None
    save_fused: Path | None = None
    found_size: tuple[int, int] | None = None
    size: tuple[int, int] | None = None
    warm: bool = False
    tile_memo: bool = False
    seed: int = 0
    method_digest: str = ""
    forecast: bool = True
    memory_limit: int | None = None


def evaluate(
    method: Method,
    scenes: Sequence[Scene],
    protocol: Protocol,
    *,
    options: Options | None = None,
    on_begin: Callable[[str], None] | None = None,
    on_score: Callable[[SceneScore], None] | None = None,
) -> MethodResult:
    """Fuse and score every scene; a failure becomes a record, and the next scene is tried.

    Parameters
    ----------
    method : Method
        Any fusion method.
    scenes : sequence of Scene
        Read one by one.
    protocol : Protocol
        The rules.
    options : Options, optional
        Weights, seed, saving.
    on_begin, on_score : callable, optional
        Called with the scene id before, and with the `SceneScore` after each scene.

    Returns
    -------
    MethodResult
        With one `SceneScore` a scene, in order.
    """
    options = options or Options()
    scorers = scorers_of(protocol.metrics, options.lpips_weights)
    random.seed(options.seed)
    np.random.seed(options.seed)  # noqa: NPY002 - third-party methods draw from the global one
    foresight = Foresight(method, options.memory_limit) if options.forecast else None
    started = _now()
    scores: list[SceneScore] = []
    for scene_id, read in _readers(scenes):
        if on_begin:
            on_begin(scene_id)
        score = _score_safely(method, scene_id, read, protocol, scorers, options, foresight)
        scores.append(score)
        if on_score:
            on_score(score)
    return MethodResult(
        row=method.name,
        method=describe_method(method),
        protocol=protocol,
        scenes=tuple(scores),
        environment=describe_environment(),
        status=summarise(scores, len(scores)),
        expected=len(scores),
        seed=options.seed,
        started=started,
        finished=_now(),
    )


def describe_method(method: Method) -> dict[str, Any]:
    """What a record keeps of a method: name, paper, kind and traits."""
    stated = traits(method)
    return {
        "name": method.name,
        "paper": method.paper,
        "kind": "bound" if is_bound(method) else "method",
        "stride": stated.stride,
        "is_global": stated.is_global,
        "weights_sha256": stated.weights_digest,
    }


def _readers(scenes: Sequence[Scene]) -> Iterable[tuple[str, Callable[[], Scene]]]:
    """Scene ids before the pictures: a scene that cannot be read still has a name."""
    ids = getattr(scenes, "ids", None) or [scene.scene_id for scene in scenes]
    for index, scene_id in enumerate(ids):
        yield scene_id, lambda index=index: scenes[index]  # type: ignore[misc]


def _score_safely(
    method: Method,
    scene_id: str,
    read: Callable[[], Scene],
    protocol: Protocol,
    scorers: Mapping[str, Scorer],
    options: Options,
    foresight: Foresight | None,
) -> SceneScore:
    """The one place where any exception of a method becomes a record."""
    blank = SceneScore(
        scene_id,
        Status.ERROR,
        fingerprint=protocol.fingerprint,
        method_digest=options.method_digest,
        started=_now(),
    )
    stage = "read"
    try:
        begin = time.perf_counter()
        scene = read()
        reading = time.perf_counter() - begin
        fitting = _fitting(method, protocol, scene.stack.size, options)
        blank = replace(
            blank,
            group=scene.group,
            scene_digest=scene.digest,
            native_size=scene.stack.size,
            fused_size=scene.stack.size if fitting.tile else fitting.size,
            tile=fitting.tile,
            mr_source=fitting.source,
        )
        stage = "forecast"
        if foresight and (shortage := foresight.shortage(fitting.size)):
            return _foreseen(blank, shortage)
        stage = "fuse"
        streamed = streams(method, fitting.size)
        fused = _fused(method, scene, fitting, options)
        blank = replace(
            blank,
            cache=fused.cache,
            seconds={"io_read": reading, "e2e": fused.seconds},
            flags=flags_of(method, scene, fused.codes, fitting, streamed=streamed),
        )
        stage = "score"
        if traits(method).untrained:
            return unscored(blank, fused, scorers)
        score = scored(
            blank,
            scene,
            fused,
            scorers,
            unavailable=options.unavailable or {},
            save=options.save_fused,
        )
        return with_seams(score, method, scene, fused.codes, fitting)
    except MemoryError as error:
        return _failed(blank, Status.OOM, error, stage)
    except UnavailableError as error:
        return _failed(blank, Status.UNAVAILABLE, error, stage)
    except Exception as error:
        # torch says so by type name; importing torch to ask would cost every method seconds.
        out_of_memory = type(error).__name__ == "OutOfMemoryError"
        return _failed(blank, Status.OOM if out_of_memory else Status.ERROR, error, stage)


def _fitting(
    method: Method, protocol: Protocol, native: tuple[int, int], options: Options
) -> Fitting:
    if options.size is not None:
        return Fitting(protocol.fit, options.size, "given")
    return fit_of(traits(method), protocol, native, found=options.found_size)


def _fused(method: Method, scene: Scene, fitting: Fitting, options: Options) -> Fused:
    memo = TileMemo() if options.tile_memo and fitting.tile else None
    if isinstance(method, StatefulMethod):
        method.reset()
    if options.warm:
        _fuse(method, scene, fitting, memo)
    begin = time.perf_counter()
    picture = _fuse(method, scene, fitting, memo)
    codes = to_uint8(picture)
    seconds = time.perf_counter() - begin
    truth = scene.ground_truth
    kept = picture if truth is not None and truth.dtype == np.float32 else codes
    if memo is not None:
        counted: dict[str, float] = {"hits": memo.hits, "misses": memo.misses, "bytes": memo.bytes}
        return Fused(codes, kept, seconds, counted)
    counters = dict(method.cache_counters()) if isinstance(method, CachingMethod) else None
    return Fused(codes, kept, seconds, counters)


def _fuse(method: Method, scene: Scene, fitting: Fitting, memo: TileMemo | None) -> Image:
    if not traits(method).sees_ground_truth:
        tiling = fitting.tiling or Tiling(fitting.size, 0)
        return fuse_at(
            method,
            scene.stack.three() if traits(method).exposures == 3 else scene.stack,
            fit=fitting.fit,
            size=fitting.size,
            overlap=tiling.overlap,
            blend=tiling.blend,
            memo=memo,
        )
    if scene.ground_truth is None:
        raise UnavailableError("The scene has no ground truth, so this bound has no value.")
    # Tiles lose no resolution, so their ceiling is the truth itself.
    size = scene.stack.size if fitting.tile else fitting.size
    truth = scene.ground_truth
    if truth.dtype == np.float32:
        truth = to_display(to_float(truth))
    fused = method.fuse(scene.stack, ground_truth=truth, size=size)  # type: ignore[call-arg]
    return check_image(fused, name=f"the picture of {method.name}", size=scene.stack.size)


def _failed(blank: SceneScore, status: Status, error: BaseException, stage: str) -> SceneScore:
    logger.error("%s failed in %s", blank.scene_id, stage, exc_info=error)
    return replace(
        blank,
        status=status,
        error={
            "kind": status.value,
            "type": type(error).__name__,
            "message": without_paths(str(error)),
            "where": stage,
        },
    )


def _foreseen(blank: SceneScore, shortage: Shortage) -> SceneScore:
    """Out of memory before it happened."""
    told = shortage.text(auto=True)
    logger.error("%s is not tried: %s", blank.scene_id, told)
    return replace(
        blank,
        status=Status.OOM,
        error={
            "kind": Status.OOM.value,
            "type": "Forecast",
            "message": told,
            "where": "forecast",
            "oom_kind": FORESEEN,
        },
    )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
