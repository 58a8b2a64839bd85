"""How good a network is in training: PSNR and SSIM of crops that it never learns from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor, nn

from dmef_bench.metrics import psnr, ssim
from dmef_bench.training.patches import Batch
from dmef_bench.training.trainee import Trainee


@dataclass(frozen=True)
class Validation:
    """Means over the crops.

    Parameters
    ----------
    psnr_db : float
        ``psnr/rgb8``; of radiance, after the mu-law. Infinite only where every crop is.
    ssim : float
        ``ssim/wang04-rgb-valid``, likewise.
    crops : int
        How many.
    """

    psnr_db: float
    ssim: float
    crops: int

    def to_record(self) -> dict[str, float]:
        """For a record; four decimals."""
        return {
            "psnr_db": round(self.psnr_db, 4), "ssim": round(self.ssim, 4), "crops": self.crops,
        }  # fmt: skip


def validate(
    trainee: Trainee, network: nn.Module, batches: Sequence[Batch], device: torch.device | str
) -> Validation | None:
    """Score the network as it stands; None where nothing is held out.

    Parameters
    ----------
    trainee : Trainee
        Prepares what the network eats, and shows what it gives.
    network : Module
        In its precision: what the training loop calls. Left in training mode.
    batches : sequence of Batch
        The crops; every process scores all of them.
    device : torch.device
        Where.
    """
    if not batches:
        return None
    scores = []
    network.eval()
    with torch.inference_mode():
        for batch in batches:
            fused: Tensor = network(*trainee.inputs(batch))
            pairs = zip(
                trainee.pictures(fused),
                trainee.pictures(trainee.target(batch, device)),
                strict=True,
            )
            scores += [
                (psnr(given, wanted), ssim(given, wanted, threads=1)) for given, wanted in pairs
            ]
    network.train()
    finite = [decibels for decibels, _ in scores if math.isfinite(decibels)]
    return Validation(
        psnr_db=fmean(finite) if finite else math.inf,
        ssim=fmean(similarity for _, similarity in scores),
        crops=len(scores),
    )
