"""FSHDR's BridgeNet (Prabhakar et al. 2021): three encoders, two bridges, dilated blocks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.hdr_inputs import HDRNetworkMethod, InputLayout
from baselines.recipes import RECIPES
from dmef_bench.errors import UsageError

LEVELS = 3
DILATIONS = (1, 2, 3)


class BridgeNet(nn.Module):
    """The network of "Labeled from Unlabeled: Few-shot Deep HDR Deghosting", called FSHDR.

    Prabhakar et al., CVPR 2021. Every exposure has an encoder of its own. Beside them run two
    bridges, which gather level by level what the low and the medium exposure, and the medium and
    the high one, have to say together. The paper is about training with few labels; the layers
    are those of the authors' TensorFlow model (Susmit-A/FSHDR, MIT, commit 45dfbe7), whose
    checkpoints `from_keras` translates.

    Parameters
    ----------
    in_channels : int
        Channels of one exposure: 6 for the picture and its linear copy, 3 for the picture alone.
    features : int
        Channels of the feature maps.
    """

    def __init__(self, in_channels: int = 6, features: int = 64) -> None:
        super().__init__()
        encoder = (in_channels, features, features)
        # A bridge sees two encoders and, after the first level, itself one level before.
        bridge = (2 * features, 3 * features, 3 * features)
        self.encoder_low = convolutions(encoder, features)
        self.encoder_medium = convolutions(encoder, features)
        self.encoder_high = convolutions(encoder, features)
        self.bridge_low = convolutions(bridge, features)
        self.bridge_high = convolutions(bridge, features)
        self.dilated = nn.ModuleList(
            DilatedBlock(channels, features) for channels in (3 * features, 6 * features)
        )
        self.output = nn.Conv2d(9 * features, 3, 3, padding=1)

    def forward(self, x_low: Tensor, x_medium: Tensor, x_high: Tensor) -> Tensor:
        """Fuse three exposures of one size; the medium one is the reference.

        Parameters
        ----------
        x_low, x_medium, x_high : Tensor, shape (N, in_channels, H, W)
            The exposures, of any size.

        Returns
        -------
        Tensor, shape (N, 3, H, W)
            The fused picture, in (0, 1).
        """
        return torch.sigmoid(self.output(self.dense(self.encode(x_low, x_medium, x_high))))

    def encode(self, low: Tensor, medium: Tensor, high: Tensor) -> Tensor:
        """The reference's features and both bridges, (N, 3 * features, H, W)."""
        to_low: tuple[Tensor, ...] = ()
        to_high: tuple[Tensor, ...] = ()
        for level in range(LEVELS):
            low = leaky(self.encoder_low[level](low), 0.2)
            medium = leaky(self.encoder_medium[level](medium), 0.2)
            high = leaky(self.encoder_high[level](high), 0.2)
            # Unnamed, the concatenations are gone before the next one is made.
            to_low = (leaky(self.bridge_low[level](cat(low, medium, *to_low)), 0.2),)
            to_high = (leaky(self.bridge_high[level](cat(medium, high, *to_high)), 0.2),)
        return cat(medium, *to_low, *to_high)

    def dense(self, maps: Tensor) -> Tensor:
        """The given maps and those of both dilated blocks, (N, 9 * features, H, W).

        The second block sees what the first one saw and what it made of it.
        """
        if torch.is_grad_enabled() or len(maps) > 1 or not maps.is_contiguous():
            for block in self.dilated:
                maps = cat(maps, *block(maps))
            return maps
        # The maps of one picture follow one another in memory: each block can read those before
        # it and write its own behind them. The same to the last bit in 0.67 of the memory; but a
        # batch, or channels last, would be copied at every convolution, slower than above.
        made = maps.shape[1]
        maps = functional.pad(maps, (0, 0, 0, 0, 0, 2 * made))
        for block, seen in zip(self.dilated, (made, 2 * made), strict=True):
            torch.cat(block(maps[:, :seen]), dim=1, out=maps[:, seen : seen + made])
        return maps


class DilatedBlock(nn.ModuleList):
    """Three parallel 3x3 convolutions, which reach 1, 2 and 3 pixels far.

    Parameters
    ----------
    in_channels : int
        Channels in.
    features : int
        Channels out of each.
    """

    def __init__(self, in_channels: int, features: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, features, 3, padding=reach, dilation=reach)
            for reach in DILATIONS
        )

    def forward(self, maps: Tensor) -> tuple[Tensor, ...]:
        """(N, in_channels, H, W) to three of (N, features, H, W)."""
        return tuple(leaky(convolution(maps), 0.3) for convolution in self)


def cat(*maps: Tensor) -> Tensor:
    """Feature maps beside one another, in the order given."""
    return torch.cat(maps, dim=1)


def leaky(maps: Tensor, slope: float) -> Tensor:
    """LeakyReLU in place: 0.2 in encoders and bridges, Keras' own 0.3 in the dilated blocks."""
    return functional.leaky_relu(maps, slope, inplace=True)


def convolutions(inputs: tuple[int, ...], features: int) -> nn.ModuleList:
    """The 3x3 convolutions of one encoder or bridge, one a level, by their input channels."""
    return nn.ModuleList(nn.Conv2d(channels, features, 3, padding=1) for channels in inputs)


COLUMNS = {
    "encoder_low": (1, 4, 9),
    "encoder_medium": (0, 3, 8),
    "encoder_high": (2, 6, 11),
    "bridge_low": (5, 10, 13),
    "bridge_high": (7, 12, 14),
}
KERAS_LAYERS = {
    **{f"{column}.{level}": f"{n}" for column, ns in COLUMNS.items() for level, n in enumerate(ns)},
    **{f"dilated.{b}.{i}": f"{15 + b}/conv{i + 1}" for b in (0, 1) for i in range(len(DILATIONS))},
    "output": "17",
}
"""Our layer to its place in the authors' checkpoint, which counts layers by Keras' depth."""


def keras_name(key: str) -> str:
    """Under which name the authors' TensorFlow checkpoint keeps a tensor of `BridgeNet`.

    Examples
    --------
    >>> keras_name("dilated.0.1.bias")
    'layer_with_weights-15/conv2/bias/.ATTRIBUTES/VARIABLE_VALUE'
    """
    layer, _, kind = key.rpartition(".")
    variable = {"weight": "kernel", "bias": "bias"}[kind]
    return f"layer_with_weights-{KERAS_LAYERS[layer]}/{variable}/.ATTRIBUTES/VARIABLE_VALUE"


def from_keras(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """Translate the authors' TensorFlow checkpoint into a state of `BridgeNet`.

    TensorFlow is needed on the side of whoever holds the checkpoint, not here::

        reader = tf.train.load_checkpoint("results/complete_SIG17/...")
        arrays = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}

    Parameters
    ----------
    arrays : mapping of str to array
        The checkpoint's variables by name, convolution kernels as (height, width, in, out). What
        belongs to no layer (the optimiser's state, counters, the object graph) is ignored.

    Returns
    -------
    dict of str to Tensor
        For ``BridgeNet(in_channels).load_state_dict``, where ``in_channels`` is
        ``state["encoder_medium.0.weight"].shape[1]``. Float32 copies.

    Raises
    ------
    UsageError
        If variables are missing or have other shapes than BridgeNet's; it lists them.
    """
    first = np.shape(arrays.get(keras_name("encoder_medium.0.weight"), ()))
    # Where the first kernel is no kernel, it is reported below, whatever is expected of it.
    in_channels = first[2] if len(first) == 4 else 6
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in BridgeNet(in_channels).state_dict().items()}
    wrong = [fault for key, shape in shapes.items() if (fault := _fault(arrays, key, shape))]
    if wrong:
        raise UsageError(
            f"These are not the variables of FSHDR's network: {'; '.join(wrong)}. Pass all that "
            "tf.train.load_checkpoint lists, kernels as (height, width, in, out)."
        )
    return {key: _to_torch(arrays[keras_name(key)]) for key in shapes}


def _fault(arrays: Mapping[str, np.ndarray], key: str, shape: tuple[int, ...]) -> str | None:
    name = keras_name(key)
    if name not in arrays:
        return f"{name} is missing"
    found = np.shape(arrays[name])
    wanted = tuple(shape[axis] for axis in (2, 3, 1, 0)) if len(shape) == 4 else tuple(shape)
    return None if found == wanted else f"{name} is {found} instead of {wanted}"


def _to_torch(array: np.ndarray) -> Tensor:
    values = torch.from_numpy(np.array(array, np.float32))
    return values.permute(3, 2, 0, 1).contiguous() if values.ndim == 4 else values


class FSHDR(HDRNetworkMethod):
    """FSHDR's network as a fusion method; the frames are taken as they are, unaligned.

    The authors align the outer exposures to the medium one by optical flow first; that is no part
    of the network, and it is not done here.
    """

    name = "fshdr"
    paper = "Prabhakar et al., CVPR 2021 (supervised network, unaligned frames)"
    paper_size = (512, 512)
    recipes = RECIPES["fshdr"]
    stride = 1
    # Encoder, three bridges, two blocks of up to three pixels, output.
    halo = 11
    layout = InputLayout(clip_linear=True)

    def network(self) -> BridgeNet:
        """Build the network afresh."""
        return BridgeNet(self.in_channels)

    def first_convolution(self) -> str:
        """Key of the weight whose second axis counts the channels of an exposure."""
        return "encoder_medium.0.weight"
