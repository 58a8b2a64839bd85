"""The gate: a small network that mixes, pixel by pixel, what could stand in lost pixels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.fill_evidence import CANDIDATES, COUNTED, EVIDENCE, FARTHEST, REACHED

FEATURES = 2 * (CANDIDATES - 1) + 7 + 6
HIDDEN = 32

_STEEP = 20.0
"""Brings differences of pictures, mostly below 0.1, to the size of the other features."""
_BOUND = 5.0
"""Largest feature: nothing that training never saw drives the gate far."""


class FillGate(nn.Module):
    """Weights of the candidates of each lost value, softmax of a perceptron of three layers.

    What comes out lies between the smallest and the largest candidate, so a gate can choose badly
    and not invent. The three channels of all pixels pass through it one by one: it knows nothing of
    colours but what the evidence says, nor of places. Untrained, it takes three quarters of
    response-fill and equal parts of the others.
    """

    def __init__(self) -> None:
        super().__init__()
        last = nn.Linear(HIDDEN, CANDIDATES)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        last.bias.data[0] = 3.0
        self.layers = nn.Sequential(
            nn.Linear(FEATURES, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), last
        )

    def forward(self, red: Tensor, green: Tensor, blue: Tensor) -> Tensor:
        """Mix.

        Parameters
        ----------
        red, green, blue : Tensor, shape (N, PICTURES, H, W)
            These channels of the pictures of `fill_evidence`, in [0, 1].

        Returns
        -------
        Tensor, shape (N, 3, H, W)
            The first candidate, but for lost values.

        Notes
        -----
        Lost values alone pass through the layers: what is counted, with everything lost, is the
        most that it can cost.
        """
        planes = torch.stack([red, green, blue], 2)
        pictures, facts = planes.split([CANDIDATES, EVIDENCE], 1)
        lost = facts[:, 0] > 0
        item, channel, row, column = lost.nonzero(as_tuple=True)
        given = pictures[item, :, channel, row, column]
        own = facts[item, : EVIDENCE - 2, channel, row, column]
        common = facts[item, EVIDENCE - 2 :, :, row, column].flatten(1)
        beside = lost.sum(1)[item, row, column].to(given.dtype)
        fused = pictures[:, 0].clone()
        fused[item, channel, row, column] = self.mixed(given, own, common, beside)
        return fused

    def mixed(self, given: Tensor, own: Tensor, common: Tensor, beside: Tensor) -> Tensor:
        """Mix the candidates of lost values, (values,), all else as in `_features`."""
        chances = self.layers(_features(given, own, common, beside))
        # On rows of seven, torch's softmax takes six times as long as on columns.
        weights = chances.T.contiguous().softmax(0).T
        return (weights * given).sum(1)


def _features(given: Tensor, own: Tensor, common: Tensor, beside: Tensor) -> Tensor:
    """What the gate sees of each lost value, (values, FEATURES), about -1 to 1 each.

    Parameters
    ----------
    given : Tensor, shape (values, CANDIDATES)
        The candidates.
    own : Tensor, shape (values, 5)
        Distance, spread, count, residual and reach.
    common : Tensor, shape (values, 6)
        Disagreements.
    beside : Tensor, shape (values,)
        How many channels of the pixel were lost.
    """
    distance, spread, count, residual, reach = own.unbind(1)
    steps = (given[:, 1:] - given[:, :1]) * _STEEP
    single = [
        distance * (FARTHEST / 20),
        spread * _STEEP,
        count * (COUNTED / 4),
        residual * _STEEP,
        reach * REACHED,
        beside - 2,
        given[:, 0] * 4 - 3,
    ]
    # Disagreement is told apart from the least of it, half a code, to plain contradiction.
    doubts = torch.log(common + 0.003) + 4
    features = torch.cat([steps, steps.abs(), torch.stack(single, 1), doubts], 1)
    return features.clamp(-_BOUND, _BOUND)
