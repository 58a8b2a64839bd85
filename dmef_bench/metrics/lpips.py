"""Learned perceptual distance, tiled without changing it, and its weights: ``lpips/alex-v0.1``."""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dmef_bench.errors import ImageContractError, UnavailableError, UsageError
from dmef_bench.metrics.lpips_trunk import Trunk, find_trunk
from dmef_bench.metrics.pictures import Codes, as_code_pair
from dmef_bench.scene import size_text

if TYPE_CHECKING:
    import torch

STRIDE = 16
"""Total stride of the trunks: tiles that begin at its multiples share the full frame's grid."""

HALO = 96
"""Pixels beside a tile's core: a last-layer cell at 16 i sees [16 i − 66, 16 i + 96] (AlexNet)."""


def lpips(
    fused: npt.NDArray[np.generic],
    ground_truth: npt.NDArray[np.generic],
    *,
    network: str = "alex",
    weights: Path | None = None,
    device: str = "cpu",
    core: int | None = None,
) -> float:
    """Learned perceptual distance of two pictures, compared as 8-bit codes.

    Zhang, Isola, Efros, Shechtman, Wang, "The unreasonable effectiveness of deep features as a
    perceptual metric", CVPR 2018, version 0.1 of the ``lpips`` package, mean over the whole frame.

    Parameters
    ----------
    fused, ground_truth : ndarray, shape (H, W, 3)
        RGB, display-encoded; each float32 in [0, 1] or uint8; at least 31 pixels a side.
    network : str
        The trunk, one of `TRUNKS`.
    weights : path, optional
        File with the trunk's weights; found by `Backbone.find` if not given. The model is built
        once per process, trunk, file and device.
    device : str
        Where torch computes.
    core : int, optional
        Side of a tile in pixels, a multiple of 16; changes memory and time, not the score.
        1024 if not given, 2048 on devices with more than 8 GiB.

    Returns
    -------
    float
        The distance: 0 for identical codes, about 1 for unlike ones; lower is better.

    Raises
    ------
    ImageContractError
        A picture that breaks the contract, two sizes, or a side too short for the trunk.
    UnavailableError
        No verified weights, or no such device.
    UsageError
        An unknown ``network``, or a ``core`` that is no multiple of 16.
    """
    trunk = find_trunk(network)
    codes, truth = as_code_pair(fused, ground_truth)
    size = truth.shape[:2]
    if min(size) < trunk.smallest:
        raise ImageContractError(
            f"The pictures are {size_text(size)}; LPIPS ({network}) needs {trunk.smallest} pixels "
            "a side."
        )
    model = load_model(network, weights, device)
    return tiled_distance(model, codes, truth, network=network, core=core or _default_core(device))


# ---- the exact tiling ----------------------------------------------------------------------


def tiled_distance(
    model: torch.nn.Module,
    codes: Codes,
    truth: Codes,
    *,
    network: str = "alex",
    core: int = 1024,
) -> float:
    """LPIPS of two pictures, tile by tile, equal to the full frame's up to rounding.

    LPIPS adds up, over the layers, the mean of a map. A mean can be summed tile by tile, if each
    cell of a map is counted once and computed from the pixels it sees in the full frame.

    Parameters
    ----------
    model : torch.nn.Module
        An ``lpips.LPIPS`` in evaluation mode, on its device.
    codes, truth : ndarray, shape (H, W, 3), uint8
        Two pictures of one size.
    network : str
        The model's trunk, one of `TRUNKS`.
    core : int
        Side of a tile without its halo, in pixels, a multiple of 16.

    Returns
    -------
    float
        The distance.

    Raises
    ------
    UsageError
        An unknown ``network``, or a ``core`` that is no multiple of 16.
    """
    import torch

    trunk = find_trunk(network)
    if core < STRIDE or core % STRIDE:
        raise UsageError(f"core is {core}; tiles keep to the grid in multiples of {STRIDE} pixels.")
    height, width = truth.shape[:2]
    sums = np.zeros(len(trunk.strides))
    with torch.inference_mode(), _without_tf32():
        for down in _spans(height, core, trunk):
            for across in _spans(width, core, trunk):
                tile = down.pixels, across.pixels
                cells = list(zip(down.cells, across.cells, strict=True))
                sums += _layer_sums(model, codes[tile], truth[tile], cells)
    # One height times one width per layer: the cells of the full frame's maps.
    map_cells = np.multiply(trunk.map_sides(height), trunk.map_sides(width))
    return float(np.sum(sums / map_cells))


@dataclass(frozen=True)
class _Span:
    """A tile along one side of the picture."""

    pixels: slice
    """Core and halo, cut off at the picture's border, where the network's own padding belongs."""
    cells: tuple[slice, ...]
    """Per layer, the cells whose pixel lies in the core, counted from the tile's first cell."""


def _spans(side: int, core: int, trunk: Trunk) -> Iterator[_Span]:
    for begin in range(0, side, core):
        end = min(begin + core, side)
        first_pixel = max(begin - HALO, 0)
        cells = tuple(
            slice(
                (begin - first_pixel) // stride,
                (min(-(-end // stride), last) * stride - first_pixel) // stride,
            )
            for stride, last in zip(trunk.strides, trunk.map_sides(side), strict=True)
        )
        yield _Span(slice(first_pixel, min(end + HALO, side)), cells)


def _layer_sums(
    model: Any, codes: Codes, truth: Codes, cells: list[tuple[slice, slice]]
) -> list[float]:
    """Sum of each layer's map over the given cells of one tile.

    Both pictures descend layer by layer, so that only one layer's maps are alive at a time, and one
    after the other, so that equal pixels give equal cells to the last bit.
    """
    from lpips import normalize_tensor

    x, y = (model.scaling_layer(_as_input(picture, model)) for picture in (codes, truth))
    sums = []
    for layer, ((rows, columns), head) in enumerate(zip(cells, model.lins, strict=True), start=1):
        block = getattr(model.net, f"slice{layer}")
        x, y = block(x), block(y)  # (1, C, h, w)
        seen = [normalize_tensor(maps[:, :, rows, columns]) for maps in (x, y)]
        empty = seen[0].numel() == 0
        sums.append(0.0 if empty else float(head((seen[0] - seen[1]) ** 2).double().sum()))
    return sums


def _as_input(codes: Codes, model: Any) -> torch.Tensor:
    """Codes as the package's networks eat them: (1, 3, H, W), RGB, −1 to 1."""
    import torch

    tensor = torch.from_numpy(codes.copy()).to(model.scaling_layer.shift.device)
    return tensor.permute(2, 0, 1)[None].float() / 127.5 - 1


def _without_tf32() -> contextlib.AbstractContextManager[None]:
    """Full float32 in CUDA's convolutions, whatever the caller has set."""
    from torch.backends import cudnn

    return cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)


def _default_core(device: str) -> int:
    import torch

    if not device.startswith("cuda"):
        return 1024
    return 1024 if torch.cuda.get_device_properties(device).total_memory <= 8 * 2**30 else 2048


@functools.cache
def load_model(network: str, weights: Path | None, device: str) -> torch.nn.Module:
    """Build the ``lpips`` package's model with verified weights, once per process.

    Parameters
    ----------
    network, weights, device
        As for `lpips`.

    Returns
    -------
    torch.nn.Module
        ``lpips.LPIPS`` in evaluation mode on ``device``.

    Raises
    ------
    UnavailableError
        No verified weights, or no such device.
    UsageError
        An unknown ``network``.
    """
    import torch

    backbone = find_trunk(network).backbone
    path = backbone.find(weights)
    model = bare_model(network)
    _fill_trunk(model, backbone.read(path))
    try:
        return model.to(torch.device(device))
    except (RuntimeError, AssertionError) as error:  # torch asserts where it was built without CUDA
        raise UnavailableError(f"LPIPS cannot compute on {device}: {error}") from error


def bare_model(network: str) -> torch.nn.Module:
    """Build the package's model in silence: trained linear heads on a random trunk.

    No metric as it is: `load_model` fills the trunk. Torch's global generator is left alone.
    """
    import torch

    find_trunk(network)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        # The package asks torchvision for its models by an old argument.
        warnings.simplefilter("ignore", UserWarning)
        from lpips import LPIPS

        model: torch.nn.Module = LPIPS(net=network, pnet_rand=True, verbose=False)
    return model


def _fill_trunk(model: Any, tensors: Mapping[str, torch.Tensor]) -> None:
    # "slice2.3.weight" of the package is "features.3.weight" of torchvision.
    names = model.net.state_dict()
    model.net.load_state_dict(
        {name: tensors["features." + name.split(".", 1)[1]] for name in names}
    )
