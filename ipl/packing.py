"""How a tensor of attention is kept: as it is, in 256 levels, or by a trained codec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from dmef_bench.errors import UsageError
from ipl.codecs import CnnChannelCodec, CnnWidthCodec
from ipl.quantization import Quantized, dequantize, quantize

Quant = Literal["none", "uint8", "cnn_w", "cnn_c"]
"""As computed, in 256 levels, or by a trained codec (`ipl.codecs`)."""

Scales = Literal["tensor", "channel"]
"""One step for the whole tensor, or one for each channel."""

Limits = tuple[float, float] | None
"""The range of attention weights; None where values may be any."""

CODECS = {"cnn_w": CnnWidthCodec, "cnn_c": CnnChannelCodec}


@dataclass(frozen=True, eq=False)
class Coded:
    """What a codec made of a tensor of ``shape``."""

    codes: Tensor
    shape: torch.Size

    @property
    def nbytes(self) -> int:
        """Bytes of the codes; the codec itself is not counted."""
        return self.codes.nbytes

    def to(self, device: torch.device) -> Coded:
        """The same on a device."""
        return Coded(self.codes.to(device), self.shape)


Packed = Tensor | Quantized | Coded
"""A tensor as it is kept."""


class Kept(dict[str, Packed]):
    """Tensors of one entry, by name."""

    @property
    def nbytes(self) -> int:
        """Bytes of all."""
        return sum(part.nbytes for part in self.values())

    def to(self, device: torch.device) -> Kept:
        """The same on a device."""
        return Kept({name: part.to(device) for name, part in self.items()})


class Packing:
    """One way to keep tensors.

    Parameters
    ----------
    quant : {"none", "uint8", "cnn_w", "cnn_c"}
        The way.
    scales : {"tensor", "channel"}
        For ``uint8``. One a tensor has the fixed step of its range, where it has one.
    codecs : sequence of nn.Module, optional
        One a block, for the other two.
    """

    def __init__(
        self, quant: Quant, scales: Scales = "tensor", codecs: Sequence[nn.Module] | None = None
    ) -> None:
        self.quant = quant
        self.scales = scales
        self.codecs = codecs

    def pack(self, tensor: Tensor, limits: Limits, layer: int) -> Packed:
        """Keep a tensor (N, C, h, w) of block ``layer``; UsageError where it is not finite."""
        if not tensor.isfinite().all():
            raise UsageError(
                f"Block {layer + 1} holds NaN or infinity on these pictures; nothing is kept. "
                "Check the weights: they may have diverged."
            )
        if self.quant == "none":
            return tensor
        if self.quant == "uint8":
            if self.scales == "channel":
                return quantize(tensor, dims=(0, 2, 3))
            return quantize(tensor, *(limits or (None, None)))
        codec = self._codec(layer)
        return Coded(codec.encode(tensor.to(_dtype(codec))), tensor.shape)

    def opened(self, packed: Packed, layer: int) -> Tensor | Quantized:
        """Something to cut windows from: codecs decode all at once."""
        if not isinstance(packed, Coded):
            return packed
        return self._codec(layer).decode(packed.codes, packed.shape)

    def check_codecs(self, blocks: int) -> None:
        """Raise UsageError where codecs are needed and there are none that fit."""
        wanted = CODECS.get(self.quant)
        if wanted is None:
            return
        codecs = self.codecs or ()
        if len(codecs) != blocks or not all(isinstance(codec, wanted) for codec in codecs):
            raise UsageError(
                f"quant={self.quant!r} needs {blocks} {wanted.__name__}, one a block, and there "
                f"are {len(codecs)} codecs: set codecs=ipl.codecs.train_codecs(...)."
            )

    def _codec(self, layer: int) -> CnnWidthCodec | CnnChannelCodec:
        assert self.codecs is not None  # by check_codecs
        return self.codecs[layer]  # type: ignore[return-value]


def plain(packed: Tensor | Quantized, dtype: torch.dtype) -> Tensor:
    """The values that a kept tensor stands for."""
    return dequantize(packed, dtype) if isinstance(packed, Quantized) else packed.to(dtype)


def _dtype(codec: nn.Module) -> torch.dtype:
    return next(codec.parameters()).dtype
