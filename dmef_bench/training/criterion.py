"""What a recipe asks a network to make small: a distance, and a perceptual loss beside it."""

from __future__ import annotations

import torch
from torch import Tensor

from dmef_bench.training.losses import distance, visible
from dmef_bench.training.perceptual import Perceptual, load_perceptual
from dmef_bench.training.recipe import Recipe


class Criterion:
    """The loss of a recipe.

    Parameters
    ----------
    recipe : Recipe
        Names the distance and the weight of the perceptual loss.
    perceptual : Perceptual, optional
        On the device that trains; needed where that weight is not 0.
    """

    def __init__(self, recipe: Recipe, perceptual: Perceptual | None = None) -> None:
        self.loss, self.weight, self.perceptual = recipe.loss, recipe.perceptual, perceptual

    def __call__(self, fused: Tensor, target: Tensor, *, linear: bool) -> Tensor:
        """The loss of a batch, as `dmef_bench.training.losses.distance` takes it."""
        loss = distance(fused, target, self.loss, linear=linear)
        if self.perceptual is None:
            return loss
        seen = (visible(picture, linear=linear) for picture in (fused, target))
        return loss + self.weight * self.perceptual(*seen)


def load_criterion(recipe: Recipe, device: torch.device | str) -> Criterion:
    """The loss of a recipe, ready on a device.

    Raises
    ------
    UnavailableError
        The recipe has a perceptual loss, and there are no verified weights of VGG16.
    """
    perceptual = load_perceptual().to(device) if recipe.perceptual else None
    return Criterion(recipe, perceptual)
