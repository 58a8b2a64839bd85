"""The Infinite Pixel Learning network: sub-pixels down, eight attention blocks, sub-pixels up."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Literal, Self, cast, get_args, get_origin, get_type_hints

import torch
from torch import Tensor, nn
from torch.nn import functional

from dmef_bench import strict_json
from dmef_bench.errors import ImageContractError, UsageError
from dmef_bench.scene import size_text
from ipl.attention_cache import AttentionCache
from ipl.daem import DAEM, Form, Response
from ipl.drtm import DRTM, Roll

SMALLEST_SIDE = 16
"""Pixels; below, the network would fuse padding."""

# Feature rows that head and tail work on at a time: 6 MB at 4K.
BAND_ROWS = 8


@dataclass(frozen=True, slots=True)
class IPLConfig:
    """What the network is: the paper where it speaks, variant A where it does not.

    Parameters
    ----------
    variant : {"A", "B"}
        A: head conv3x3, unshuffle, conv1x1 and tail conv1x1, shuffle, conv3x3. B: no conv1x1 in
        the head, conv3x3 in its place in the tail, and a rolling module without biases. Both print
        the paper's parameters and FLOPs.
    dim, factor : int
        Feature channels, and the side of the sub-pixel blocks; the network's width is their
        product.
    blocks : int
        Feature integration blocks.
    chunks, hidden : (int, int, int), optional
        Chunk sizes along C, W and H, and widths inside their extractors. By variant: (64, 16, 16)
        and half of the chunks, or (12, 8, 8) and (12, 12, 12).
    dims : str
        Dimensions that the attention works along; "" switches it off.
    drtm : bool
        Whether blocks hold the rolling transformation.
    grid : int, optional
        Side of its cube; only the width is possible, as one matrix serves all three axes.
    roll : {"chw", "mixnet"}
        Order in which its axes are mixed.
    lfe : {"input", "eq3", "hybrid"}
        What attention weights multiply.
    sum : {"skip", "all", "final"}
        The tail sees F0 + F8, F0 + ... + F8, or F8.
    head : {"gain", "affine"}
        Multiply the medium exposure by the network's output, or add three more channels as well.
    init : {"identity", "torch"}
        ``identity``: an untrained network returns the medium exposure.
    pad : {"replicate", "reflect"}
        What fills the picture up to whole bricks, at the right and at the bottom.
    shift : bool
        Move the grid of chunks by half a chunk in every other block.
    inputs : {"display", "normalised"}
        What the network was trained on: exposures as they are, or brought to EV 0 by the camera
        response beforehand. The network itself does the same to both.
    first : str
        The method, ``METHOD`` or ``METHOD@key=value,...``, whose fused picture stood in for the
        medium exposure in training; empty where none did. The network itself knows nothing of it.

    Raises
    ------
    UsageError
        A value that no network can be built from.

    Examples
    --------
    >>> IPLConfig().width, IPLConfig(variant="B").chunks
    (192, (12, 8, 8))
    >>> IPLConfig.from_json(IPLConfig.tiny().to_json()) == IPLConfig.tiny()
    True

    References
    ----------
    Chen et al., arXiv:2412.11685. Width, grid and blocks follow from its printed parameters and
    FLOPs; chunk sizes do not.
    """

    variant: Literal["A", "B"] = "A"
    dim: int = 48
    factor: int = 4
    blocks: int = 8
    chunks: tuple[int, int, int] | None = None
    hidden: tuple[int, int, int] | None = None
    dims: str = "CWH"
    drtm: bool = True
    grid: int | None = None
    roll: Roll = "chw"
    lfe: Response = "input"
    sum: Literal["skip", "all", "final"] = "skip"
    head: Literal["gain", "affine"] = "gain"
    init: Literal["identity", "torch"] = "identity"
    pad: Literal["replicate", "reflect"] = "replicate"
    shift: bool = False
    inputs: Literal["display", "normalised"] = "display"
    first: str = ""

    def __post_init__(self) -> None:
        self._check_choices()
        for name in ("dim", "factor", "blocks"):
            _check(_is_count(getattr(self, name)), f"{name}={getattr(self, name)!r}", "1 or more")
        self._fill("chunks", (64, 16, 16) if self.variant == "A" else (12, 8, 8))
        halves = tuple(max(length // 2, 1) for length in self.brick)
        self._fill("hidden", halves if self.variant == "A" else (12, 12, 12))
        object.__setattr__(self, "grid", self.width if self.grid is None else self.grid)
        self._check_sizes()
        self._check_dims()
        _check(isinstance(self.first, str), f"first={self.first!r}", "METHOD@key=value,... as text")

    @classmethod
    def tiny(cls) -> IPLConfig:
        """A network of 114,252 parameters for tests and demonstrations on a CPU."""
        return cls(dim=16, chunks=(16, 16, 16))

    @classmethod
    def from_json(cls, text: str) -> IPLConfig:
        """Read what `to_json` wrote; UsageError where a key is unknown or a value impossible."""
        try:
            values = strict_json.loads(text)
        except ValueError as error:
            raise UsageError(f"The configuration is not JSON: {error}.") from error
        _check(isinstance(values, dict), f"configuration {text!r}", "a JSON object")
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise UsageError(f"IPLConfig has no {', '.join(unknown)}; it has {', '.join(known)}.")
        return cls(**values)

    def to_json(self) -> str:
        """Canonical JSON: every field, sorted, the same text for the same network."""
        return strict_json.canonical(asdict(self)).decode("ascii")

    @property
    def width(self) -> int:
        """Channels of the features."""
        return self.dim * self.factor

    @property
    def brick(self) -> tuple[int, int, int]:
        """Chunk sizes along C, W and H."""
        return cast(tuple[int, int, int], self.chunks)

    @property
    def stem_channels(self) -> int:
        """Channels before the unshuffle."""
        return self.width // self.factor**2

    @property
    def multiple(self) -> int:
        """Pixels of whose multiple both sides of the padded picture are."""
        _, columns, rows = self.brick
        return self.factor * math.lcm(columns, rows)

    def _fill(self, name: str, default: tuple[int, ...]) -> None:
        value = getattr(self, name)
        value = default if value is None else value
        right = isinstance(value, (tuple, list)) and len(value) == 3 and all(map(_is_count, value))
        _check(right, f"{name}={value!r}", "three whole numbers above 0, along C, W and H")
        object.__setattr__(self, name, tuple(value))

    def _check_choices(self) -> None:
        for name, hint in get_type_hints(type(self)).items():
            value = getattr(self, name)
            if get_origin(hint) is Literal:
                choices = get_args(hint)
                _check(value in choices, f"{name}={value!r}", " or ".join(map(repr, choices)))
            if hint is bool:
                _check(isinstance(value, bool), f"{name}={value!r}", "True or False")

    def _check_sizes(self) -> None:
        width, block = self.width, self.factor**2
        _check(width % block == 0, f"width {width} (dim * factor)", f"a multiple of {block}")
        channels = self.brick[0]
        _check(width % channels == 0, f"chunks={self.chunks!r}", f"a divisor of {width} along C")
        _check(self.grid == width, f"grid={self.grid!r}", f"{width}, the network's width")

    def _check_dims(self) -> None:
        dims = self.dims
        right = isinstance(dims, str) and set(dims) <= set("CWH") and len(set(dims)) == len(dims)
        _check(right, f"dims={dims!r}", "letters of 'CWH', each once at most")
        object.__setattr__(self, "dims", "".join(dim for dim in "CWH" if dim in dims))


class DownSampler(nn.Module):
    """Three exposures to features F0: conv3x3, unshuffle, and in variant A conv1x1.

    The 16 phases of a stem channel come to stand side by side, so 64 features are four of them.
    """

    def __init__(self, config: IPLConfig) -> None:
        super().__init__()
        self.stem = nn.Conv2d(9, config.stem_channels, 3, padding=1)
        self.unshuffle = nn.PixelUnshuffle(config.factor)
        self.mix = nn.Conv2d(config.width, config.width, 1) if config.variant == "A" else None

    def forward(self, exposures: Tensor, form: Form = "batched") -> Tensor:
        """(N, 9, H, W) to (N, width, H / factor, W / factor)."""
        if form != "banded":
            return self._mixed(self.stem(exposures))
        count, _, height, width = exposures.shape
        factor = self.unshuffle.downscale_factor
        channels = self.stem.out_channels * factor**2
        features = exposures.new_empty(count, channels, height // factor, width // factor)
        for start, stop in _bands(features.shape[2]):
            stem = convolve_rows(self.stem, exposures, start * factor, stop * factor)
            features[:, :, start:stop] = self.packed(stem)
        return features

    def packed(self, stem: Tensor) -> Tensor:
        """Unshuffle and mix in one convolution, over blocks of pixels side by side."""
        factor = self.unshuffle.downscale_factor
        if self.mix is None:
            return self._mixed(stem)
        blocks = self.mix.weight.view(-1, self.stem.out_channels, factor, factor)
        return functional.conv2d(stem, blocks, self.mix.bias, stride=factor)

    def _mixed(self, stem: Tensor) -> Tensor:
        features: Tensor = self.unshuffle(stem)
        return features if self.mix is None else self.mix(features)


class UpSampler(nn.Module):
    """Features to the gain of the medium exposure: conv1x1 (B: conv3x3), shuffle, conv3x3.

    With ``head="affine"`` six channels come out, three of gain and three to add.
    """

    def __init__(self, config: IPLConfig) -> None:
        super().__init__()
        outputs = 3 if config.head == "gain" else 6
        size = 1 if config.variant == "A" else 3
        packed = outputs * config.factor**2
        self.mix = nn.Conv2d(config.width, packed, size, padding=size // 2)
        self.shuffle = nn.PixelShuffle(config.factor)
        self.gain = nn.Conv2d(outputs, outputs, 3, padding=1)
        if config.init == "identity":
            nn.init.zeros_(self.gain.weight)
            bias = cast(Tensor, self.gain.bias)
            nn.init.ones_(bias[:3])
            nn.init.zeros_(bias[3:])

    def forward(self, features: Tensor, form: Form = "batched") -> Tensor:
        """(N, width, h, w) to (N, 3 or 6, factor h, factor w)."""
        gain: Tensor = self.gain(self.pixels(features, form))
        return gain

    def pixels(self, features: Tensor, form: Form = "batched") -> Tensor:
        """All but the last convolution: the last map that is local to tiles (in variant A)."""
        if form != "banded":
            return self._shuffled(self.mix(features))
        count, _, height, width = features.shape
        factor = self.shuffle.upscale_factor
        channels = self.gain.in_channels
        pixels = _channels_last(features, (count, channels, height * factor, width * factor))
        for start, stop in _bands(height):
            band = convolve_rows(self.mix, features, start, stop)
            pixels[:, :, start * factor : stop * factor] = self._shuffled(band)
        return pixels

    def _shuffled(self, packed: Tensor) -> Tensor:
        pixels: Tensor = self.shuffle(packed)
        return pixels


class FeatureIntegrationBlock(nn.Module):
    """``D + D * up(map(D))`` with ``D = DAEM(F)``; a switched-off half passes features on.

    Parameters
    ----------
    config : IPLConfig
        Of the network.
    index : int
        Place in the network, from 0; with ``config.shift`` odd ones move their grid.

    References
    ----------
    Eqs. 13 and 14 of Chen et al., arXiv:2412.11685.
    """

    def __init__(self, config: IPLConfig, index: int = 0) -> None:
        super().__init__()
        self.daem = DAEM(
            config.brick,
            cast(tuple[int, int, int], config.hidden),
            dims=config.dims,
            lfe=config.lfe,
            shift=config.shift and index % 2 == 1,
        )
        bias = config.variant == "A"
        self.drtm = DRTM(config.width, bias=bias, roll=config.roll) if config.drtm else None

    def forward(self, features: Tensor, form: Form = "batched") -> Tensor:
        """(N, width, h, w) to the same; ``banded`` overwrites its input."""
        enhanced: Tensor = self.daem(features, form)
        return enhanced if self.drtm is None else self.drtm(enhanced, form)


class IPLNetwork(nn.Module):
    """Infinite Pixel Learning: fuse three exposures of any size on one device, untiled.

    Parameters
    ----------
    config : IPLConfig, optional
        Variant A, the paper's size, by default.

    Attributes
    ----------
    form : {"auto", "loop", "batched", "banded"}
        How the same numbers are computed: by the paper's words; all chunks at once, which
        training needs; in place, slab by slab, the fastest on a CPU. ``auto``: ``banded`` for
        inference on a CPU, ``batched`` otherwise.
    cache : AttentionCache or None
        Whose attention may stand in for that of a picture; asked during inference alone.

    Notes
    -----
    The paper's code is not public. Its printed numbers identify the skeleton; chunk sizes, head
    and tail are chosen.

    References
    ----------
    Chen et al., "Ultra-High-Definition Dynamic Multi-Exposure Image Fusion via Infinite Pixel
    Learning", arXiv:2412.11685.
    """

    def __init__(self, config: IPLConfig | None = None) -> None:
        super().__init__()
        self.config = config or IPLConfig()
        self.form: Literal["auto", "loop", "batched", "banded"] = "auto"
        self.cache: AttentionCache | None = None
        self.register_load_state_dict_post_hook(_forget_attention)
        self.down = DownSampler(self.config)
        self.blocks = nn.ModuleList(
            FeatureIntegrationBlock(self.config, index) for index in range(self.config.blocks)
        )
        self.up = UpSampler(self.config)

    def forward(self, x_low: Tensor, x_medium: Tensor, x_high: Tensor) -> Tensor:
        """Fuse.

        Parameters
        ----------
        x_low, x_medium, x_high : Tensor, shape (N, 3, H, W)
            Display-encoded RGB of rising exposure, of one size, H and W from 16 up; any
            floating type, which the network brings to that of its weights.

        Returns
        -------
        Tensor, shape (N, 3, H, W)
            The medium exposure times the gain. Not clamped to [0, 1]: training needs the slope.

        Raises
        ------
        ImageContractError
            Pictures that are too small, unequal, not of floating type, or that hold NaN or infinity
            (noticed on a CPU only).
        UsageError
            A form that does not exist or cannot keep the gradients asked for.
        """
        gain = self.up.gain(self.pixels(x_low, x_medium, x_high))
        height, width = x_medium.shape[2:]
        gain = gain[:, :, :height, :width]
        if self.config.head == "gain":
            return gain * x_medium
        return gain[:, :3] * x_medium + gain[:, 3:]

    def pixels(self, x_low: Tensor, x_medium: Tensor, x_high: Tensor) -> Tensor:
        """The map before the last convolution, (N, 3 or 6, H, W), H and W filled up to bricks."""
        form = self.resolved_form(x_medium.device)
        exposures = self.padded(x_low, x_medium, x_high, form=form)
        cache = self._cache_in_use()
        if cache is not None and (pixels := cache.tiles(self, exposures, form)) is not None:
            return pixels
        blocks = None if cache is None else cache.blocks(self, exposures)
        features = self.down(exposures, form)
        del exposures  # 0.3 GB at 4K
        return self.up.pixels(self.body(features, form, blocks), form)

    def padded(
        self, x_low: Tensor, x_medium: Tensor, x_high: Tensor, *, form: Form = "batched"
    ) -> Tensor:
        """Check the exposures and join them, (N, 9, H, W), H and W filled up to whole bricks."""
        exposures = {"low": x_low, "medium": x_medium, "high": x_high}
        for name, exposure in exposures.items():
            _check_exposure(exposure, name, x_medium)
        height, width = x_medium.shape[2:]
        right, bottom = -width % self.config.multiple, -height % self.config.multiple
        # A reflection cannot be wider than the picture.
        reflects = self.config.pad == "reflect" and right < width and bottom < height
        given = list(exposures.values())
        if form == "banded":
            return _filled_up(given, (right, bottom), reflects, self.up.gain.weight)
        joined = torch.cat(given, 1).to(self.up.gain.weight.dtype)
        if not right and not bottom:
            return joined
        mode = "reflect" if reflects else "replicate"
        return functional.pad(joined, (0, right, 0, bottom), mode=mode)

    def body(
        self,
        first: Tensor,
        form: Form = "batched",
        blocks: Sequence[Callable[[Tensor, Form], Tensor]] | None = None,
    ) -> Tensor:
        """What the tail sees of F0: F0 + F8 or another sum; ``banded`` may overwrite F0.

        ``blocks`` stand in for the network's own.
        """
        blocks = list(self.blocks) if blocks is None else blocks
        skips = self.config.sum != "final"
        # Banded blocks work in place, and the skip still needs what they overwrite.
        total = first.clone() if form == "banded" and skips else first
        features = first
        for number, block in enumerate(blocks, start=1):
            features = block(features, form)
            if self.config.sum == "all" or (skips and number == len(blocks)):
                total = total.add_(features) if form == "banded" else total + features
        return total if skips else features

    def train(self, mode: bool = True) -> Self:
        """As any module's; before pictures are fused, the cache looks at the weights again."""
        if self.cache is not None and not mode:
            self.cache.recheck()
        return super().train(mode)

    def _cache_in_use(self) -> AttentionCache | None:
        learns = self.training or torch.is_grad_enabled()
        return None if learns or self.cache is None or self.cache.policy == "off" else self.cache

    def resolved_form(self, device: torch.device) -> Form:
        """The form that "auto" stands for here; UsageError where the chosen one cannot work."""
        if self.form == "auto":
            learns = self.training or torch.is_grad_enabled()
            return "banded" if device.type == "cpu" and not learns else "batched"
        if self.form not in get_args(Form):
            forms = ", ".join(map(repr, ("auto", *get_args(Form))))
            raise UsageError(f"form={self.form!r} does not exist; choose one of {forms}.")
        if self.form == "banded" and torch.is_grad_enabled():
            raise UsageError(
                "form='banded' works in place and keeps no gradients; wrap the call in "
                "torch.inference_mode(), or choose 'batched'."
            )
        return self.form


def _forget_attention(network: IPLNetwork, _: object) -> None:
    """Other weights have other attention."""
    if network.cache is not None:
        network.cache.reset()


def convolve_rows(convolution: nn.Conv2d, tensor: Tensor, start: int, stop: int) -> Tensor:
    """Rows ``start`` to ``stop`` of ``convolution(tensor)``, without computing the others."""
    halo, sides = cast(tuple[int, int], convolution.padding)
    top, bottom = max(start - halo, 0), min(stop + halo, tensor.shape[2])
    rows = tensor[:, :, top:bottom]
    # Zeros stand in where the picture ends, as the whole convolution has it; inside, its own rows.
    beyond = (0, 0, halo - (start - top), halo - (bottom - stop))
    return functional.conv2d(
        functional.pad(rows, beyond), convolution.weight, convolution.bias, padding=(0, sides)
    )


def _filled_up(
    exposures: Sequence[Tensor], more: tuple[int, int], reflects: bool, like: Tensor
) -> Tensor:
    """`functional.pad` of the joined exposures, but in one copy, and as convolutions want it."""
    (right, bottom), (height, width) = more, exposures[0].shape[2:]
    joined = _channels_last(like, (len(exposures[0]), 9, height + bottom, width + right))
    for number, exposure in enumerate(exposures):
        joined[:, 3 * number : 3 * number + 3, :height, :width] = exposure
    picture = joined[:, :, :height]
    for whole, axis, size, count in ((picture, 3, width, right), (joined, 2, height, bottom)):
        last = size - 1
        border = (
            whole.narrow(axis, last - count, count).flip(axis)
            if reflects
            else whole.narrow(axis, last, 1)
        )
        whole.narrow(axis, size, count).copy_(border)
    return joined


def _channels_last(like: Tensor, size: tuple[int, int, int, int]) -> Tensor:
    """An empty tensor; few channels side by side make a convolution of 3x3 twice as fast."""
    return torch.empty(
        size, dtype=like.dtype, device=like.device, memory_format=torch.channels_last
    )


def _bands(height: int) -> list[tuple[int, int]]:
    return [(start, min(start + BAND_ROWS, height)) for start in range(0, height, BAND_ROWS)]


def _check(right: bool, what: str, wanted: str) -> None:
    if not right:
        raise UsageError(f"IPLConfig: {what} does not fit; it must be {wanted}.")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _check_exposure(exposure: Tensor, name: str, medium: Tensor) -> None:
    if exposure.ndim != 4 or exposure.shape[1] != 3:
        raise ImageContractError(
            f"The {name} exposure has shape {tuple(exposure.shape)}; "
            "the network takes (N, 3, height, width)."
        )
    if not exposure.is_floating_point():
        raise ImageContractError(
            f"The {name} exposure is {exposure.dtype}; the network takes floats in [0, 1]: "
            "divide by the largest code."
        )
    if exposure.shape != medium.shape:
        raise ImageContractError(
            f"The {name} exposure has shape {tuple(exposure.shape)}, the medium one "
            f"{tuple(medium.shape)}; the three share one."
        )
    size = exposure.shape[2:]
    if min(size) < SMALLEST_SIDE:
        raise ImageContractError(
            f"The {name} exposure is {size_text(size)}; "
            f"the network needs {SMALLEST_SIDE} pixels a side at least."
        )
    # One bad pixel would spread over the frame through the global map. A GPU would have to stop
    # and wait for the answer; there, whoever checks the fused picture finds it.
    if exposure.device.type == "cpu" and not torch.stack(torch.aminmax(exposure)).isfinite().all():
        raise ImageContractError(f"The {name} exposure holds NaN or infinity.")
