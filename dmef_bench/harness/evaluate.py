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

from dmef_bench.errors import DmefError, UnavailableError, UsageError
from dmef_bench.harness.environment import describe_environment
from dmef_bench.harness.fit import fuse_at
from dmef_bench.imagefile import pixels_sha256, write_image
from dmef_bench.method import Method, traits
from dmef_bench.metrics import METRICS
from dmef_bench.metrics.psnr import squared_error
from dmef_bench.protocol import Protocol, parse_size
from dmef_bench.results import (
    UNTRAINED,
    MethodResult,
    SceneScore,
    Status,
    summarise,
    without_paths,
)
from dmef_bench.scene import Encoded, Image, Scene, check_image, to_uint8

logger = logging.getLogger(__name__)

Scorer = Callable[[Any, Any], float]


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
    seed : int
        For Python's and numpy's generators, set once before the first scene.
    method_digest : str
        Written into every score.
    """

    lpips_weights: Path | None = None
    unavailable: Mapping[str, str] | None = None
    save_fused: Path | None = None
    seed: int = 0
    method_digest: str = ""


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
    scorers = _scorers(protocol.metrics, options)
    random.seed(options.seed)
    np.random.seed(options.seed)  # noqa: NPY002 - third-party methods draw from the global one
    started = _now()
    scores: list[SceneScore] = []
    for scene_id, read in _readers(scenes):
        if on_begin:
            on_begin(scene_id)
        score = _score_safely(method, scene_id, read, protocol, scorers, options)
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


def is_bound(method: Method) -> bool:
    """Whether a method is no method but a mark to read the others by."""
    return traits(method).sees_ground_truth or method.name == "reference"


def _readers(scenes: Sequence[Scene]) -> Iterable[tuple[str, Callable[[], Scene]]]:
    """Scene ids before the pictures: a scene that cannot be read still has a name."""
    ids = getattr(scenes, "ids", None) or [scene.scene_id for scene in scenes]
    for index, scene_id in enumerate(ids):
        yield scene_id, lambda index=index: scenes[index]  # type: ignore[misc]


def _scorers(metrics: Iterable[str], options: Options) -> dict[str, Scorer]:
    by_convention = {metric.convention: metric for metric in METRICS.values()}
    unknown = [name for name in metrics if name not in by_convention]
    if unknown:
        raise UsageError(
            f"No metric has the convention {unknown[0]!r}; known: {', '.join(by_convention)}."
        )

    def scorer(convention: str) -> Scorer:
        score = by_convention[convention].score
        if not convention.startswith("lpips/"):
            return score
        return lambda fused, truth: score(fused, truth, weights=options.lpips_weights)

    return {name: scorer(name) for name in metrics}


def _score_safely(
    method: Method,
    scene_id: str,
    read: Callable[[], Scene],
    protocol: Protocol,
    scorers: Mapping[str, Scorer],
    options: Options,
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
        seconds: dict[str, float | None] = {"io_read": time.perf_counter() - begin}
        size = fused_size(protocol, scene.stack.size)
        blank = replace(
            blank, scene_digest=scene.digest, native_size=scene.stack.size, fused_size=size
        )
        stage = "fuse"
        begin = time.perf_counter()
        fused = to_uint8(_fuse(method, scene, protocol, size))
        seconds["e2e"] = time.perf_counter() - begin
        stage = "score"
        if traits(method).untrained:
            return _unscored(blank, fused, seconds, scorers)
        return _scored(blank, scene, fused, seconds, scorers, options)
    except MemoryError as error:
        return _failed(blank, Status.OOM, error, stage)
    except UnavailableError as error:
        return _failed(blank, Status.UNAVAILABLE, error, stage)
    except Exception as error:
        # torch says so by type name; importing torch to ask would cost every method seconds.
        out_of_memory = type(error).__name__ == "OutOfMemoryError"
        return _failed(blank, Status.OOM if out_of_memory else Status.ERROR, error, stage)


def fused_size(protocol: Protocol, native: tuple[int, int]) -> tuple[int, int]:
    """The size a method computes at: the native one, or the protocol's under ``downsample``."""
    if protocol.fit == "full" or protocol.mr == "auto":
        return native
    if protocol.mr == "paper":
        raise UsageError("--mr paper is not built yet; use auto or WIDTHxHEIGHT.")
    return parse_size(protocol.mr)


def _fuse(method: Method, scene: Scene, protocol: Protocol, size: tuple[int, int]) -> Image:
    if not traits(method).sees_ground_truth:
        return fuse_at(method, scene.stack, fit=protocol.fit, size=size)
    if scene.ground_truth is None:
        raise UnavailableError("The scene has no ground truth, so this bound has no value.")
    fused = method.fuse(scene.stack, ground_truth=scene.ground_truth, size=size)  # type: ignore[call-arg]
    return check_image(fused, name=f"the picture of {method.name}", size=scene.stack.size)


def _scored(
    blank: SceneScore,
    scene: Scene,
    fused: Encoded,
    seconds: dict[str, float | None],
    scorers: Mapping[str, Scorer],
    options: Options,
) -> SceneScore:
    if scene.ground_truth is None:
        raise UnavailableError("The scene has no ground truth, so nothing can be scored.")
    unavailable = dict(options.unavailable or {})
    scores: dict[str, float | None] = {}
    begin = time.perf_counter()
    truth = to_uint8(scene.ground_truth)
    for name, scorer in scorers.items():
        try:
            scores[name] = None if name in unavailable else scorer(fused, truth)
        except DmefError as error:  # too small for the window, weights out of reach
            unavailable[name] = without_paths(str(error))
            scores[name] = None
    sse, samples = squared_error(fused, truth)
    seconds["metrics"] = time.perf_counter() - begin
    if options.save_fused:
        options.save_fused.mkdir(parents=True, exist_ok=True)
        write_image(options.save_fused / f"{scene.scene_id}.png", fused)
    return replace(
        blank,
        status=Status.OK,
        scores=scores,
        unavailable={name: unavailable[name] for name in scores if name in unavailable},
        seconds=seconds,
        sse=sse,
        samples=samples,
        fused_sha256=pixels_sha256(fused),
    )


def _unscored(
    blank: SceneScore,
    fused: Encoded,
    seconds: Mapping[str, float | None],
    scorers: Mapping[str, Scorer],
) -> SceneScore:
    """The record of a method with random weights: time and picture, and no figure of quality."""
    reason = "random weights: time and cost alone, no figures of quality"
    return replace(
        blank,
        status=Status.OK,
        scores=dict.fromkeys(scorers),
        unavailable=dict.fromkeys(scorers, reason),
        seconds=seconds,
        fused_sha256=pixels_sha256(fused),
        flags=(UNTRAINED,),
    )


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


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
