"""Crops of scenes: which one comes at which step, and the pictures of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dmef_bench.errors import UsageError
from dmef_bench.scene import ExposureStack, size_text
from dmef_bench.training.store import StoredScene

BATCHES_AHEAD = 2


@dataclass(frozen=True)
class Crop:
    """A square cut out of a scene, mirrored and turned.

    Parameters
    ----------
    scene : int
        Which scene.
    top, left : int
        Its first row and column.
    flip : bool
        Mirror left and right.
    turns : int
        Turns by 90 degrees, after the mirror.
    """

    scene: int
    top: int
    left: int
    flip: bool = False
    turns: int = 0


@dataclass(frozen=True)
class CropPlan:
    """Which crop comes when: a pure function of seed and place, so nothing needs to be saved.

    Every scene comes once before any comes again, in an order dealt anew each time. The answer
    depends neither on how many processes or threads ask, nor on what was asked before.

    Parameters
    ----------
    sizes : sequence of (height, width)
        Of the scenes.
    side : int
        Of the crops.
    seed : int
        Of everything.
    flips, turns : bool
        Whether crops are mirrored, and turned.
    """

    sizes: Sequence[tuple[int, int]]
    side: int
    seed: int = 0
    flips: bool = True
    turns: bool = True

    def crop(self, place: int) -> Crop:
        """The crop at a place of the endless sequence; place = step * batch + slot."""
        deal, position = divmod(place, len(self.sizes))
        order = np.random.default_rng((self.seed, 0, deal)).permutation(len(self.sizes))
        scene = int(order[position])
        height, width = self.sizes[scene]
        generator = np.random.default_rng((self.seed, 1, place))
        top, left, flip, turns = generator.integers(
            (height - self.side + 1, width - self.side + 1, 2, 4)
        ).tolist()
        return Crop(scene, top, left, self.flips and bool(flip), turns if self.turns else 0)


@dataclass(frozen=True, eq=False)
class Batch:
    """Crops with their pictures.

    Parameters
    ----------
    crops : tuple of Crop
        Where they were cut.
    stacks : tuple of ExposureStack
        What a method would be given.
    truths : tuple of ndarray, shape (side, side, 3)
        As stored.
    """

    crops: tuple[Crop, ...]
    stacks: tuple[ExposureStack, ...]
    truths: tuple[npt.NDArray[Any], ...]


def cut(scene: StoredScene, crop: Crop, side: int) -> tuple[ExposureStack, npt.NDArray[Any]]:
    """The exposures and the truth of a crop, mirrored and turned alike."""
    rows, columns = slice(crop.top, crop.top + side), slice(crop.left, crop.left + side)
    pictures = [*scene.exposures[:, rows, columns], scene.truth[rows, columns]]
    turned = [_turned(picture, crop) for picture in pictures]
    *exposures, truth = turned
    return ExposureStack(encoded=tuple(exposures), evs=scene.evs), truth


def _turned(picture: npt.NDArray[Any], crop: Crop) -> npt.NDArray[Any]:
    mirrored = picture[:, ::-1] if crop.flip else picture
    # A copy of its own: nothing of a batch may hang on the mapped file.
    return np.array(np.rot90(mirrored, crop.turns), order="C")


def collect(scenes: Sequence[StoredScene], crops: Sequence[Crop], side: int) -> Batch:
    """Cut crops and put them together."""
    pairs = [cut(scenes[crop.scene], crop, side) for crop in crops]
    return Batch(
        tuple(crops), tuple(stack for stack, _ in pairs), tuple(truth for _, truth in pairs)
    )


def batches(
    scenes: Sequence[StoredScene],
    plan: CropPlan,
    batch: int,
    first: int = 0,
    *,
    rank: int = 0,
    processes: int = 1,
) -> Generator[Batch, None, None]:
    """Batches from step ``first`` on, without end, cut in the background.

    Each of several processes gets its share: together they see what one would see alone.
    """
    slots = range(rank, batch, processes)

    def prepare(step: int) -> Batch:
        crops = [plan.crop(step * batch + slot) for slot in slots]
        return collect(scenes, crops, plan.side)

    with ThreadPoolExecutor(1, thread_name_prefix="dmef-crops") as thread:
        ahead: deque[Future[Batch]] = deque()
        step = first
        try:
            while True:
                while len(ahead) <= BATCHES_AHEAD:
                    ahead.append(thread.submit(prepare, step))
                    step += 1
                yield ahead.popleft().result()
        finally:
            for waiting in ahead:
                waiting.cancel()


def fixed_crops(sizes: Sequence[tuple[int, int]], side: int, most: int) -> list[Crop]:
    """The same few crops of each scene every time, spread over it: centre, then a 2 x 2 grid.

    Examples
    --------
    >>> fixed_crops([(100, 300)], side=50, most=2)
    [Crop(scene=0, top=25, left=125, flip=False, turns=0), Crop(scene=0, top=12, left=62, flip=False, turns=0)]
    """  # noqa: E501 - the output of a doctest
    places = [(0.5, 0.5), (0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75)]
    each = max(1, min(len(places), most // max(1, len(sizes))))
    return [
        Crop(scene, int(down * (height - side)), int(right * (width - side)))
        for scene, (height, width) in enumerate(sizes)
        for down, right in places[:each]
    ]


def check_fits(
    names: Sequence[str], sizes: Sequence[tuple[int, int]], side: int, stride: int = 1
) -> None:
    """Refuse crops that are larger than a scene; say which, and the largest that would fit."""
    small = [
        (min(size), name, size) for name, size in zip(names, sizes, strict=True) if min(size) < side
    ]
    if not small:
        return
    least, name, size = min(small)
    fitting = least // stride * stride
    advice = f"Take --crop {fitting} or less." if fitting else "Build the data set without it."
    raise UsageError(
        f"Crops of {side} pixels do not fit into {len(small)} of {len(sizes)} scenes; the "
        f"smallest is {name}, {size_text(size)}. {advice}"
    )
