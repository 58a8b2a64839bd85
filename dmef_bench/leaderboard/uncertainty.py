"""How far a mean over scenes can be trusted: the paired bootstrap over clips.

Scenes of one clip are alike, and drawn one by one they would pass for more than they are. So whole
clips are drawn, with all their scenes: the cluster bootstrap of Field and Welsh, JRSS B 69, 2007,
strategy 1 of Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8.

Every figure here is remade to the last bit on any machine: draws come from the raw stream of a bit
generator, which NumPy keeps for ever, sums run scene by scene instead of through BLAS, and interval
ends are order statistics, which nothing interpolates.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

LEVEL = 0.95

COVERAGE = {2: 0.50, 3: 0.75, 4: 0.80, 5: 0.83, 6: 0.86, 7: 0.88, 8: 0.89, 9: 0.90}
"""Groups to the share of 95 % intervals that hold the true mean, where groups scatter normally.

Simulated, 16,000 times each; 30 groups give 0.94. Percentiles know nothing of Student's t, and so
few groups vary less among themselves than around the mean of all there are.
"""


@dataclass(frozen=True)
class Bootstrap:
    """Resamples of the scenes of one board; all rows and all metrics are weighed by the same ones.

    Parameters
    ----------
    counts : ndarray, shape (resamples, scenes), int64
        How often each scene was drawn: as often as its group.
    """

    counts: Counts

    @classmethod
    def draw(cls, groups: Sequence[Hashable], *, resamples: int, fingerprint: str) -> Bootstrap:
        """Draw as many groups as there are, with replacement, ``resamples`` times.

        Parameters
        ----------
        groups : sequence
            Of each scene; where all differ, scenes are drawn.
        resamples : int
            How many to draw.
        fingerprint : str
            Hex digits; the seed, so that a board made again is the same board.

        Examples
        --------
        >>> Bootstrap.draw("aab", resamples=3, fingerprint="c0ffee").counts
        array([[0, 0, 2],
               [1, 1, 1],
               [1, 1, 1]])
        """
        places = {group: place for place, group in enumerate(dict.fromkeys(groups))}
        count = len(places)
        raw = np.random.PCG64(int(fingerprint, 16)).random_raw(resamples * count)
        drawn = (raw % np.uint64(max(count, 1))).astype(np.int64).reshape(resamples, count)
        cells = drawn + count * np.arange(resamples)[:, np.newaxis]
        counts = np.bincount(cells.ravel(), minlength=resamples * count)
        of_scene = np.array([places[group] for group in groups], np.intp)
        return cls(counts.reshape(resamples, count)[:, of_scene])

    def means(self, scores: Floats) -> Floats:
        """The mean of each row in each resample, by the rule of the board's means.

        Parameters
        ----------
        scores : ndarray, shape (rows, scenes), float64
            One row a method; NaN where there is no score.

        Returns
        -------
        ndarray, shape (rows, resamples), float64
            Over all scenes drawn, so that a clip weighs as much as it has scenes. Infinite scores
            are left out; infinity where a resample holds no others, NaN where it holds no score.
        """
        finite = np.isfinite(scores)
        infinite = np.isinf(scores)
        plain = np.where(finite, scores, 0.0)
        shape = len(scores), len(self.counts)
        total, weight, endless = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        for scene, count in enumerate(self.counts.T.astype(np.float64)):
            total += np.multiply.outer(plain[:, scene], count)
            weight += np.multiply.outer(finite[:, scene], count)
            endless += np.multiply.outer(infinite[:, scene], count)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = total / weight
        return np.where(weight > 0, mean, np.where(endless > 0, math.inf, math.nan))


def interval(samples: Floats, level: float = LEVEL) -> tuple[float, float]:
    """The percentile interval of one figure: the samples with ``(1 - level) / 2`` beyond each end.

    Parameters
    ----------
    samples : ndarray, shape (resamples,)
        NaN is left out.
    level : float
        Share of the samples between the ends, in (0, 1).

    Returns
    -------
    low, high : float
        Two of the samples; NaN without any.

    Examples
    --------
    >>> interval(np.arange(1.0, 10_001))
    (250.0, 9751.0)
    """
    ordered = np.sort(samples[~np.isnan(samples)])
    if not len(ordered):
        return math.nan, math.nan
    # Rounded first: 10,000 times 0.025 is a little more than 250 in binary.
    beyond = math.ceil(round(len(ordered) * (1 - level) / 2, 6))
    return float(ordered[max(beyond, 1) - 1]), float(ordered[min(-beyond, -1)])


def ranks(means: Floats, *, higher_is_better: bool) -> Counts:
    """Rank of each row in each resample, 1 the best; equals share the better rank.

    Parameters
    ----------
    means : ndarray, shape (rows, resamples)
        As `Bootstrap.means` gives them.
    higher_is_better : bool
        Which way is up.

    Returns
    -------
    ndarray, shape (rows, resamples), int64
    """
    height = means if higher_is_better else -means
    above = [(height > row).sum(axis=0) for row in height]
    return 1 + np.array(above, dtype=np.int64).reshape(means.shape)
