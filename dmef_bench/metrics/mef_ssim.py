"""How much of its exposures' structure a fused picture keeps: ``mef-ssim/ma15``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dmef_bench.metrics.grey import grey_codes, stack_codes
from dmef_bench.metrics.pictures import as_codes
from dmef_bench.metrics.structural_patches import (
    SCALE_WEIGHTS,
    C,
    Map,
    Patches,
    over_scales,
    patches_by_scale,
)
from dmef_bench.scene import ExposureStack


def mef_ssim(fused: npt.NDArray[np.generic], stack: ExposureStack) -> float:
    """Structural similarity of a fused picture with its exposures, where nothing moves.

    The multi-scale version of Ma, Zeng, Wang, "Perceptual quality assessment for multi-exposure
    image fusion", IEEE TIP 24(11), 2015, on grey 8-bit codes.

    Parameters
    ----------
    fused : ndarray, shape (H, W, 3), float32 in [0, 1] or uint8
        RGB, display-encoded; at least 32 pixels a side.
    stack : ExposureStack
        What it was fused from, of the same size, in any order.

    Returns
    -------
    float
        In [0, 1]; 1 where every patch is the desired one, but for its brightness.

    Raises
    ------
    ImageContractError
        A picture that breaks the contract, two sizes, or a side below 32 pixels.

    Notes
    -----
    Of co-located patches, 8 x 8 at every pixel, let x̃ₖ be exposure k without its mean, and y the
    fused picture. The desired patch x̂ has the greatest contrast, and of the exposures' structures
    a mean, weighted by a power of their contrasts that rises with their agreement R::

        x̂ = max ‖x̃ₖ‖ · s̄ / ‖s̄‖,   s̄ = Σ ‖x̃ₖ‖ᵖ x̃ₖ / ‖x̃ₖ‖
        p = tan(π R / 2),          R = ‖Σ x̃ₖ‖ / Σ ‖x̃ₖ‖
        S = (2 σ_x̂y + C) / (σ²_x̂ + σ²_y + C),   C = (0.03 · 255)²

    The means of S at three scales, each half as large as the one before, are raised to 0.0448,
    0.2856 and 0.3001 over their sum and multiplied. All this follows from covariances of pairs of
    pictures; no patch is ever formed.

    Grey is the 8-bit luma of `dmef_bench.metrics.grey`, halving is the mean of 2 x 2 pixels, and a
    negative mean counts as zero: choices of ours, where the paper's are not known to us. Scores
    printed in the paper have not been reproduced, for want of its pictures.
    """
    codes = as_codes(fused, name="fused", size=stack.size)
    sums, counts = np.zeros((2, len(SCALE_WEIGHTS)))
    planes = (grey_codes(picture) for picture in (codes, *stack_codes(stack)))
    for scale, (y, *exposures) in patches_by_scale(planes):
        found = similarity(y, exposures)
        sums[scale] += found.sum()
        counts[scale] += found.size
    return over_scales(sums / counts, counts)


def similarity(fused: Patches, exposures: Sequence[Patches]) -> Map:
    """S of every patch, in [-1, 1]: how alike the fused patch and the desired one are."""
    greatest = np.maximum.reduce([x.contrast for x in exposures])
    gram = _gram(exposures)
    factors = _structure_factors(exposures, greatest, _power(exposures, gram))
    # ‖s̄‖ and <s̄, ỹ> over 8 and 64, so that their ratio times the greatest σ is σ_x̂y.
    length = _length(factors, gram)
    shared = np.zeros_like(length)
    for factor, exposure in zip(factors, exposures, strict=True):
        shared += factor * exposure.covariance(fused)
    # Structures that cancel each other out leave none to be desired.
    some = length > 1e-6 * greatest
    projection = np.divide(shared, length, out=np.zeros_like(length), where=some)
    desired_variance = np.where(some, greatest, 0) ** 2
    return (2 * greatest * projection + C) / (desired_variance + fused.variance + C)


def _gram(exposures: Sequence[Patches]) -> dict[tuple[int, int], Map]:
    """<x̃ⱼ, x̃ₖ> / 64 for all j <= k."""
    return {
        (j, k): x.variance if j == k else x.covariance(exposures[k])
        for j, x in enumerate(exposures)
        for k in range(j, len(exposures))
    }


def _length(factors: Sequence[Map | float], gram: dict[tuple[int, int], Map]) -> Map:
    """‖Σ fₖ x̃ₖ‖ / 8."""
    square = np.zeros_like(gram[0, 0])
    for (j, k), product in gram.items():
        square += (1 if j == k else 2) * factors[j] * factors[k] * product
    return np.sqrt(np.maximum(square, 0))


def _power(exposures: Sequence[Patches], gram: dict[tuple[int, int], Map]) -> Map:
    """The p of every patch: 0 where structures cancel out, without bound where they agree."""
    total = np.add.reduce([x.contrast for x in exposures])
    joint = _length([1.0] * len(exposures), gram)
    agreement = np.divide(joint, total, out=np.ones_like(total), where=total > 0)
    return np.tan(np.pi / 2 * np.minimum(agreement, 1))


def _structure_factors(exposures: Sequence[Patches], greatest: Map, power: Map) -> list[Map]:
    """‖x̃ₖ‖ᵖ / ‖x̃ₖ‖ up to one factor for all; 0 for flat patches, which have no structure."""
    factors = []
    for exposure in exposures:
        some = exposure.contrast > 0
        relative = np.divide(exposure.contrast, greatest, out=np.zeros_like(greatest), where=some)
        weight = relative**power
        factors.append(np.divide(weight, relative, out=np.zeros_like(weight), where=some))
    return factors
