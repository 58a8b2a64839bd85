"""Infinite Pixel Learning as a fusion method: weights, cache, streaming, under two names."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import numpy as np
import psutil
import torch
from torch import Tensor

from dmef_bench.errors import CheckpointError, UnavailableError, UsageError
from dmef_bench.exposure.camera_response import CameraResponse
from dmef_bench.method import Method, RowReader, RowSink, StatefulMethod, traits
from dmef_bench.metrics.tonemap import DISPLAY_GAMMA
from dmef_bench.scene import ExposureStack, Image, size_text
from dmef_bench.torch_method import RANDOM, TorchMethod
from ipl.attention_cache import AttentionCache, CachePolicy
from ipl.cached_blocks import What
from ipl.codecs import train_codecs
from ipl.first import is_installed, load_first, method_name, with_first
from ipl.network import IPLConfig, IPLNetwork
from ipl.normalised import (
    NormalisedRows,
    find_response,
    normalised,
    normalising_table,
    stated_evs,
)
from ipl.packing import CODECS, Quant, Scales
from ipl.recipes import RECIPES
from ipl.row_bands import StackRows
from ipl.streaming import fuse_streaming, obstacle, weighs_means
from ipl.weights_file import check_size, header_of, read_config

logger = logging.getLogger(__name__)

IDENTITY = "identity"
TINY = "ipl-tiny"

FREE_SHARE = 0.6
"""Of the free memory that a full frame may take under ``streaming="auto"``."""


class IPL(TorchMethod):
    """The network of the 4K-DMEF paper, on frames of any size.

    Parameters
    ----------
    config : IPLConfig, optional
        What the network is. By default what its weights say in their header, else the paper's.
    weights : str or Path, optional
        A file or a run folder of ``dmef train``. ``"random"``, for timing and cost alone;
        ``"identity"``, an untrained network, which returns the medium exposure. None takes the
        weights that are shipped. ``checkpoint``, as other networks call it, says the same.
    device, dtype, seed
        See `TorchMethod`.
    cache, what, quant, scales, max_bytes, tau
        See `AttentionCache`. The codecs of ``quant="cnn_w"`` and ``"cnn_c"`` are trained by
        `calibrate`, for ``codec_steps``.
    streaming : {"auto", True, False}
        Band by band in bounded memory (`ipl.streaming`). ``"auto"``: where a full frame would take
        more than 60 % of the memory that is free.
    scratch : str or Path, optional
        A folder for the features of a streamed frame, which saves four fifths of its time.
    response : str or CameraResponse
        Of ``inputs="normalised"``: the camera whose response brings exposures to EV 0.
    **fields
        Those of `IPLConfig`. They must agree with the header of the weights; of ``first``, the
        method, whose options may be others than in training.

    Raises
    ------
    UnavailableError
        No weights, or no such device.
    CheckpointError
        The weights are damaged, or made for another configuration.
    UsageError
        Options that contradict one another, or do not exist.

    References
    ----------
    Chen et al., arXiv:2412.11685. The architecture is reconstructed: its skeleton is identified by
    the paper's numbers, its chunk sizes are chosen.
    """

    name = "ipl"
    paper = "arXiv:2412.11685"
    exposures = 3
    recipes = RECIPES
    own: ClassVar[Mapping[str, Any]] = {}
    """Fields of `IPLConfig` that belong to the name."""

    def __init__(
        self,
        config: IPLConfig | None = None,
        *,
        weights: str | Path | None = None,
        checkpoint: str | Path | None = None,
        device: str | None = None,
        dtype: str = "float32",
        seed: int = 0,
        cache: CachePolicy | str = "off",
        what: What = "weights",
        quant: Quant = "uint8",
        scales: Scales = "tensor",
        max_bytes: int | None = None,
        tau: float = 0.0,
        codec_steps: int = 2000,
        streaming: Literal["auto", True, False] = "auto",
        scratch: str | Path | None = None,
        response: str | CameraResponse = "Sigmoid",
        **fields: Any,
    ) -> None:
        if weights is not None and checkpoint is not None:
            raise UsageError("weights and checkpoint are two names of one option; give one.")
        if streaming not in ("auto", True, False):
            raise UsageError(f"streaming={streaming!r}; choose auto, true or false.")
        weights = checkpoint if weights is None else weights
        self._stated = {**self.own, **(dataclasses.asdict(config) if config else {}), **fields}
        self.config = IPLConfig(**self._stated)
        if any(getattr(self.config, name) != value for name, value in self.own.items()):
            raise UsageError(f"{self.name} has {dict(self.own)}; others go by the name {IPL.name}.")
        identity = str(weights) == IDENTITY
        if identity:
            self.config = dataclasses.replace(self.config, init="identity")
        self.streaming = streaming
        self.scratch = scratch
        self.codec_steps = codec_steps
        self.response = find_response(response)
        self.first: Method | None = None
        self.cache = AttentionCache(
            cache, what=what, quant=quant, scales=scales, max_bytes=max_bytes, tau=tau
        )
        super().__init__(RANDOM if identity else weights, device=device, dtype=dtype, seed=seed)
        if self.config.width == IPLConfig.tiny().width:
            self.name = TINY  # whatever it was asked for by, it is not the paper's
        if self.untrained and not identity:
            # As it comes, it would return the medium exposure.
            self.network_in_use.up.gain.reset_parameters()
        self.network_in_use.cache = self.cache
        if self.config.first:
            self.first = load_first(self.config.first, self.device)
        if streaming is True:
            self._check_streaming()

    # --- what the harness asks ---------------------------------------------------------------

    @property
    def stride(self) -> int:  # type: ignore[override]
        """Pixels of a brick: sizes of its multiples need no padding."""
        own = 1 if self.first is None else traits(self.first).stride
        return math.lcm(self.config.multiple, own)

    @property
    def halo(self) -> int:
        """Pixels around a tile that reach into it, global maps apart: a brick, and its own halo."""
        own = 0 if self.first is None else traits(self.first).halo
        return self.config.multiple + 1 + own

    @property
    def needs_evs(self) -> bool:
        """Whether exposures are brought to EV 0, which takes their EVs, or `first` needs them."""
        first = self.first is not None and traits(self.first).needs_evs
        return self.config.inputs == "normalised" or first

    @property
    def is_global(self) -> bool:
        """Whether anything but bricks is looked at: maps, means over the frame, or by `first`."""
        first = self.first is not None and traits(self.first).is_global
        return self.config.drtm or weighs_means(self.config) or first

    @property
    def preparation(self) -> str:  # type: ignore[override]
        """The method that fuses whole stacks beforehand, and its weights; empty without one."""
        digest = "" if self.first is None else traits(self.first).weights_digest
        return f"{self.config.first} {digest}".strip()

    def network(self) -> IPLNetwork:
        """A fresh network, which returns the medium exposure until it is trained."""
        return IPLNetwork(self.config)

    def header(self) -> dict[str, str]:
        """What a weights file of `network` must say."""
        return header_of(self.config)

    @property
    def network_in_use(self) -> IPLNetwork:
        """The network with its weights."""
        return cast(IPLNetwork, self._module)

    def target(
        self,
        truth: Tensor,
        evs: tuple[float, ...] | None,  # noqa: ARG002 - a finished picture has no scale
        *,
        linear: bool,
    ) -> Tensor:
        """What the network should give in training: a finished picture, of radiance as well."""
        return truth.clamp(0, 1) ** (1 / DISPLAY_GAMMA) if linear else truth

    # --- weights -----------------------------------------------------------------------------

    def shipped(self) -> Path | None:
        """The weights of this name, where there are any."""
        kind = "" if self.config.inputs == "display" else f"-{self.config.inputs}"
        if self.config.first:
            kind = f"-{method_name(self.config.first)}{kind}"
        folder = Path(__file__).parent / "weights"
        file = folder / f"{self.name}{kind}.safetensors"
        # A first method may be any file.py:Class.
        return file if file.parent == folder and file.is_file() else None

    def state(self, checkpoint: Path) -> dict[str, Tensor]:
        """The weights, after their header has said what network they belong to."""
        found = read_config(checkpoint)
        if found is not None:
            self._agree(found, checkpoint)
        state = super().state(checkpoint)
        if found is not None:
            check_size(found, state, checkpoint)
            # Whoever names the first method's options has the last word on them.
            first = self._stated.get("first", found.first)
            self.config = dataclasses.replace(found, first=first)
        return state

    def _agree(self, found: IPLConfig, checkpoint: Path) -> None:
        self._agree_on_first(found.first, checkpoint)
        for name in [name for name in self._stated if name not in ("init", "first")]:
            asked, made = getattr(self.config, name), getattr(found, name)
            if self._stated[name] is not None and asked != made:
                raise CheckpointError(
                    f"{name}={asked!r} was asked for, and {checkpoint} was made with "
                    f"{name}={made!r}. Leave {name} out, or give weights that fit."
                )

    def _agree_on_first(self, made: str, checkpoint: Path) -> None:
        asked = self._stated.get("first")
        if asked is not None and method_name(asked) != method_name(made):
            raise CheckpointError(
                f"first={asked!r} was asked for, and {checkpoint} was made with first={made!r}. "
                "Leave first out, or give weights that fit."
            )
        if asked is None and made and not is_installed(made):
            # A header is nobody's order to import code.
            raise CheckpointError(
                f"{checkpoint} refines the pictures of {made!r}, which is no installed method. "
                "If you trust it, name it yourself: first=..."
            )

    # --- one stack -----------------------------------------------------------------------------

    def prepare(self, stack: ExposureStack) -> ExposureStack:
        """The stack with the first method's picture in place of the medium exposure."""
        return stack if self.first is None else with_first(stack, self.first)

    def tensor(self, stack: ExposureStack, index: int) -> Tensor:
        """One exposure on the device, (1, 3, H, W), float32; at EV 0 where the network wants it."""
        fused_before = self.first is not None and index == stack.reference
        if self.config.inputs == "display" or fused_before:
            return super().tensor(stack, index)
        ev = stated_evs(stack.evs)[index]
        if stack.encoded is None:
            moved = torch.from_numpy(normalised(stack.images[index], ev, self.response))
            return moved.to(self.device).permute(2, 0, 1)[None]
        codes = stack.encoded[index]
        table = torch.from_numpy(normalising_table(codes, ev, self.response)).to(self.device)
        # The bytes travel. torch looks up by int32, and knows few operations on uint16.
        plain = codes.copy() if codes.dtype == np.uint8 else codes.astype(np.int32)
        places = torch.from_numpy(plain).to(self.device, torch.int32)
        return table[places].permute(2, 0, 1)[None]

    def upload(self, stack: ExposureStack) -> Any:
        """Bring the stack to the device; a stack to be streamed stays where it is.

        So does one that another method fuses first: that is computing, and `compute` does it.
        """
        exposures = stack.images if stack.encoded is None else stack.encoded
        if len(exposures) != self.exposures:
            raise UnavailableError(
                f"{self.name} fuses three exposures; this stack has {len(exposures)}."
            )
        if self.first is not None:
            return stack
        return StackRows(stack) if self.streams(stack.size) else super().upload(stack)

    def compute(self, inputs: Any) -> Any:
        """Run the network on what `upload` returned, after the first method where there is one."""
        if isinstance(inputs, StackRows):
            return self._streamed(inputs)
        return super().compute(
            super().upload(inputs) if isinstance(inputs, ExposureStack) else inputs
        )

    def download(self, outputs: Any) -> Image:
        """Bring the picture back; a streamed one has arrived."""
        return outputs if isinstance(outputs, np.ndarray) else super().download(outputs)

    # --- larger than memory --------------------------------------------------------------------

    def fuse_rows(self, rows: RowReader, sink: RowSink) -> None:
        """Fuse band by band, in memory that does not grow with the height (`fuse_streaming`)."""
        self._check_streaming()
        self._streamed(rows, sink)

    def streams(self, size: tuple[int, int]) -> bool:
        """Whether a stack of this (height, width) is fused band by band."""
        if self.streaming != "auto":
            return bool(self.streaming)
        if self._obstacle():
            return False
        takes, free = self.frame_bytes(size), free_bytes(self.device)
        if takes <= FREE_SHARE * free:
            return False
        logger.info(
            "%s streams %s: a full frame takes about %.1f GB, and %.1f GB are free.",
            self.name, size_text(size), takes / 1e9, free / 1e9,
        )  # fmt: skip
        return True

    def frame_bytes(self, size: tuple[int, int]) -> int:
        """About what a full frame of this (height, width) takes, its exposures included."""
        config, dtype = self.config, self.network_in_use.up.gain.weight.dtype
        height, width = (-(-side // config.multiple) * config.multiple for side in size)
        # In place there are F0 and F; all at once, the gates and their products beside them
        # (benchmarks/ipl_streaming.py). Nine channels come in, and six are on the way out.
        copies = 2 if self.device == "cpu" else 8
        per_pixel = copies * config.width // config.factor**2 + 15
        return dtype.itemsize * (height * width * per_pixel + 6 * config.width**3)

    def _streamed(self, rows: RowReader, sink: RowSink | None = None) -> Any:
        if self.config.inputs == "normalised":
            rows = NormalisedRows(rows, self.response)
        maps = self.cache.maps() or None
        return fuse_streaming(self.network_in_use, rows, scratch=self.scratch, maps=maps, out=sink)

    def _check_streaming(self) -> None:
        if reason := self._obstacle():
            raise UsageError(f"{self.name} cannot stream: {reason}")

    def _obstacle(self) -> str | None:
        if self.config.first:
            return f"first={self.config.first} fuses the whole frame beforehand; leave it out."
        if self.cache.policy not in (CachePolicy.OFF, CachePolicy.PINNED):
            return f"cache={str(self.cache.policy)!r} is about full frames; choose cache='off'."
        return obstacle(self.config, self.scratch)

    # --- the cache -----------------------------------------------------------------------------

    def calibrate(self, stacks: Iterable[ExposureStack]) -> None:
        """Fill the cache, where its policy wants it; codecs are trained first."""
        if not self.cache.wants_filling:
            return
        if self.cache.quant in CODECS and self.cache.codecs is None:
            stacks = list(stacks)
            exposures = (super(IPL, self).upload(stack) for stack in stacks)
            self.cache.codecs = list(
                train_codecs(
                    self.network_in_use,
                    exposures,
                    cast(Any, self.cache.quant),
                    what=cast(Any, self.cache.what),
                    steps=self.codec_steps,
                )
            )
        with self.cache.filling():
            for stack in stacks:
                super().compute(super().upload(stack))

    def reset(self) -> None:
        """Forget what the cache learnt from earlier stacks, but for those of `calibrate`."""
        if isinstance(self.first, StatefulMethod):
            self.first.reset()
        self.cache.reset(keep_calibrated=True)

    def cache_counters(self) -> Mapping[str, float]:
        """`CacheStats` since `reset`; nothing without a cache."""
        return {} if self.cache.policy == CachePolicy.OFF else dataclasses.asdict(self.cache.stats)


class IPLTiny(IPL):
    """A network of 114,252 parameters for demonstrations and tests on a CPU; not the paper's."""

    name = TINY
    own: ClassVar[Mapping[str, Any]] = {"dim": 16, "chunks": (16, 16, 16)}


def free_bytes(device: str) -> int:
    """Memory that nobody uses: of a GPU what torch itself holds in reserve, too."""
    if device == "cpu":
        return int(psutil.virtual_memory().available)
    reserve = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + reserve
