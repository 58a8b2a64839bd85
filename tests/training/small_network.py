"""A network of a few weights that learns within seconds: one affine map of the medium exposure."""

from __future__ import annotations

import torch
from torch import nn

from dmef_bench.torch_method import TorchMethod


class Affine(nn.Module):
    """Each output channel a weighted sum of the nine channels of three exposures, plus a bias."""

    def __init__(self, width: int = 9) -> None:
        super().__init__()
        self.mix = nn.Conv2d(width, 3, 1)
        # Without it no state of a generator would matter to a resumed run.
        self.drop = nn.Dropout(0.05)

    def forward(self, *exposures: torch.Tensor) -> torch.Tensor:
        return exposures[1] + self.drop(self.mix(torch.cat(exposures, dim=1)))


class Small(TorchMethod):
    """The method around it."""

    name = "small"
    paper = "test"
    stride = 16

    def network(self) -> nn.Module:
        return Affine()

    def header(self) -> dict[str, str]:
        return {"width": "9"}


class Other(Small):
    """Looks the same from outside; its weights have other shapes."""

    name = "small"

    def network(self) -> nn.Module:
        return nn.Sequential(Affine())


class BlueFirst(Small):
    """Gives blue first, as networks that learnt from OpenCV's pictures do."""

    output = "display"

    def target(self, truth, _evs, *, linear):
        assert not linear
        return truth.flip(1)
