"""What the four networks share: channel order, linear copies of the exposures, output domain."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from dmef_bench.checkpoint import read_header
from dmef_bench.errors import CheckpointError, UnavailableError, UsageError
from dmef_bench.scene import ExposureStack, Image
from dmef_bench.torch_method import TorchMethod

GAMMA = 2.2
DISPLAY, LINEAR = "display", "linear"


@dataclass(frozen=True)
class InputLayout:
    """How a network wants an exposure.

    Parameters
    ----------
    bgr : bool
        Blue first, as OpenCV reads, in and out.
    linear_first : bool
        With six channels: the linear copy before the picture.
    clip_linear : bool
        Cut the linear copy at 1.
    epsilon : float
        Added to the exposure ratio before the division, as upstream does.
    scale_16_bit : float
        What upstream divides 16-bit codes by.
    """

    bgr: bool = False
    linear_first: bool = False
    clip_linear: bool = False
    epsilon: float = 0.0
    scale_16_bit: float = 65535.0


class HDRNetworkMethod(TorchMethod):
    """A network that eats three exposures, each with or without its linear copy.

    Parameters
    ----------
    checkpoint : str or Path or None
        See `TorchMethod`.
    in_channels : {6, 3}, optional
        Of one exposure: the picture and its linear copy (the authors' way), or the picture alone
        (the 4K-DMEF paper's rows of AHDRNet and FSHDR). Read from the checkpoint where there is
        one; 6 otherwise.
    output : {"linear", "display"}, optional
        What the network was trained to give: radiance, as all checkpoints of the authors, or the
        finished picture. "linear" with six channels, "display" with three, unless stated.
    upstream_scaling : bool
        Divide 16-bit codes as upstream does, by 65536 where it does.
    **common
        ``device``, ``dtype``, ``seed``: see `TorchMethod`.
    """

    layout = InputLayout()
    exposures = 3

    def __init__(
        self,
        checkpoint: str | Path | None = None,
        *,
        in_channels: int | None = None,
        output: Literal["linear", "display"] | None = None,
        upstream_scaling: bool = False,
        **common: Any,
    ) -> None:
        if in_channels not in (None, 3, 6):
            raise UsageError(f"in_channels is {in_channels}; an exposure has 3 or 6 channels.")
        if output not in (None, LINEAR, DISPLAY):
            raise UsageError(f"output is {output!r}; the network gives {LINEAR} or {DISPLAY}.")
        self._stated_channels = in_channels
        self.in_channels = in_channels or 6
        self._upstream_scaling = upstream_scaling
        self._trained_output: str | None = None
        super().__init__(checkpoint, **common)
        stated = output or self._trained_output
        self.output = stated or (LINEAR if self.in_channels == 6 else DISPLAY)

    @property
    def needs_evs(self) -> bool:
        """Whether linear copies are made, which takes the exposures' EVs."""
        return self.in_channels == 6

    @abstractmethod
    def first_convolution(self) -> str:
        """Key of the weight whose second axis counts the channels of an exposure."""

    def configure(self, state: Mapping[str, Tensor]) -> None:
        """Read from the weights what they were made for; contradict a statement, not override."""
        weight = state.get(self.first_convolution())
        if weight is None or weight.ndim != 4:
            return  # another network's weights: the list of missing keys will say so
        self.in_channels = agreed("in_channels", self._stated_channels, int(weight.shape[1]))

    def state(self, checkpoint: Path) -> dict[str, Tensor]:
        """The weights; their header says what they were trained to give."""
        trained = read_header(checkpoint).get("output")
        if trained not in (None, LINEAR, DISPLAY):
            raise CheckpointError(
                f"{checkpoint}: its header says output={trained!r}; it is {LINEAR} or {DISPLAY}."
            )
        self._trained_output = trained
        return super().state(checkpoint)

    def header(self) -> dict[str, str]:
        """For the header of weights files: what the network was trained to give."""
        return {"output": self.output}

    def target(self, truth: Tensor, evs: tuple[float, ...] | None, *, linear: bool) -> Tensor:
        """What the network should give for a ground truth, in its own domain and channel order."""
        if self.output == LINEAR:
            radiance = truth if linear else truth**GAMMA
            wanted = radiance * (1.0 if evs is None else 2.0 ** evs[0])
        else:
            wanted = truth.clamp(0, 1) ** (1 / GAMMA) if linear else truth
        return wanted.flip(1) if self.layout.bgr else wanted

    def inputs(self, stack: ExposureStack) -> tuple[Tensor, ...]:
        """The exposures as (1, in_channels, H, W), in the network's own order.

        Raises
        ------
        UnavailableError
            Not three exposures; or six channels and no EVs to make the linear copies with.
        """
        if len(stack.images) != self.exposures:
            raise UnavailableError(
                f"{self.name} fuses three exposures; this stack has {len(stack.images)}."
            )
        pictures = [self._picture(stack, index) for index in range(self.exposures)]
        if self.in_channels == 3:
            return tuple(pictures)
        if stack.evs is None:
            raise UnavailableError(
                f"{self.name} with six channels needs the exposures' EVs, and nobody states them."
            )
        least = stack.evs[0]
        return tuple(
            self._with_linear(picture, 2.0 ** (ev - least))
            for picture, ev in zip(pictures, stack.evs, strict=True)
        )

    def _picture(self, stack: ExposureStack, index: int) -> Tensor:
        picture = self.tensor(stack, index)
        coded = stack.encoded is not None and stack.encoded[index].dtype == np.uint16
        if coded and self._upstream_scaling:
            picture = picture * (65535.0 / self.layout.scale_16_bit)
        return picture.flip(1) if self.layout.bgr else picture

    def _with_linear(self, picture: Tensor, ratio: float) -> Tensor:
        """Picture and radiance side by side; LDR^2.2 / t, t the exposure ratio to the darkest."""
        linear = picture**GAMMA / (ratio + self.layout.epsilon)
        if self.layout.clip_linear:
            linear = linear.clamp(0, 1)
        pair = (linear, picture) if self.layout.linear_first else (picture, linear)
        return torch.cat(pair, dim=1)

    def upload(self, stack: ExposureStack) -> tuple[Any, ...]:
        """Bring the stack to the device; the last part is what radiance 1 means at EV 0."""
        # The network's radiance is that of the darkest exposure.
        gain = 1.0 if stack.evs is None else 2.0 ** -stack.evs[0]
        return (*super().upload(stack), gain)

    def compute(self, inputs: Any) -> Tensor:
        """Run the network; a linear output is brought to EV 0 and display-encoded."""
        *exposures, gain = inputs
        fused = super().compute(exposures)
        with torch.inference_mode():
            if self.output == LINEAR:
                fused = (fused.float() * gain).clamp(0, 1) ** (1 / GAMMA)
            return fused

    def download(self, outputs: Any) -> Image:
        """Bring the picture back, red first."""
        return super().download(outputs.flip(1) if self.layout.bgr else outputs)


def agreed(name: str, stated: int | None, found: int) -> int:
    """The value found in a checkpoint, unless another was stated."""
    if stated is not None and stated != found:
        raise CheckpointError(
            f"{name}={stated} was asked for, and the checkpoint was made with {name}={found}. "
            f"Leave {name} out, or give a checkpoint that fits."
        )
    return found


def count_layers(state: Mapping[str, Tensor], prefix: str) -> int:
    """How many numbered layers stand under a prefix: the highest number plus one."""
    numbers = [
        int(key.removeprefix(prefix).partition(".")[0]) for key in state if key.startswith(prefix)
    ]
    return max(numbers, default=-1) + 1
