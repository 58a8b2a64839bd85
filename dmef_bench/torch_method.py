"""What all networks share: device, precision, weights, and the three stages of a fusion."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from dmef_bench.checkpoint import fill_network, read_state, state_digest
from dmef_bench.errors import UnavailableError, UsageError
from dmef_bench.scene import ExposureStack, Image

logger = logging.getLogger(__name__)

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
RANDOM = "random"


class TorchMethod(ABC):
    """A network as a fusion method: `upload`, `compute`, `download`, and `fuse` of the three.

    A subclass gives `network` and, if it eats more than the plain exposures, `inputs`.

    Parameters
    ----------
    checkpoint : str or Path or None
        Weights: a file, a run folder of ``dmef train``, or ``"random"`` for timing and cost alone,
        whose rows carry no quality figures. None takes the weights that are shipped.
    device : str, optional
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``; the first CUDA device where there is one.
    dtype : {"float32", "bfloat16", "float16"}
        Of weights and activations.
    seed : int
        Of random weights.

    Raises
    ------
    UnavailableError
        No weights, or no such device.
    CheckpointError
        The weights belong to another network.
    UsageError
        A dtype that does not exist.
    """

    name: str
    paper: str
    stride = 8
    preparation = ""
    """What `prepare` does, in words that change when its pictures do; empty where it is idle."""
    prepared_pictures = 3
    """How many pictures `prepare` makes of a stack."""

    def __init__(
        self,
        checkpoint: str | Path | None = None,
        *,
        device: str | None = None,
        dtype: str = "float32",
        seed: int = 0,
    ) -> None:
        if dtype not in DTYPES:
            raise UsageError(f"dtype is {dtype!r}; choose from {', '.join(DTYPES)}.")
        self.device = _device(device)
        self.dtype = dtype
        if self.device == "cpu" and dtype != "float32" and computes_half_in_software():
            logger.warning(
                "%s in %s: this processor imitates such arithmetic, up to two hundred times slower "
                "than its float32. Leave dtype out.", self.name, dtype,
            )  # fmt: skip
        self.untrained = str(checkpoint) == RANDOM
        self.weights_digest = ""
        self._module = self._filled(checkpoint, seed).to(self.device, DTYPES[dtype]).eval()

    @abstractmethod
    def network(self) -> nn.Module:
        """Build the network afresh; ``forward`` takes what `inputs` returns."""

    def state(self, checkpoint: Path) -> dict[str, torch.Tensor]:
        """Read a checkpoint; a subclass maps the keys of other frameworks here."""
        return read_state(checkpoint)

    def configure(self, state: Mapping[str, torch.Tensor]) -> None:  # noqa: B027 - optional
        """Take options from the weights before the network is built; nothing by default."""

    def shipped(self) -> Path | None:
        """The weights that come with the project; None where there are none."""
        return None

    def prepare(self, stack: ExposureStack) -> ExposureStack:
        """What is made of a whole stack before any of it becomes `inputs`; by default, nothing.

        Training does it once a scene and cuts crops from the result, so it is for what needs the
        whole frame or takes long. `preparation` must name it then.
        """
        return stack

    def inputs(self, stack: ExposureStack) -> tuple[torch.Tensor, ...]:
        """The network's inputs: each exposure as (1, 3, H, W), RGB in [0, 1]."""
        return tuple(self.tensor(stack, index) for index in range(len(stack.images)))

    def tensor(self, stack: ExposureStack, index: int) -> torch.Tensor:
        """One exposure on the device, (1, 3, H, W), float32; the bytes travel, not the floats."""
        if stack.encoded is None:
            picture = torch.from_numpy(np.array(stack.images[index]))
            return picture.to(self.device).permute(2, 0, 1)[None]
        codes = stack.encoded[index]
        full = np.iinfo(codes.dtype).max
        # numpy's copy, because torch wants arrays it could write to and a stack's are read-only;
        # int32, because torch knows few operations on uint16.
        plain = codes.copy() if codes.dtype == np.uint8 else codes.astype(np.int32)
        picture = torch.from_numpy(plain).to(self.device)
        return picture.permute(2, 0, 1)[None].to(torch.float32) / full

    def upload(self, stack: ExposureStack) -> tuple[torch.Tensor, ...]:
        """Prepare the stack and bring it to the device, in the network's precision."""
        prepared = self.prepare(stack)
        with torch.inference_mode():
            return tuple(tensor.to(DTYPES[self.dtype]) for tensor in self.inputs(prepared))

    def compute(self, inputs: Any) -> torch.Tensor:
        """Run the network; nothing leaves the device."""
        with torch.inference_mode():
            return self._module(*inputs)

    def download(self, outputs: Any) -> Image:
        """Bring the picture back: (1, 3, H, W) on the device to float32 (H, W, 3) in [0, 1]."""
        with torch.inference_mode():
            picture = outputs[0].to(torch.float32).clamp(0, 1).permute(1, 2, 0)
            return picture.contiguous().cpu().numpy()

    def fuse(self, stack: ExposureStack) -> Image:
        """Upload, compute, download."""
        return self.download(self.compute(self.upload(stack)))

    def _filled(self, checkpoint: str | Path | None, seed: int) -> nn.Module:
        if self.untrained:
            torch.manual_seed(seed)
            logger.warning("%s runs on random weights: timing and cost alone.", self.name)
            return self.network()
        path = Path(checkpoint) if checkpoint is not None else self.shipped()
        if path is None:
            raise UnavailableError(
                f"No weights for {self.name} are shipped. Give checkpoint=FILE, train it with "
                "`dmef train`, or use checkpoint=random to measure time and cost alone."
            )
        state = self.state(path)
        self.configure(state)
        network = self.network()
        fill_network(network, state, str(path))
        self.weights_digest = state_digest(state)
        return network


def computes_half_in_software() -> bool:
    """Whether 16-bit networks crawl here: without AVX-512, oneDNN has no kernels for them."""
    return torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2")


def _device(name: str | None) -> str:
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"{name!r} is no device; write cpu, cuda or cuda:N.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UnavailableError(f"Device {name} was asked for, and this machine has no CUDA.")
    return name
