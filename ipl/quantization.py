"""Eight-bit storage of tensors, with an error of half a step at most."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dmef_bench.errors import UsageError

LEVELS = 255
"""Largest code, q_max; the smallest, q_min, is 0."""

GATE_RANGE = (0.0, 1.0)
"""Of the attention weights of one dimension: s = 1/255, zero point 0."""

GATE_SUM_RANGE = (0.0, 3.0)
"""Of their sum over C, W and H: s = 1/85, zero point 0."""


@dataclass(frozen=True, eq=False)
class Quantized:
    """A tensor in 256 levels: what it stood for is ``scale * (codes - zero_point)``.

    Parameters
    ----------
    q : Tensor, uint8
        Codes, in the shape of the tensor.
    scale : Tensor, float32
        Step s, above 0; one number, or one for each unit in a shape that broadcasts.
    zero_point : Tensor, int32
        Code of 0, in 0..255, shaped like the scale.
    """

    q: Tensor
    scale: Tensor
    zero_point: Tensor

    @property
    def nbytes(self) -> int:
        """Bytes of codes, scales and zero points."""
        return self.q.nbytes + self.scale.nbytes + self.zero_point.nbytes

    def to(self, device: torch.device) -> Quantized:
        """The same on a device."""
        return Quantized(*(part.to(device) for part in (self.q, self.scale, self.zero_point)))

    def __getitem__(self, window: tuple[slice, ...]) -> Quantized:
        """Part of the tensor, a slice for each of the first axes, with the scales of its units."""
        if not self.scale.ndim:
            return Quantized(self.q[window], self.scale, self.zero_point)
        # Axes that a unit extends over have one scale for all places.
        sizes = self.scale.shape[: len(window)]
        own = tuple(
            part if size > 1 else slice(None) for part, size in zip(window, sizes, strict=True)
        )
        return Quantized(self.q[window], self.scale[own], self.zero_point[own])


def quantize(
    t: Tensor,
    lo: float | None = None,
    hi: float | None = None,
    dims: Sequence[int] | None = None,
) -> Quantized:
    """Round a tensor to 256 equal steps, one of which is exactly 0.

    With lo and hi widened to hold 0, ``s = (hi - lo) / 255`` (Eq. 5),
    ``zp = clamp(round(-lo / s), 0, 255)`` (Eq. 6) and ``q = clamp(round(t / s) + zp, 0, 255)``
    (Eq. 7, corrected); ``round`` goes to even.

    Parameters
    ----------
    t : Tensor
        Any shape and floating type; finite and not empty.
    lo, hi : float, optional
        A range known beforehand, such as `GATE_RANGE`; values beyond it go to its ends. Otherwise
        the smallest and the largest value.
    dims : sequence of int, optional
        Axes that a unit extends over. Each place along the others is a unit with a scale of its
        own. By default the whole tensor is one unit, as in the paper.

    Returns
    -------
    Quantized
        Within the range, `dequantize` errs by s/2 at most (1e-4 of that more in float32), and it
        keeps 0 exactly.

    Raises
    ------
    UsageError
        NaN, infinity, no elements, or a range upside down.

    Notes
    -----
    Eq. 7 is printed as ``round(t / (s + zp))``, which Eq. 8 does not invert and which maps most
    tensors to one level. A range without 0 would clamp Eq. 6 and err by as much as its distance
    from 0, hence the widening.

    Examples
    --------
    >>> quantize(torch.tensor([-1.0, 0.0, 1.55])).q.tolist()
    [0, 100, 255]

    References
    ----------
    Eqs. 5-7 of Chen et al., arXiv:2412.11685.
    """
    values = t.float()
    lowest, highest = _span(values, dims)
    _check_range(lo, hi)
    lowest = (lowest if lo is None else torch.full_like(lowest, lo)).clamp(max=0)
    highest = (highest if hi is None else torch.full_like(highest, hi)).clamp(min=0)
    scale = highest / LEVELS - lowest / LEVELS
    # Where all is 0, any step will do; below the smallest normal number float32 cannot hold one.
    scale = torch.where(scale < torch.finfo(torch.float32).tiny, 1.0, scale)
    zero_point = (-lowest / scale).round_().clamp_(0, LEVELS)
    q = (values / scale).round_().add_(zero_point).clamp_(0, LEVELS)
    return Quantized(q.to(torch.uint8), scale, zero_point.to(torch.int32))


def dequantize(quantized: Quantized, dtype: torch.dtype = torch.float32) -> Tensor:
    """Values that codes stand for: ``s (q - zp)`` (Eq. 8).

    Parameters
    ----------
    quantized : Quantized
        What `quantize` returned.
    dtype : torch.dtype
        Of the result; the arithmetic is float32.

    Returns
    -------
    Tensor
        In the shape of the codes.
    """
    steps = quantized.q.float().sub_(quantized.zero_point)
    return steps.mul_(quantized.scale).to(dtype)


def _span(values: Tensor, dims: Sequence[int] | None) -> tuple[Tensor, Tensor]:
    """Smallest and largest value of each unit."""
    if values.numel() == 0:
        raise UsageError(f"A tensor of shape {tuple(values.shape)} has nothing to quantise.")
    if dims is None:
        lowest, highest = torch.aminmax(values)
    else:
        lowest, highest = values.amin(tuple(dims), True), values.amax(tuple(dims), True)
    if not (lowest.isfinite().all() and highest.isfinite().all()):
        raise UsageError("NaN and infinity cannot be quantised; find out where they come from.")
    return lowest, highest


def _check_range(lo: float | None, hi: float | None) -> None:
    ends = [end for end in (lo, hi) if end is not None]
    if not all(map(math.isfinite, ends)) or ends != sorted(ends):
        raise UsageError(f"({lo}, {hi}) is no range; give two finite numbers, the lower one first.")
