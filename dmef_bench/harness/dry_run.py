"""Send pictures through a network and watch its operators: what they multiply, what they hold."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.module_tracker import ModuleTracker

aten = torch.ops.aten

Place = tuple[frozenset[str], str]
"""The modules at work, outermost and inner, and the operator."""

_ADDS_FIRST = (aten.addmm, aten.baddbmm)
"""Products whose first argument is added, not multiplied."""

_WITHOUT_FORMULA = frozenset(
    {
        "_cdist_forward", "_cudnn_rnn", "_fft_c2c", "_fft_c2r", "_fft_r2c", "_mps_rnn",
        "_native_multi_head_attention", "_transformer_encoder_layer_fwd", "_trilinear",
        "addbmm", "addmv", "addr", "dot", "mkldnn_rnn_layer", "mv", "vdot",
    }
)  # fmt: skip
"""PyTorch's own operators that multiply and accumulate, and that its counter passes over."""

_NO_ARITHMETIC = ("aten", "prim", "prims", "profiler")
"""Namespaces whose operators are known; what stands in any other may do anything."""


@dataclass(frozen=True)
class Products:
    """Multiply-accumulates of one forward pass.

    Parameters
    ----------
    macs : int
        Of convolutions and matrix products, attention's included.
    convolution_macs : int
        Those whose one factor are weights: convolutions, and linear layers, which are
        convolutions of one pixel.
    uncounted : tuple of str
        Operators that may multiply and that nobody has a formula for.
    """

    macs: int
    convolution_macs: int
    uncounted: tuple[str, ...]


def count_products(
    network: nn.Module, size: tuple[int, int], *, inputs: int, channels: int, device: str
) -> Products:
    """Count the products of one forward pass; the network itself stays as it is.

    Parameters
    ----------
    network : torch.nn.Module
        Takes ``inputs`` tensors of shape (1, channels, H, W).
    size : (height, width)
        Of the pictures.
    inputs, channels : int
        How many pictures, and channels of each.
    device : {"meta", "cpu"}
        Where to run: ``"meta"`` computes nothing and needs no memory at any size.
    """
    # Outside inference mode and with gradients, or nn.TransformerEncoderLayer takes a fused path
    # that counts nothing. It also does where no parameter wants a gradient: hence a copy that does.
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        probe = copy.deepcopy(network).to(device, torch.float32).eval()
        for parameter in probe.parameters():
            parameter.requires_grad_(parameter.is_floating_point())
        pictures = [torch.rand(1, channels, *size, device=device) for _ in range(inputs)]
        with FlopCounterMode(display=False) as counter, _Factors(probe, counter) as factors:
            probe(*pictures)
    return Products(
        macs=counter.get_total_flops() // 2,
        convolution_macs=factors.weighted_flops // 2,
        uncounted=tuple(sorted(factors.uncounted)),
    )


def held_bytes(
    network: nn.Module, size: tuple[int, int], *, inputs: int, channels: int, device: str
) -> dict[Place, int]:
    """Run a network without gradients and note what is held at each place, at most.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode, on ``device``, float32.
    size, inputs, channels, device
        As for `count_products`; here the pictures are real.

    Returns
    -------
    dict
        Bytes of all tensors made since the start and still alive, the pictures included, and of
        what the operator needs for itself; weights are not among them.
    """
    modules = ModuleTracker()
    with torch.no_grad(), torch.random.fork_rng(), modules, _Held(modules) as held:
        network(*(torch.rand(1, channels, *size, device=device) for _ in range(inputs)))
    return held.most


class _Factors(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Tells, above a counter, products with weights from products of features, and what is missed.

    What is made of weights alone, such as their transposed copy, counts as weights.
    """

    def __init__(self, network: nn.Module, counter: FlopCounterMode) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._counter = counter
        self._weights = _storages(list(network.parameters()))
        self.weighted_flops = 0
        self.uncounted: set[str] = set()

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        before = self._counter.get_total_flops()
        made = operation(*args, **(kwargs or {}))
        given = _storages((args, kwargs))
        if given and given <= self._weights:
            self._weights |= _storages(made)
        packet = operation._overloadpacket
        if self._weights & _storages(args[1:3] if packet in _ADDS_FIRST else args[:2]):
            self.weighted_flops += self._counter.get_total_flops() - before
        if packet not in self._counter.flop_registry and _may_multiply(operation):
            self.uncounted.add(str(packet))
        return made


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Watches which tensors made inside are alive, and how many bytes they take.

    Attributes
    ----------
    peak : int
        Bytes of all of them together, at most.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._alive: dict[StorageWeakRef, int] = {}
        self.peak = 0

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        made = operation(*args, **(kwargs or {}))
        self._alive |= {storage: t.untyped_storage().nbytes() for storage, t in _tensors(made)}
        self.peak = max(self.peak, self.now())
        return made

    def now(self) -> int:
        """Bytes of the tensors that are alive."""
        for storage in [s for s in self._alive if s.expired()]:  # type: ignore[no-untyped-call]
            del self._alive[storage]
        return sum(self._alive.values())


class _Held(LiveBytes):  # type: ignore[no-untyped-call]
    """Notes besides at which place how much was held, with what the operator needs inside."""

    def __init__(self, modules: ModuleTracker) -> None:
        super().__init__()
        self._modules = modules
        self.most: dict[Place, int] = {}

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        before = self.now()
        made = super().__torch_dispatch__(operation, types, args, kwargs)
        held = max(self.now(), before + _inside(operation, args, made))
        place = frozenset(self._modules.parents), str(operation)
        self.most[place] = max(held, self.most.get(place, 0))
        return made


def _inside(operation: Any, args: Any, made: Any) -> int:
    """Bytes that a convolution holds on a CPU while it runs, its output included.

    oneDNN reads and writes maps in blocks of eight channels: it copies its input into them, unless
    that has three channels or the kernel one pixel, and its output out of them. What only has
    shapes is counted as on a CPU.
    """
    if operation is not aten.convolution.default or made.device.type not in ("cpu", "meta"):
        return 0
    if not _has_onednn():
        return 0
    given, kernel = args[0], args[1].shape[2:]
    if max(kernel) == 1:
        return 0
    copied = _blocked(given) if given.shape[1] > 3 else 0
    return max(copied, made.nbytes) + _blocked(made)


def _has_onednn() -> bool:
    """Whether convolutions are oneDNN's with its blocks; elsewhere nobody has measured them."""
    capability = torch.backends.cpu.get_cpu_capability()
    return "AVX" in capability and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


def _blocked(maps: Tensor) -> int:
    channels = maps.shape[1]
    return maps.nbytes // channels * (channels + -channels % 8)


def _storages(values: Any) -> set[StorageWeakRef]:
    """The memory behind all tensors in a tree; views share theirs."""
    return {storage for storage, _ in _tensors(values)}


def _tensors(values: Any) -> list[tuple[StorageWeakRef, Tensor]]:
    tensors = [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
    return [(StorageWeakRef(t.untyped_storage()), t) for t in tensors]  # type: ignore[no-untyped-call]


def _may_multiply(operation: Any) -> bool:
    space, _, name = operation._schema.name.partition("::")
    return space not in _NO_ARITHMETIC or name in _WITHOUT_FORMULA
