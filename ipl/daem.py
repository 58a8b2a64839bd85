"""Dimensional attention enhancement: chunks along C, W and H weigh themselves, in three forms."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from itertools import product
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from dmef_bench.errors import UsageError

Form = Literal["loop", "batched", "banded"]
"""One computation by the paper's words, with all chunks at once, or in place within the cache."""

Response = Literal["input", "eq3", "hybrid"]
"""What the weights of a chunk multiply: its features, their mean, or the sum of both."""

AXES = {"C": 1, "W": 3, "H": 2}
"""Where a dimension stands in (N, C, h, w)."""

# 1.9 MiB of float32 a thread: a slab and its weights stay in the caches, and a call of torch still
# takes less time than its work (benchmarks/ipl_batched.py --slab).
SLAB_FEATURES = 480 * 1024


class LocalFeatureExtractor(nn.Module):
    """Weights in (0, 1) for the chunks of one dimension: sigma(W2 relu(W1 x + b1) + b2).

    One set of weights serves every chunk of the dimension, at every position of its other axes.

    Parameters
    ----------
    length : int
        Size k of a chunk along the dimension, which is the channel axis of the 1x1 convolutions.
    hidden : int
        Width m between the two convolutions.

    References
    ----------
    Eqs. 1 and 2 of Chen et al., arXiv:2412.11685.
    """

    def __init__(self, length: int, hidden: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(length, hidden, 1)
        self.excite = nn.Conv2d(hidden, length, 1)

    @property
    def length(self) -> int:
        """Size k of a chunk."""
        return self.squeeze.in_channels

    @property
    def hidden(self) -> int:
        """Width m between the convolutions."""
        return self.squeeze.out_channels

    def forward(self, chunk: Tensor) -> Tensor:
        """Weights of one chunk, (N, k, ., .): its dimension stands where channels do."""
        weights: Tensor = torch.sigmoid(self.excite(functional.relu(self.squeeze(chunk))))
        return weights

    def of_all_chunks(
        self, features: Tensor, dim: str, scratch: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """Weights of all chunks along ``dim`` of (N, C, h, w), without a transpose or a copy.

        ``scratch`` are two flat buffers to overwrite, of ``max(1, m / k)`` times the features;
        the weights then live in the second, and no gradients are kept.
        """
        inner, outer = scratch or (None, None)
        chunks = chunk_view(features, dim, self.length)
        hidden = convolve_chunks(self.squeeze, chunks, inner, turned=dim == "W").relu_()
        return convolve_chunks(self.excite, hidden, outer).sigmoid_().view(features.shape)


class DAEM(nn.Module):
    """Dimensional attention enhancement module: the sum over dimensions of self-weighted chunks.

    With ``lfe="input"`` that is ``x * (sC + sW + sH)``. Then a brick of one chunk length along
    each dimension depends on nothing outside it, which is why ``banded`` may work in place.

    Parameters
    ----------
    chunks, hidden : (int, int, int)
        Chunk sizes along C, W and H; widths of the extractors between their convolutions.
    dims : str
        The dimensions in use, a part of ``"CWH"``; with none the features stay as they are.
    lfe : {"input", "eq3", "hybrid"}
        ``input``: features times weights, as the paper's text has it. ``eq3``: their mean over
        the chunk's two other axes times weights, as the formula has it. ``hybrid``: both.
    shift : bool
        Move the grid of W and H by half a chunk; the border is replicated to fill the halves.

    References
    ----------
    Eqs. 1-3 of Chen et al., arXiv:2412.11685.
    """

    def __init__(
        self,
        chunks: tuple[int, int, int],
        hidden: tuple[int, int, int],
        *,
        dims: str = "CWH",
        lfe: Response = "input",
        shift: bool = False,
    ) -> None:
        super().__init__()
        self.chunks = chunks
        self.lfe = lfe
        self.shift = shift
        self.extractors = nn.ModuleDict(
            {
                dim: LocalFeatureExtractor(length, width)
                for dim, length, width in zip("CWH", chunks, hidden, strict=True)
                if dim in dims
            }
        )

    def forward(
        self,
        features: Tensor,
        form: Form = "batched",
        means: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Enhance features.

        Parameters
        ----------
        features : Tensor, shape (N, C, h, w)
            C, w and h multiples of the chunk sizes.
        form : {"loop", "batched", "banded"}
            ``banded`` overwrites ``features`` and keeps no gradients.
        means : mapping of str to Tensor, optional
            Where ``features`` are a window of a frame: `means` of the frame, cut to the window.
            Not for ``loop`` and not with ``shift``.

        Returns
        -------
        Tensor, shape (N, C, h, w)
            The same in every form, up to rounding.

        Raises
        ------
        UsageError
            Features that chunks do not fill.
        """
        if not self.extractors:
            return features
        self._check_filled(features)
        if self.shift:
            return self._on_moved_grid(features, form)
        return self._on_grid(features, form, means)

    def _on_grid(
        self, features: Tensor, form: Form, means: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        if form == "loop":
            return _total(self._one_by_one(features, *part) for part in self._extractors())
        # Those of the features as they came: read before any changes.
        means = self.means(features) if means is None else means
        if form == "banded":
            return self._slab_by_slab(features, means)
        return self.weigh(features, self.gates(features), means)

    def gates(self, features: Tensor) -> dict[str, Tensor]:
        """Weights in (0, 1) by dimension, each of the features' shape (Eqs. 1 and 2)."""
        return {
            dim: extractor.of_all_chunks(features, dim) for dim, extractor in self._extractors()
        }

    def means(self, features: Tensor) -> dict[str, Tensor]:
        """Mean of each chunk over its two other axes (GAP of Eq. 3); empty where none is used.

        A chunk reaches over the whole of its other axes, so this is (N, C, 1, 1), (N, 1, 1, w)
        and (N, 1, h, 1), whatever the chunk sizes.
        """
        if self.lfe == "input":
            return {}
        return {
            dim: features.mean([other for other in (1, 2, 3) if other != AXES[dim]], keepdim=True)
            for dim in self.extractors
        }

    def weigh(
        self, features: Tensor, gates: Mapping[str, Tensor], means: Mapping[str, Tensor]
    ) -> Tensor:
        """Sum over dimensions of gate times response, by what `gates` and `means` return."""
        if self.lfe == "input":
            return features * _total(gates.values())
        pooled = _total(gate * means[dim] for dim, gate in gates.items())
        if self.lfe == "eq3":
            return pooled
        return features * _total(gates.values()) + pooled

    def _one_by_one(self, features: Tensor, dim: str, extractor: LocalFeatureExtractor) -> Tensor:
        """One dimension as the paper tells it: split, transpose, weigh, transpose back, join."""
        axis = AXES[dim]
        enhanced = []
        for chunk in features.split(extractor.length, axis):
            turned = chunk.transpose(1, axis)  # (N, k, ., .)
            weighted = self._response(turned) * extractor(turned)
            enhanced.append(weighted.transpose(1, axis))
        return torch.cat(enhanced, axis)

    def _response(self, chunk: Tensor) -> Tensor:
        if self.lfe == "input":
            return chunk
        mean = chunk.mean((2, 3), keepdim=True)
        return mean if self.lfe == "eq3" else chunk + mean

    def _slab_by_slab(self, features: Tensor, means: Mapping[str, Tensor]) -> Tensor:
        shape = self._slab_shape(features)
        # Buffers serve all slabs: malloc would hand fresh ones back to the system each time, and
        # clearing their pages anew doubles the time.
        buffers = features.new_empty(4, self._buffer_size(shape))
        for window in product(*map(_slices, features.shape, shape)):
            seen = {dim: _cut(mean, window) for dim, mean in means.items()}
            self._weigh_slab(features[window], seen, *buffers)
        return features

    def _weigh_slab(
        self,
        place: Tensor,
        means: Mapping[str, Tensor],
        own: Tensor,
        inner: Tensor,
        outer: Tensor,
        sum_: Tensor,
    ) -> None:
        """`weigh` part of the features where they stand."""
        slab = _front(own, place.shape).copy_(place)
        if means:
            place.zero_()
        total: Tensor | None = None
        for dim, extractor in self._extractors():
            buffers = inner, sum_ if total is None else outer
            gate = extractor.of_all_chunks(slab, dim, buffers)
            if means:
                place.addcmul_(gate, means[dim])
            total = gate if total is None else total.add_(gate)
        if total is not None and self.lfe == "input":
            place.mul_(total)
        elif total is not None and self.lfe == "hybrid":
            place.addcmul_(slab, total)

    def _slab_shape(self, features: Tensor) -> tuple[int, int, int, int]:
        """As many whole bricks as fit into the caches, side by side first."""
        channels, columns, rows = self.chunks
        bricks = max(SLAB_FEATURES * torch.get_num_threads() // math.prod(self.chunks), 1)
        across = min(bricks, features.shape[3] // columns)
        return 1, channels, max(bricks // across, 1) * rows, across * columns

    def _buffer_size(self, shape: tuple[int, ...]) -> int:
        widening = max(extractor.hidden / extractor.length for _, extractor in self._extractors())
        return math.ceil(math.prod(shape) * max(widening, 1))

    def _on_moved_grid(self, features: Tensor, form: Form) -> Tensor:
        _, columns, rows = self.chunks
        left, top = columns // 2, rows // 2
        height, width = features.shape[2:]
        border = (left, columns - left, top, rows - top)
        wider = functional.pad(features, border, mode="replicate")
        return self._on_grid(wider, form)[:, :, top : top + height, left : left + width]

    def _extractors(self) -> list[tuple[str, LocalFeatureExtractor]]:
        return [(dim, cast(LocalFeatureExtractor, part)) for dim, part in self.extractors.items()]

    def _check_filled(self, features: Tensor) -> None:
        for dim, length in zip("CWH", self.chunks, strict=True):
            size = features.shape[AXES[dim]]
            if size % length:
                raise UsageError(
                    f"Features measure {size} along {dim}, which chunks of {length} do not fill; "
                    "pad them (IPLNetwork does)."
                )


def chunk_view(features: Tensor, dim: str, length: int) -> Tensor:
    """Contiguous (N, C, h, w) with the axis of chunks of ``length`` last for W, second otherwise.

    The view that lets one matrix product serve all chunks: (N C h w/k, k) along W,
    (N C h/k, k, w) along H and (N C/k, k, h w) along C.
    """
    height, width = features.shape[2:]
    if dim == "W":
        return features.reshape(-1, length)
    if dim == "H":
        return features.reshape(-1, length, width)
    return features.reshape(-1, length, height * width)


def convolve_chunks(
    convolution: nn.Conv2d, chunks: Tensor, buffer: Tensor | None = None, *, turned: bool = False
) -> Tensor:
    """Apply a 1x1 convolution along the chunked axis of a `chunk_view`.

    ``buffer``, flat, receives the result where given. ``turned``, along W only, stores it as few
    long rows and returns their transpose: on a CPU four times as fast as many rows of 8.
    """
    matrix = convolution.weight.flatten(1)
    bias = matrix.new_zeros(1) if convolution.bias is None else convolution.bias
    shape = (len(chunks), len(matrix), *chunks.shape[2:])
    out = None if buffer is None else _front(buffer, shape[::-1] if turned else shape)
    if turned:
        return torch.addmm(bias[:, None], matrix, chunks.t(), out=out).t()
    if chunks.ndim == 2:
        return torch.addmm(bias, chunks, matrix.t(), out=out)
    shared = matrix.expand(len(chunks), -1, -1)
    return torch.baddbmm(bias[:, None], shared, chunks, out=out)


def _front(buffer: Tensor, shape: Sequence[int]) -> Tensor:
    """The first elements of a flat buffer, in a shape."""
    return buffer[: math.prod(shape)].view(shape)


def _total(tensors: Iterable[Tensor]) -> Tensor:
    return reduce(torch.add, tensors)


def _slices(size: int, step: int) -> list[slice]:
    return [slice(start, min(start + step, size)) for start in range(0, size, step)]


def _cut(mean: Tensor, window: tuple[slice, ...]) -> Tensor:
    """The part of a mean that a slab sees; axes already averaged stay."""
    own = [
        slice(None) if size == 1 else part for part, size in zip(window, mean.shape, strict=True)
    ]
    return mean[tuple(own)]
