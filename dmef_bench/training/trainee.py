"""A fusion method as something to be trained: its network, fed by the method's own preparation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dmef_bench.errors import UsageError
from dmef_bench.method import traits
from dmef_bench.registry import accepts, load_method
from dmef_bench.scene import ExposureStack, to_float
from dmef_bench.training.losses import visible
from dmef_bench.training.patches import Batch
from dmef_bench.training.store import Preparation

WEIGHTS_OPTIONS = ("checkpoint", "weights")


class TrainableMethod(Protocol):
    """What a method must have to be trained: every `TorchMethod` has it."""

    name: str
    paper: str

    def network(self) -> nn.Module:
        """Build the network afresh."""
        ...

    def inputs(self, stack: ExposureStack) -> tuple[Tensor, ...]:
        """What the network eats, each (1, C, H, W), prepared as for a fusion."""
        ...


@runtime_checkable
class TargetingMethod(Protocol):
    """Optional: a network that does not give display-encoded RGB."""

    output: str
    """``"display"``, or ``"linear"`` where the network gives radiance."""

    def target(self, truth: Tensor, evs: tuple[float, ...] | None, *, linear: bool) -> Tensor:
        """What the network itself should give for a ground truth.

        Parameters
        ----------
        truth : Tensor, shape (1, 3, H, W)
            RGB; display-encoded in [0, 1], or radiance if ``linear``.
        evs : tuple of float or None
            Stops of the exposures.
        linear : bool
            What the truth is.
        """
        ...


@runtime_checkable
class HeadedMethod(Protocol):
    """Optional: a method whose weights files say what network they belong to."""

    def header(self) -> Mapping[str, str]:
        """Metadata of a safetensors file."""
        ...


@runtime_checkable
class PreparingMethod(Protocol):
    """Optional: a method that makes something of whole stacks before crops are cut."""

    preparation: str
    """Changes when the pictures do; empty where nothing is done."""
    prepared_pictures: int
    """How many pictures the prepared stack holds."""

    def prepare(self, stack: ExposureStack) -> ExposureStack:
        """From stack to stack of the same size, with ``encoded``."""
        ...


class Trainee:
    """A method's network in training.

    Every crop passes the method's own ``inputs``, stack by stack, so that training and fusing see
    the same preparation, whatever it is: channel orders, linear copies, responses undone.

    Parameters
    ----------
    method : TrainableMethod
        Built for the device that trains.
    seed : int
        Of the fresh network's weights.
    truth_is_linear : bool
        Whether the data's ground truth is radiance.

    Raises
    ------
    UsageError
        The network gives finished pictures, and the truth is radiance.
    """

    def __init__(
        self, method: TrainableMethod, seed: int, *, truth_is_linear: bool = False
    ) -> None:
        self.method = method
        self.name = method.name
        torch.manual_seed(seed)
        self.network = method.network()
        self.truth_is_linear = truth_is_linear
        self.linear = getattr(method, "output", "display") == "linear"
        if (self.linear or truth_is_linear) and not isinstance(method, TargetingMethod):
            raise UsageError(
                f"{self.name} does not say what its network should give for radiance "
                "(dmef_bench.training.trainee.TargetingMethod); train it on display-encoded truths."
            )

    @property
    def stride(self) -> int:
        """Of whose multiple crops should be."""
        return traits(self.method).stride

    @property
    def header(self) -> dict[str, str]:
        """What a weights file says of its network."""
        return dict(self.method.header()) if isinstance(self.method, HeadedMethod) else {}

    @property
    def preparation(self) -> Preparation | None:
        """What is done to every scene before crops are cut; None where nothing is."""
        method = self.method
        if not isinstance(method, PreparingMethod) or not method.preparation:
            return None
        return Preparation(method.preparation, method.prepare, method.prepared_pictures)

    def inputs(self, batch: Batch) -> tuple[Tensor, ...]:
        """The network's inputs, each (N, C, side, side) on the device."""
        with torch.no_grad():
            each = [self.method.inputs(stack) for stack in batch.stacks]
            return tuple(torch.cat(parts) for parts in zip(*each, strict=True))

    def target(self, batch: Batch, device: torch.device | str) -> Tensor:
        """What the network should give, (N, 3, side, side) on the device."""
        pairs = zip(batch.truths, batch.stacks, strict=True)
        return torch.cat([self._target(truth, stack.evs, device) for truth, stack in pairs])

    def _target(
        self, truth: npt.NDArray[Any], evs: tuple[float, ...] | None, device: torch.device | str
    ) -> Tensor:
        picture = torch.from_numpy(to_float(truth)).permute(2, 0, 1)[None].to(device)
        if isinstance(self.method, TargetingMethod):
            return self.method.target(picture, evs, linear=self.truth_is_linear)
        return picture

    def pictures(self, outputs: Tensor) -> list[npt.NDArray[np.float32]]:
        """What the network gave, or should have, as people would look at it: (H, W, 3) in [0, 1].

        Radiance after the mu-law. The channels stay in the network's order, which PSNR and SSIM,
        as means over channels, do not mind.
        """
        seen = visible(outputs.detach(), linear=self.linear)
        arrays = seen.clamp(0, 1).permute(0, 2, 3, 1).contiguous().cpu().numpy()
        return list(arrays)


def load_trainee(
    name: str,
    options: Mapping[str, Any],
    *,
    device: str,
    seed: int,
    truth_is_linear: bool = False,
) -> Trainee:
    """Find a method and take its network.

    Raises
    ------
    UsageError
        Nothing to train; or options that name weights, which training makes.
    """
    for option in WEIGHTS_OPTIONS:
        if option in options:
            raise UsageError(
                f"{option}={options[option]} names weights, and training makes them afresh. "
                "Leave it out; to go on with a run, use --resume."
            )
    how = {"checkpoint": "random", "device": device}
    method = load_method(name, **options, **how) if accepts(name, "checkpoint") else None
    if traits(method).network is None or not hasattr(method, "inputs"):
        raise UsageError(f"{name} has no network; there is nothing to train.")
    if getattr(method, "output", "display") == "linear" and not truth_is_linear:
        # A truth that is a finished picture is best learnt as one, unless somebody insists.
        method = load_method(name, **{"output": "display", **options}, **how)
    return Trainee(cast(TrainableMethod, method), seed, truth_is_linear=truth_is_linear)
