"""Pictures larger than memory through the network: window by window, and yet exact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from dmef_bench.errors import ImageContractError, UsageError
from dmef_bench.method import RowReader, RowSink
from dmef_bench.scene import ExposureStack, Image, size_text
from ipl.drtm import DRTM, apply_window
from ipl.network import SMALLEST_SIDE, FeatureIntegrationBlock, IPLConfig, IPLNetwork
from ipl.row_bands import PaddedRows, RowConvolution, StackRows
from ipl.windows import ChunkMeans, Cube, Frame, Scratch, Window

TILE = 1920
"""Pixels; narrower windows spend their time between calls of torch, wider ones gain nothing."""


@torch.inference_mode()
def fuse_streaming(
    network: IPLNetwork,
    stack_or_rows: ExposureStack | RowReader,
    *,
    tile: int = TILE,
    rows: int = 1,
    scratch: str | Path | None = None,
    maps: Sequence[Tensor] | None = None,
    out: RowSink | None = None,
) -> Image | RowSink:
    """Fuse without holding the whole frame; the picture is that of the whole frame.

    Between head and tail a brick of 64 pixels knows nothing of its neighbours, but for the global
    maps; and a map is made of the features at few places. So the frame passes once for each map,
    through the blocks before it, and once more to be fused: 36 + 8 blocks instead of 8.

    Parameters
    ----------
    network : IPLNetwork
        On any device. Its ``form`` and its ``cache`` play no part.
    stack_or_rows : ExposureStack or RowReader
        Three exposures, in memory or wherever a reader finds them; read once in each pass.
    tile, rows : int
        Width and height in pixels of what is worked on at once, rounded up to whole bricks
        (`IPLConfig.multiple`).
    scratch : str or Path, optional
        A folder for the features, which then need not be computed anew: 8 + 8 passes over a file
        of 48 bytes a pixel (at the full width, in float32) instead of 36 blocks.
    maps : sequence of Tensor, shape (1, C, C, C), optional
        Global maps of another picture, one a block: one pass, and another answer ("pinned").
    out : RowSink, optional
        Takes the picture from the top down. Without one it is returned.

    Returns
    -------
    ndarray, shape (H, W, 3), float32 in [0, 1], or RowSink
        The picture, or ``out``.

    Raises
    ------
    UsageError
        A network whose windows depend on one another: ``shift=True``, and ``lfe="eq3"`` or
        ``"hybrid"`` without ``scratch``. Maps that do not fit; a tile of no size.
    UnavailableError
        Not three exposures, or no room for the scratch file.
    ImageContractError
        Exposures that are too small, not of the size stated, or that hold NaN or infinity.
    """
    if isinstance(stack_or_rows, ExposureStack):
        stack_or_rows = StackRows(stack_or_rows)
    reader: RowReader = stack_or_rows
    _check(network.config, reader.size, (rows, tile), scratch, maps)
    passes = _Passes(network, reader, (rows, tile), scratch, maps)
    sink = _Whole(reader.size) if out is None else out
    start = 0
    for fused in passes.fused():
        sink.write(start, fused.clamp(0, 1).float().cpu().numpy())
        start += len(fused)
    return sink.picture if isinstance(sink, _Whole) else sink


class _Whole:
    """The sink that keeps everything."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.picture: Image = np.empty((*size, 3), np.float32)

    def write(self, start: int, rows: Image) -> None:
        self.picture[start : start + len(rows)] = rows


class _Passes:
    """What the network computes, as passes over the windows of a frame."""

    def __init__(
        self,
        network: IPLNetwork,
        reader: RowReader,
        step: tuple[int, int],
        scratch: str | Path | None,
        maps: Sequence[Tensor] | None,
    ) -> None:
        config = network.config
        self.network = network
        self.config = config
        self.blocks = [cast(FeatureIntegrationBlock, block) for block in network.blocks]
        self.like = network.up.gain.weight
        self.exposures = PaddedRows(network, reader)
        self.frame = Frame.cut(
            cast(tuple[int, int], tuple(side // config.factor for side in self.exposures.size)),
            cast(
                tuple[int, int],
                tuple(
                    -(-side // config.multiple) * config.multiple // config.factor for side in step
                ),
            ),
            config.width,
        )
        self.maps = [given.to(self.like) for given in maps or ()]
        self.means: list[dict[str, Tensor]] = []
        self.finds_maps = config.drtm and maps is None
        self.pools = weighs_means(config)
        self.scratch = None
        if scratch is not None and (self.finds_maps or self.pools):
            self.scratch = Scratch(scratch, self.frame, config.width, self.like)

    def fused(self) -> Iterator[Tensor]:
        """The picture from the top down, (rows, W, 3), not clamped."""
        if self.finds_maps or self.pools:
            self._learn()
        mix, gain = RowConvolution(self.network.up.mix), RowConvolution(self.network.up.gain)
        waiting = None
        for features, medium, last in self._bands():
            pixels = self.network.up.shuffle(mix.push(features, last=last))
            outputs = gain.push(pixels, last=last)[0].permute(1, 2, 0)
            waiting = medium if waiting is None else torch.cat((waiting, medium))
            outputs = outputs[: len(waiting), : medium.shape[1]]
            ready, waiting = waiting[: len(outputs)], waiting[len(outputs) :]
            fused = outputs[..., :3] * ready
            yield fused + outputs[..., 3:] if self.config.head == "affine" else fused

    # --- what a block must know of the whole frame ---

    def _learn(self) -> None:
        """Find map after map, and the means of chunks where attention wants them."""
        for number, block in enumerate(self.blocks):
            entering = self._entering(number)
            if self.pools:
                entering = self._measured(entering)
            cube = Cube(self.frame, self.config.width, self.like) if self.finds_maps else None
            for window, features in entering:
                enhanced = self._enhanced(number, window, features)
                if self.scratch:
                    self.scratch.keep(window, enhanced)
                if cube:
                    cube.add(window, enhanced)
            if cube:
                self.maps.append(cast(DRTM, block.drtm).transform(cube.features(), "banded"))

    def _entering(self, number: int) -> Iterator[tuple[Window, Tensor]]:
        """The features that block ``number`` gets, window by window."""
        if self.scratch and number:
            for window, enhanced in self.scratch:
                yield window, self._rolled(number - 1, window, enhanced)
            return
        for band in self.frame.bands:
            for window, features in self._first(band):
                for earlier in range(number):
                    features = self._passed(earlier, window, features)
                yield window, features

    def _measured(
        self, entering: Iterator[tuple[Window, Tensor]]
    ) -> Iterator[tuple[Window, Tensor]]:
        """Take the means of what enters a block, and hand it on from the scratch file."""
        scratch = cast(Scratch, self.scratch)
        means = ChunkMeans(self.frame, self.config.dims, self.config.width, self.like)
        for window, features in entering:
            means.add(window, features)
            scratch.keep(window, features)
        self.means.append(means.means())
        return iter(scratch)

    # --- the network's layers, on one window ---

    def _first(self, band: Sequence[Window]) -> Iterator[tuple[Window, Tensor]]:
        """F0 of a band."""
        exposures, _ = self._exposures(band)
        for window in band:
            yield window, self._head(window, exposures)

    def _exposures(self, band: Sequence[Window]) -> tuple[Tensor, Tensor]:
        rows, factor = band[0].rows.places, self.config.factor
        return self.exposures.band(rows.start * factor, rows.stop * factor)

    def _head(self, window: Window, exposures: Tensor) -> Tensor:
        columns, factor = window.columns.places, self.config.factor
        near = exposures[..., columns.start * factor : columns.stop * factor + 2]
        down = self.network.down
        stem = torch.nn.functional.conv2d(near, down.stem.weight, down.stem.bias)
        return down.packed(stem).contiguous()

    def _enhanced(self, number: int, window: Window, features: Tensor) -> Tensor:
        form = "banded" if features.device.type == "cpu" else "batched"
        means = window.cut(self.means[number]) if self.pools else None
        return self.blocks[number].daem(features, form, means)

    def _rolled(self, number: int, window: Window, features: Tensor) -> Tensor:
        if not self.config.drtm:
            return features
        rows, columns = window.rows.in_map, window.columns.in_map
        return apply_window(features, self.maps[number], rows, columns)

    def _passed(self, number: int, window: Window, features: Tensor) -> Tensor:
        return self._rolled(number, window, self._enhanced(number, window, features))

    # --- the last pass ---

    def _bands(self) -> Iterator[tuple[Tensor, Tensor, bool]]:
        """What the tail sees, the medium exposure, and whether it is the last band."""
        for band in self.frame.bands:
            exposures, medium = self._exposures(band)
            parts = [self._total(window, self._head(window, exposures)) for window in band]
            yield torch.cat(parts, 3), medium, band is self.frame.bands[-1]

    def _total(self, window: Window, first: Tensor) -> Tensor:
        """F0 + F8, or what the network adds up instead."""
        kind, last = self.config.sum, len(self.blocks) - 1
        total = first.clone() if kind != "final" else first
        features = first
        if self.scratch and kind != "all":
            features = self._rolled(last, window, self.scratch.load(window))
        else:
            for number in range(len(self.blocks)):
                features = self._passed(number, window, features)
                if kind == "all":
                    total += features
        if kind == "skip":
            total += features
        return features if kind == "final" else total


def weighs_means(config: IPLConfig) -> bool:
    """Whether attention weighs means over the whole frame."""
    return config.lfe != "input" and config.dims != ""


def obstacle(config: IPLConfig, scratch: str | Path | None) -> str | None:
    """Why such a network cannot stream, and what to do; None where it can."""
    if config.shift:
        return (
            "shift=True lets every window depend on its neighbours, block after block; "
            "fuse the full frame."
        )
    if weighs_means(config) and scratch is None:
        return (
            f"lfe={config.lfe!r} weighs means over the whole frame, which every block needs "
            "before it begins; give scratch=FOLDER to keep the features between passes."
        )
    return None


def _check(
    config: IPLConfig,
    size: tuple[int, int],
    step: tuple[int, int],
    scratch: str | Path | None,
    maps: Sequence[Tensor] | None,
) -> None:
    if min(size) < SMALLEST_SIDE:
        raise ImageContractError(
            f"The exposures are {size_text(size)}; "
            f"the network needs {SMALLEST_SIDE} pixels a side at least."
        )
    if min(step) < 1:
        raise UsageError(f"rows={step[0]}, tile={step[1]}: both are 1 pixel or more.")
    if reason := obstacle(config, scratch):
        raise UsageError(f"This network cannot stream: {reason}")
    if maps is not None:
        wanted = [(1, *(config.width,) * 3)] * (config.blocks if config.drtm else 0)
        shapes = [tuple(given.shape) for given in maps]
        if shapes != wanted:
            raise UsageError(f"maps have the shapes {shapes}; this network takes {wanted}.")
