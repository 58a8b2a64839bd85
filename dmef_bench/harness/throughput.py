"""Scenes a second where nothing waits: the next one is brought while one is fused."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from dmef_bench.harness.fit import at_size, resize_bilinear
from dmef_bench.harness.timing import Work
from dmef_bench.method import StagedMethod
from dmef_bench.scene import ExposureStack, to_uint8

BATCH = 1
"""Scenes in one call: 4K frames fill a device one at a time."""

MIN_SCENES = 8
MIN_S = 5.0
MAX_S = 60.0


def measure_throughput(
    work: Work, *, min_scenes: int = MIN_SCENES, min_s: float = MIN_S
) -> dict[str, Any]:
    """Fuse scene after scene, from native bytes in host memory to native bytes there.

    Parameters
    ----------
    work : Work
        What to time, warm already; its stacks go round.
    min_scenes : int
        Scenes at least, unless they take longer than a minute.
    min_s : float
        Seconds at least.

    Returns
    -------
    dict
        ``batch``, ``pipelined``, ``scenes``, ``seconds``, ``scenes_per_s`` and
        ``native_megapixels_per_s``. Pipelined: a method with stages brings one stack to the
        device and takes one picture back, each in a thread of its own, while another is computed.
        Others, and tiles, are fused one after the other. Caches are dropped before every scene.
    """
    pipelined = isinstance(work.method, StagedMethod) and work.fit != "tile"
    run = _pipelined if pipelined else _in_turn
    begin = time.perf_counter()

    def enough(count: int) -> bool:
        passed = time.perf_counter() - begin
        return (count >= min_scenes and passed >= min_s) or passed >= MAX_S

    scenes = run(work, enough)
    seconds = time.perf_counter() - begin
    height, width = work.stacks[0].size
    return {
        "batch": BATCH,
        "pipelined": pipelined,
        "scenes": scenes,
        "seconds": seconds,
        "scenes_per_s": scenes / seconds,
        "native_megapixels_per_s": scenes * height * width / 1e6 / seconds,
    }


Enough = Callable[[int], bool]
"""Gets the scenes begun, and says whether they will do."""


def _rounds(work: Work, enough: Enough) -> Iterator[ExposureStack]:
    """Stacks made anew from their bytes, whose conversion is part of the way."""
    count = 0
    while not enough(count):
        stack = work.stacks[count % len(work.stacks)]
        count += 1
        if stack.encoded is not None:
            stack = ExposureStack(stack.encoded, stack.evs, stack.reference)
        yield stack


def _in_turn(work: Work, enough: Enough) -> int:
    scenes = 0
    for stack in _rounds(work, enough):
        work.reset()
        to_uint8(work.fuse(stack))
        scenes += 1
    return scenes


def _pipelined(work: Work, enough: Enough) -> int:
    method: Any = work.method

    def bring(stack: ExposureStack) -> Any:
        return method.upload(at_size(stack, work.size) if work.fit == "downsample" else stack)

    def take(outputs: Any) -> None:
        picture = method.download(outputs)
        if work.fit == "downsample":
            picture = np.clip(resize_bilinear(picture, work.stacks[0].size), 0, 1)
        to_uint8(picture)

    scenes = 0
    waiting: Future[Any] | None = None
    leaving: Future[None] | None = None
    with ThreadPoolExecutor(1) as bringing, ThreadPoolExecutor(1) as taking:

        def compute(inputs: Future[Any]) -> Future[None]:
            work.reset()
            outputs = method.compute(inputs.result())
            if leaving is not None:
                leaving.result()  # no more than one picture waits, or memory would fill up
            return taking.submit(take, outputs)

        for stack in _rounds(work, enough):
            brought = bringing.submit(bring, stack)
            if waiting is not None:
                leaving = compute(waiting)
            waiting = brought
            scenes += 1
        if waiting is not None:
            leaving = compute(waiting)
        if leaving is not None:
            leaving.result()
    return scenes
