"""MEF-SSIM where things move, still and moving regions apart: ``mef-ssimd/after-fang20``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from dmef_bench.metrics.grey import Grey, grey_codes, render, stack_codes
from dmef_bench.metrics.mef_ssim import similarity
from dmef_bench.metrics.pictures import Codes, as_codes
from dmef_bench.metrics.structural_patches import (
    SCALE_WEIGHTS,
    C,
    Map,
    Patches,
    over_scales,
    patches_by_scale,
)
from dmef_bench.scene import ExposureStack

CONSISTENT = 0.8
"""Patches whose structures correlate at least so well show one and the same thing,"""
BRIGHTNESS_CODES = 0.1 * 255
"""... unless their means differ by more than this, once the exposures are matched."""
SMALLEST_SHARE = 0.001
"""A region of fewer of the patches has no say."""


def mef_ssimd(fused: npt.NDArray[np.generic], stack: ExposureStack) -> float:
    """How much of the exposures' structure a fused picture keeps, and whether it has ghosts.

    After the idea of Fang, Zhu, Ma, Wang et al., "Perceptual evaluation for multi-exposure image
    fusion of dynamic scenes", IEEE TIP 29, 2020: still and moving regions are measured apart, the
    moving ones against one exposure at a time, and the two are then joined. **Not its formula**:
    we know the paper's abstract, and not its equations; its numbers are not to be compared with
    these, whence the convention's name.

    Parameters
    ----------
    fused : ndarray, shape (H, W, 3), float32 in [0, 1] or uint8
        RGB, display-encoded; at least 32 pixels a side.
    stack : ExposureStack
        What it was fused from, of the same size.

    Returns
    -------
    float
        In [0, 1]; higher is better.

    Raises
    ------
    ImageContractError
        A picture that breaks the contract, two sizes, or a side below 32 pixels.

    Notes
    -----
    Exposure r is *rendered* like exposure k by `dmef_bench.metrics.grey.render`.

    A patch moves if for any k the reference rendered like k contradicts exposure k: their
    correlation (σ_xy + C) / (σ_x σ_y + C) is below 0.8, or their means differ by more than a
    tenth of the scale. The two tests are those by which Ma et al., "Robust multi-exposure image
    fusion: a structural patch decomposition approach", IEEE TIP 26(5), 2017, reject ghosts.

    Still patches have the S of `mef_ssim`. A moving patch is held against each r in turn, the
    desired patch being the rendition of r with the greatest contrast, and has the greatest S: it
    may come from any one exposure, and not from two. Scales and their weights are those of
    `mef_ssim`, for either region; the score is the mean of the two regions' measures, or that of
    the only one that has a thousandth of the patches.

    What was left blank, in a moving patch that an exposure shows blank, is not missed.
    """
    codes = as_codes(fused, name="fused", size=stack.size)
    sums, counts = np.zeros((2, 2, len(SCALE_WEIGHTS)))  # of still and of moving patches
    for scale, (y, *renditions) in patches_by_scale(_planes(codes, stack)):
        found, moving = _judged(y, renditions, stack.reference)
        for region, members in enumerate((found[~moving], found[moving])):
            sums[region, scale] += members.sum()
            counts[region, scale] += members.size
    shares = counts[:, 0] / counts[:, 0].sum()
    said = [region for region, share in enumerate(shares) if share >= SMALLEST_SHARE]
    means = sums / np.maximum(counts, 1)
    scores = [over_scales(means[region], counts[region]) for region in said]
    return math.fsum(scores) / len(scores)


def _planes(fused: Codes, stack: ExposureStack) -> Iterator[Grey]:
    """The fused picture, then each exposure rendered like each: a square, they its diagonal."""
    yield grey_codes(fused)
    exposures = stack_codes(stack)
    for source in exposures:
        for target in exposures:
            yield grey_codes(source if source is target else render(source, target))


def _judged(
    fused: Patches, square: Sequence[Patches], reference: int
) -> tuple[Map, npt.NDArray[np.bool_]]:
    """How similar each patch is to what is desired there, and whether it moves."""
    count = math.isqrt(len(square))
    renditions = [square[row : row + count] for row in range(0, count**2, count)]
    exposures = [renditions[k][k] for k in range(count)]
    found = similarity(fused, exposures)
    moving = np.zeros(found.shape, bool)
    for rendered, exposure in zip(renditions[reference], exposures, strict=True):
        if rendered is not exposure:
            moving |= _contradict(rendered, exposure)
    if moving.any():
        one_by_one = [_similarity_to_strongest(fused, row) for row in renditions]
        np.copyto(found, np.maximum.reduce(one_by_one), where=moving)
    return found, moving


def _contradict(rendered: Patches, exposure: Patches) -> npt.NDArray[np.bool_]:
    alike = rendered.covariance(exposure) + C
    unlike = alike < CONSISTENT * (rendered.contrast * exposure.contrast + C)
    return unlike | (np.abs(rendered.mean - exposure.mean) > BRIGHTNESS_CODES)


def _similarity_to_strongest(fused: Patches, renditions: Sequence[Patches]) -> Map:
    """S where the desired patch is the rendition with the greatest contrast."""
    variance = renditions[0].variance
    shared = renditions[0].covariance(fused)
    for rendition in renditions[1:]:
        stronger = rendition.variance > variance
        variance = np.where(stronger, rendition.variance, variance)
        shared = np.where(stronger, rendition.covariance(fused), shared)
    return (2 * shared + C) / (variance + fused.variance + C)
