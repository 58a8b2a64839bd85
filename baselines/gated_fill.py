"""Gated fill: response-fill whose lost pixels are mixed of several guesses by a trained gate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch

from baselines.fill_evidence import PICTURES, FillEvidence, Words, lost_values, nothing_lost
from baselines.fill_gate import FillGate
from baselines.recipes import GATED_FILL
from baselines.response_fill import ESTIMATE, ResponseFill
from baselines.row_bands import in_bands
from dmef_bench.errors import UnavailableError, UsageError
from dmef_bench.exposure.camera_response import CameraResponse
from dmef_bench.scene import ExposureStack
from dmef_bench.torch_method import TorchMethod

_FULL = 65535


class GatedFill(TorchMethod):
    """Response-fill and six other guesses at each lost value, mixed by a trained gate.

    What the reference kept stays response-fill's. A lost value is a convex combination of the
    aligned donor, the donor as it lies, the colours that the donor shows elsewhere and nearby, and
    response-fill's own answer; a perceptron of two thousand weights decides by what speaks for each
    (`baselines.fill_evidence`, `baselines.fill_gate`).

    Parameters
    ----------
    response : str or CameraResponse
        As of `baselines.response_fill.ResponseFill`.
    checkpoint, device, dtype, seed
        See `TorchMethod`. The evidence is gathered on the CPU wherever the gate computes.

    Notes
    -----
    Ours. Learning what to believe generalises to clips that training never saw; learning what lost
    pixels look like did not (docs/training.md).
    """

    name = "gated-fill"
    paper = "dmef: response-fill with a trained gate"
    stride = 1
    is_global = True
    needs_evs = True
    prepared_pictures = in_channels = PICTURES
    recipes: ClassVar = {"short": GATED_FILL}

    def __init__(
        self,
        response: str | CameraResponse = ESTIMATE,
        checkpoint: str | Path | None = None,
        *,
        device: str | None = None,
        dtype: str = "float32",
        seed: int = 0,
    ) -> None:
        if dtype != "float32":
            raise UsageError(
                f"dtype is {dtype!r}; {self.name} hands on what the reference kept, and only "
                "float32 holds all of it."
            )
        self._fill = ResponseFill(response)
        self.preparation = f"gated-fill: evidence 1, response {response}"
        super().__init__(checkpoint, device=device, dtype=dtype, seed=seed)

    def network(self) -> FillGate:
        """A fresh gate, which believes response-fill."""
        return FillGate()

    def shipped(self) -> Path | None:
        """The gate that comes with the project."""
        file = Path(__file__).parent / "weights" / f"{self.name}.safetensors"
        return file if file.is_file() else None

    def prepare(self, stack: ExposureStack) -> ExposureStack:
        """Candidates and evidence as a stack of 16-bit pictures."""
        pictures = self._gathered(stack)
        height, width = stack.size
        words = np.empty((PICTURES, height, width, 3), np.uint16)

        def lay(rows: slice) -> None:
            for picture, part in zip(words, pictures(rows), strict=True):
                picture[rows] = part

        in_bands(height, lay)
        return ExposureStack(tuple(words), evs=None, reference=0)

    def inputs(self, stack: ExposureStack) -> tuple[torch.Tensor, ...]:
        """Red, green and blue of a prepared stack, each (1, PICTURES, H, W)."""
        pictures = [self.tensor(stack, index) for index in range(PICTURES)]
        return torch.stack(pictures, 1).unbind(2)

    def upload(self, stack: ExposureStack) -> Any:
        """Leave the stack where it is: gathering evidence is computing, and `compute` does it."""
        return stack

    def compute(self, inputs: Any) -> torch.Tensor:
        """Gather evidence, and mix band by band: the gate looks at one lost value at a time.

        The same as the network on `inputs`, for less: two values in three were never lost.
        """
        pictures = self._gathered(inputs)
        height, width = inputs.size
        fused = np.empty((height, width, 3), np.float32)
        gate = cast(FillGate, self._module)

        def mix(rows: slice) -> None:
            words = list(pictures(rows))
            lost, values = lost_values(words)
            band = words[0] / np.float32(_FULL)
            with torch.inference_mode():  # of this thread alone
                given, own, common, beside = map(self._on_device, values)
                mixed = gate.mixed(given / _FULL, own / _FULL, common / _FULL, beside)
            band[lost] = mixed.cpu().numpy()
            fused[rows] = band

        in_bands(height, mix)
        return torch.from_numpy(fused).permute(2, 0, 1)[None]

    def _on_device(self, words: Words) -> torch.Tensor:
        # int32, because torch knows few operations on uint16.
        return torch.from_numpy(words.astype(np.int32)).to(self.device, torch.float32)

    def _gathered(self, stack: ExposureStack) -> Callable[[slice], Iterator[Words]]:
        """Response-fill, and what gives candidates and evidence of any rows."""
        if stack.evs is None:
            raise UnavailableError(
                f"{self.name} needs the exposures' EVs, and this stack states none."
            )
        fused, pair = self._fill.fill(stack)
        if pair is None:
            return partial(nothing_lost, fused)
        return FillEvidence.gather(fused, pair, self._fill).pictures
