"""Where a run computes, alone or with others, and with which optimiser."""

from __future__ import annotations

import os

import torch
from lightning_fabric import Fabric
from torch import nn

from dmef_bench.errors import UnavailableError, UsageError
from dmef_bench.training.recipe import Recipe

PRECISIONS = {"float32": "32-true", "bf16-mixed": "bf16-mixed"}


def launch(device: str | None, dtype: str) -> Fabric:
    """Fabric on one device, or on those that torchrun dealt out."""
    if dtype not in PRECISIONS:
        raise UsageError(f"dtype is {dtype!r}; choose from {', '.join(PRECISIONS)}.")
    kind, _, number = (device or ("cuda" if torch.cuda.is_available() else "cpu")).partition(":")
    if kind not in ("cpu", "cuda") or not (number.isdecimal() or not number):
        raise UsageError(f"{device!r} is no device; write cpu, cuda or cuda:N.")
    if kind == "cuda" and not torch.cuda.is_available():
        raise UnavailableError(f"Device {device} was asked for, and this machine has no CUDA.")
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    everywhere = int(os.environ.get("WORLD_SIZE", "1"))
    fabric = Fabric(
        accelerator=kind,
        devices=[int(number)] if number and everywhere == 1 else here,
        num_nodes=everywhere // here,
        strategy="ddp" if everywhere > 1 else "auto",
        precision=PRECISIONS[dtype],  # type: ignore[arg-type]
    )
    fabric.launch()
    return fabric


def make_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimiser that a recipe names, for all weights of a network."""
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return kind(
        network.parameters(),
        lr=recipe.learning_rate,
        betas=recipe.betas,
        weight_decay=recipe.weight_decay,
    )
