"""What a network costs before anything is timed: parameters, and multiply-accumulates."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dmef_bench.method import Method, traits

if TYPE_CHECKING:
    from torch import nn

    from dmef_bench.harness.dry_run import Products

logger = logging.getLogger(__name__)

UHD = (2160, 3840)
"""(height, width) of 4K."""

_SMALL = ((64, 64), (128, 128))
"""Sizes that a processor counts on, where a network does not run without values."""

_FAILURES = (RuntimeError, TypeError, ValueError)
"""What a network raises that needs values where there are only shapes."""


@dataclass(frozen=True)
class Cost:
    """What one forward pass of a network costs.

    Parameters
    ----------
    macs : int or None
        Multiply-accumulates of convolutions and matrix products, attention's included; biases,
        activations, norms, softmax and interpolation are not counted. Twice as many FLOPs. None
        where they cannot be counted.
    parameters, trainable : int
        Every parameter once, bare ones and those never used included; those that are learnt.
    macs_per_pixel : float or None
        At the size asked for; networks with a global part have another at every size.
    counted_by : str
        How ``macs`` came about; empty where it is None.
    uncounted : tuple of str
        Operators that may multiply and that nobody has a formula for: ``macs`` is then too small.
    convolution_macs : int or None
        Those of ``macs`` that multiply by weights: convolutions and linear layers.
    reason : str
        Why ``macs`` is None.
    """

    macs: int | None
    parameters: int
    trainable: int
    macs_per_pixel: float | None
    counted_by: str
    uncounted: tuple[str, ...] = ()
    convolution_macs: int | None = None
    reason: str = ""


def count_macs(
    network: nn.Module, size: tuple[int, int], *, inputs: int = 3, channels: int = 3
) -> Cost:
    """Count parameters and multiply-accumulates of a network, at any size.

    Counted operator by operator by `torch.utils.flop_counter` on the meta device, where nothing
    is computed. A network that asks for values there is counted on the CPU at two small sizes,
    and extrapolated if both cost the same per pixel; otherwise ``macs`` is None.

    Parameters
    ----------
    network : torch.nn.Module
        Takes ``inputs`` tensors of shape (1, channels, H, W); it is not changed.
    size : (height, width)
        Of the pictures.
    inputs, channels : int
        How many pictures, and channels of each.

    Returns
    -------
    Cost
        In evaluation mode.

    Examples
    --------
    >>> from torch import nn
    >>> cost = count_macs(nn.Conv2d(3, 8, 3), (2160, 3840), inputs=1)
    >>> cost.macs == 2158 * 3838 * 3 * 3 * 3 * 8, cost.parameters
    (True, 224)
    """
    learnt = [parameter.requires_grad for parameter in network.parameters()]
    numels = [parameter.numel() for parameter in network.parameters()]
    parameters, trainable = sum(numels), sum(itertools.compress(numels, learnt))
    products, how = _products(network, size, inputs, channels)
    if products is None:
        return Cost(None, parameters, trainable, None, counted_by="", reason=how)
    return Cost(
        macs=products.macs,
        parameters=parameters,
        trainable=trainable,
        macs_per_pixel=products.macs / math.prod(size),
        counted_by=f"flop_counter, {how}",
        uncounted=products.uncounted,
        convolution_macs=products.convolution_macs,
    )


def cost_of(method: Method, fused_size: tuple[int, int]) -> Mapping[str, Any]:
    """The ``cost`` block of ``run.json``.

    Parameters
    ----------
    method : Method
        With a ``network`` among its traits, or without.
    fused_size : (height, width)
        Where the method computes.

    Returns
    -------
    mapping
        ``parameters``, ``trainable``, ``macs_at_fused_size``, ``macs_at_4k``, ``macs_per_pixel``
        (at the fused size), ``paper_convention_g``, ``counted_by``, ``uncounted``, ``reason``. A
        method without a network has None everywhere, and the reason.

    Notes
    -----
    ``paper_convention_g`` is twice the MACs of convolutions and linear layers at the fused size,
    in G: what Table 1 of the 4K-DMEF paper calls "MACs (M)". The table's counter also adds norms
    and softmax, but no products of attention: its HDR-Transformer is 2.6 %, its SCTNet 4.2 % above.
    """
    stated = traits(method)
    if stated.network is None:
        reason = f"{method.name} has no network; its arithmetic is not counted."
        return _block(Cost(None, 0, 0, None, "", reason=reason)) | {
            "parameters": None,
            "trainable": None,
        }
    import torch

    # A fresh network draws its weights; nobody else's draws may depend on that.
    with torch.random.fork_rng(devices=[]):
        network = stated.network()
    at_4k = count_macs(network, UHD, channels=stated.in_channels)
    return _block(count_macs(network, fused_size, channels=stated.in_channels), at_4k.macs)


def _block(cost: Cost, macs_at_4k: int | None = None) -> dict[str, Any]:
    convolved = cost.convolution_macs
    return {
        "parameters": cost.parameters,
        "trainable": cost.trainable,
        "macs_at_fused_size": cost.macs,
        "macs_at_4k": macs_at_4k,
        "macs_per_pixel": cost.macs_per_pixel,
        "paper_convention_g": None if convolved is None else 2 * convolved / 1e9,
        "counted_by": cost.counted_by,
        "uncounted": list(cost.uncounted),
        "reason": cost.reason,
    }


def _products(
    network: nn.Module, size: tuple[int, int], inputs: int, channels: int
) -> tuple[Products | None, str]:
    """The products and how they were counted, or None and why not."""
    from dmef_bench.harness.dry_run import count_products

    def count(where: tuple[int, int], device: str) -> Products:
        return count_products(network, where, inputs=inputs, channels=channels, device=device)

    try:
        return count(size, "meta"), "meta"
    except _FAILURES as error:
        needs_values = _first_line(error)
    logger.info("%s needs values to be counted: %s", type(network).__name__, needs_values)
    try:
        if math.prod(size) <= math.prod(_SMALL[-1]):
            return count(size, "cpu"), "cpu"
        small, large = (count(where, "cpu") for where in _SMALL)
    except _FAILURES as error:
        return None, f"The network does not run on pictures alone ({_first_line(error)})."
    return _extrapolated(small, large, size, needs_values)


def _extrapolated(
    small: Products, large: Products, size: tuple[int, int], needs_values: str
) -> tuple[Products | None, str]:
    """By area, where two sizes show that nothing else counts; a global part would show."""
    growth = math.prod(_SMALL[1]) // math.prod(_SMALL[0])
    grown = (small.macs * growth, small.convolution_macs * growth)
    if (large.macs, large.convolution_macs) != grown:
        return None, (
            f"The network needs values to be counted ({needs_values}), and its cost does not grow "
            "with the area alone, so none is extrapolated from small pictures."
        )
    from dmef_bench.harness.dry_run import Products

    times = math.prod(size) / math.prod(_SMALL[1])
    return Products(
        macs=round(large.macs * times),
        convolution_macs=round(large.convolution_macs * times),
        uncounted=large.uncounted,
    ), "cpu, extrapolated"


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
