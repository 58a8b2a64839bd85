"""Losses, taken where people look: on display-encoded pictures, or after the mu-law."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

MU = 5000.0

_GOOD_ENOUGH = 1e-5
"""Squared error, 50 dB, from which a picture no longer matters to the loss ``"psnr"``."""


def mu_law(radiance: Tensor) -> Tensor:
    """T(h) = ln(1 + mu h) / ln(1 + mu), mu = 5000, of radiance from 0 up; 0 below.

    Kalantari and Ramamoorthi, "Deep High Dynamic Range Imaging of Dynamic Scenes", 2017, Eq. 5.
    """
    return torch.log1p(MU * radiance.clamp(min=0)) / math.log1p(MU)


def visible(pictures: Tensor, *, linear: bool) -> Tensor:
    """Pictures as people would look at them, in float32: radiance after the mu-law."""
    return mu_law(pictures.float()) if linear else pictures.float()


def distance(fused: Tensor, target: Tensor, loss: str, *, linear: bool) -> Tensor:
    """The loss that a `Recipe` names.

    Parameters
    ----------
    fused, target : Tensor, shape (N, 3, H, W)
        What the network gave and what it should have given; any type, compared in float32.
    loss : {"l1", "mse", "psnr"}
        The mean over all elements of the absolute or of the squared difference; or over pictures of
        10 lg(MSE + 1e-5), so that each counts alike however much of it is wrong, but for those that
        are better than 50 dB.
    linear : bool
        Whether they are radiance; then both pass the mu-law first.
    """
    fused, target = (visible(pictures, linear=linear) for pictures in (fused, target))
    if loss == "psnr":
        errors = (fused - target).square().mean(dim=(1, 2, 3))
        return 10 * torch.log10(errors + _GOOD_ENOUGH).mean()
    measure = functional.l1_loss if loss == "l1" else functional.mse_loss
    return measure(fused, target)
