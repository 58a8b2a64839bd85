"""Whether two scenes show the same place: features that a homography carries across."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from io import BytesIO
from itertools import combinations
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import cv2
import numpy as np
import numpy.typing as npt

from dmef_bench.building.motion import one_thread
from dmef_bench.imagefile import write_atomic
from dmef_bench.scene import Encoded

LONG_SIDE = 960
FEATURES = 1000
RATIO = 0.75
"""The best match of a feature must be this much nearer than the second best (Lowe, 2004)."""
INLIERS = 30
INLIER_SHARE = 0.25
"""From so many matches on that one homography explains, and such a share of all, two scenes show
one place. The same place eighty frames later has hundreds, unrelated scenes six to eight."""

COMPARE_ALL = 1000
"""Up to so many scenes every pair is compared; beyond, only what looks alike at a glance."""
NEAREST = 50

_RANSAC_PX = 3.0
_GRID = (8, 8)


@dataclass(frozen=True, eq=False)
class Features:
    """What is kept of a picture for comparing it.

    Parameters
    ----------
    places : ndarray, shape (N, 2), float32
        Of the features, in pixels of the small picture.
    codes : ndarray, shape (N, 32), uint8
        Their ORB descriptors.
    layout : ndarray, shape (192,), float32
        Mean colours of 8 x 8 fields: the glance.
    """

    places: npt.NDArray[np.float32]
    codes: npt.NDArray[np.uint8]
    layout: npt.NDArray[np.float32]

    @classmethod
    def of(cls, picture: Encoded) -> Features:
        """Find the features of a picture (uint8 RGB)."""
        height, width = picture.shape[:2]
        shrink = min(1.0, LONG_SIDE / max(height, width))
        size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        with one_thread():
            small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
            found, codes = cv2.ORB.create(FEATURES).detectAndCompute(grey, None)
            layout = cv2.resize(small, _GRID, interpolation=cv2.INTER_AREA)
        places = np.array([point.pt for point in found], np.float32).reshape(-1, 2)
        kept = np.zeros((0, 32), np.uint8) if codes is None else codes.astype(np.uint8)
        return cls(places, kept, layout.astype(np.float32).ravel())

    def save(self, path: Path) -> None:
        """Write them as an ``.npz``."""
        buffer = BytesIO()
        np.savez(buffer, places=self.places, codes=self.codes, layout=self.layout)
        write_atomic(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> Features | None:
        """Read what `save` wrote; None where there is nothing of the kind."""
        try:
            with np.load(path, allow_pickle=False) as kept:
                features = cls(kept["places"], kept["codes"], kept["layout"])
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return None
        count = len(features.places)
        shapes = features.places.shape, features.codes.shape, features.layout.shape
        fits = shapes == ((count, 2), (count, 32), (3 * _GRID[0] * _GRID[1],))
        types = [each.dtype.name for each in (features.places, features.codes, features.layout)]
        return features if fits and types == ["float32", "uint8", "float32"] else None


def common_features(one: Features, other: Features) -> int:
    """How many features one homography carries from a picture to another; 0 unless enough do.

    Returns
    -------
    int
        At least `INLIERS`, or 0. It has to hold both ways, so the order of the two is no matter;
        the smaller number counts.
    """
    there = _carried(one, other)
    return min(there, _carried(other, one)) if there else 0


def _carried(one: Features, other: Features) -> int:
    if min(len(one.codes), len(other.codes)) < INLIERS:
        return 0
    pairs = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(one.codes, other.codes, k=2)
    matches = [best for best, second in pairs if best.distance < RATIO * second.distance]
    if len(matches) < INLIERS:
        return 0
    here = one.places[[match.queryIdx for match in matches]]
    there = other.places[[match.trainIdx for match in matches]]
    cv2.setRNGSeed(0)
    _, carried = cv2.findHomography(here, there, cv2.RANSAC, _RANSAC_PX)
    inliers = 0 if carried is None else int(np.count_nonzero(carried))
    return inliers if inliers >= max(INLIERS, INLIER_SHARE * len(matches)) else 0


def find_alike(
    features: Mapping[str, Features], apart: Mapping[str, str], fresh: Set[str]
) -> Iterator[tuple[str, str, int]]:
    """Pairs of scenes that show the same place.

    Parameters
    ----------
    features : mapping
        Scene id to its features.
    apart : mapping
        Scene id to its group; scenes of one group are not compared.
    fresh : set of str
        Scenes that no earlier build compared; a pair has at least one of them.

    Yields
    ------
    tuple
        Two scene ids in order, and the number of their common features.
    """
    with one_thread():
        for one, other in _likely_pairs(features):
            if apart[one] == apart[other] or not {one, other} & fresh:
                continue
            count = common_features(features[one], features[other])
            if count:
                yield one, other, count


def _likely_pairs(features: Mapping[str, Features]) -> Iterator[tuple[str, str]]:
    names = sorted(features)
    if len(names) <= COMPARE_ALL:
        yield from combinations(names, 2)
        return
    layouts = np.stack([features[name].layout for name in names])
    pairs = {
        (min(here, there), max(here, there))
        for here in range(len(names))
        for there in _nearest_layouts(layouts, here)
    }
    yield from ((names[here], names[there]) for here, there in sorted(pairs))


def _nearest_layouts(layouts: npt.NDArray[np.float32], here: int) -> Sequence[Any]:
    distances = np.square(layouts - layouts[here]).sum(axis=1)
    distances[here] = np.inf
    return np.argsort(distances, kind="stable")[:NEAREST].tolist()
