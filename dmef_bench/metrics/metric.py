"""What a measure is: its convention, what it is held against, and the one way to call it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dmef_bench.errors import ImageContractError
from dmef_bench.metrics.tonemap import to_display, to_radiance
from dmef_bench.scene import Encoded, Image, Scene, check_image, check_layout, to_float, to_uint8


@dataclass(frozen=True)
class Measurement:
    """What a measure says of one picture.

    Parameters
    ----------
    value : float or None
        The score; None where ``reason`` says why there is none.
    reason : str
        Empty where there is a value.
    sse, samples : int or None
        Of a measure over part of the picture: its sum of squared 8-bit differences and how many
        samples that runs over, so that many scenes can be pooled. None for all others.
    """

    value: float | None
    reason: str = ""
    sse: int | None = None
    samples: int | None = None


@dataclass(frozen=True)
class Metric:
    """A measure, and the convention that fixes what its numbers mean.

    Parameters
    ----------
    name : str
        What people type and read.
    convention : str
        What a score is stored under. A changed definition is a new convention, never the old one
        with new numbers.
    score : callable
        The function behind it, ``score(fused, ...)`` with what the measure ``needs``.
    unit : str
        ``"dB"``, or empty.
    higher_is_better : bool
        Which way is up.
    needs : "ground_truth", "stack" or "both"
        What the fused picture is held against: ``score(fused, ground_truth)``,
        ``score(fused, stack)``, ``score(fused, ground_truth, stack)``.
    domain : "display" or "linear"
        What ``score`` compares: pictures, or linear radiance.
    """

    name: str
    convention: str
    score: Callable[..., float | Measurement]
    unit: str = ""
    higher_is_better: bool = True
    needs: Literal["ground_truth", "stack", "both"] = "ground_truth"
    domain: Literal["display", "linear"] = "display"

    def measure(self, fused: Encoded | Image, scene: Scene, **options: Any) -> Measurement:
        """Score a fused picture on its scene: the one call that fits every measure.

        A float32 ground truth is linear radiance h, any other is display-encoded. Pictures are
        compared with h^(1/2.2) of the clipped h, radiance with the fused picture to the power of
        2.2; so a measure of the linear domain wants the picture before it is quantised.

        Parameters
        ----------
        fused : ndarray, shape (H, W, 3), float32 in [0, 1] or uint8
            Display-encoded RGB, as methods return it.
        scene : Scene
            Its stack and its ground truth at their native size.
        **options
            Handed on to ``score``: ``weights`` of LPIPS, ``threads`` of SSIM.

        Returns
        -------
        Measurement
            Without a value where the scene has no ground truth, or too little of what is
            measured.

        Raises
        ------
        ImageContractError
            A picture that breaks the contract, and a linear measure of a display-encoded truth.
        UnavailableError
            Weights out of reach.
        """
        if self.needs == "stack":
            return _as_measurement(self.score(fused, scene.stack, **options))
        if scene.ground_truth is None:
            return Measurement(None, reason=f"{self.name} needs a ground truth; there is none.")
        if self.domain == "linear":
            if scene.ground_truth.dtype != np.float32:
                raise ImageContractError(self.refusal(f"the ground truth of {scene.scene_id}"))
            check_layout(fused, name="fused", dtypes=(np.float32, np.uint8))
            radiance = to_radiance(check_image(to_float(fused), name="fused"))
            return _as_measurement(self.score(radiance, scene.ground_truth, **options))
        truth = _as_seen(scene.ground_truth)
        against = (truth,) if self.needs == "ground_truth" else (truth, scene.stack)
        return _as_measurement(self.score(fused, *against, **options))

    def refusal(self, truth: str) -> str:
        """Say why this measure cannot be had where ``truth`` is display-encoded."""
        return f"{self.name} needs linear radiance; {truth} is display-encoded."


def _as_seen(truth: Encoded | Image) -> npt.NDArray[np.uint8]:
    """The codes of a ground truth as a picture."""
    if truth.dtype == np.float32:
        return to_uint8(to_display(truth.astype(np.float32, copy=False)))
    return to_uint8(truth)


def _as_measurement(score: float | Measurement) -> Measurement:
    return score if isinstance(score, Measurement) else Measurement(score)
