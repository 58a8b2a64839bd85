"""How far a run has come, and when it ends."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Literal

from dmef_bench.errors import UsageError

End = Literal["recipe", "max-steps", "max-minutes", "interrupt"]
"""Why a run ended: its recipe was done, its budget spent, or somebody stopped it."""


@dataclass(frozen=True)
class Budget:
    """When a training ends before its recipe does.

    Parameters
    ----------
    max_steps : int, optional
        Steps in all, those before a pause included.
    max_minutes : float, optional
        Minutes of training in all, likewise.
    """

    max_steps: int | None = None
    max_minutes: float | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and value <= 0:
                raise UsageError(f"{name} is {value}; give more than 0, or leave it out.")


@dataclass
class Course:
    """How far a run has come.

    Parameters
    ----------
    step : int
        Steps done.
    seconds : float
        Of training, pauses left out.
    best_db : float
        Highest validation PSNR so far, whose weights are ``best.safetensors``.
    best_step : int
        When that was.
    """

    step: int = 0
    seconds: float = 0.0
    best_db: float = -math.inf
    best_step: int = 0
