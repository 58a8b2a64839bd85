"""The method whose fused picture the network refines: how it is found, and what it hands on."""

from __future__ import annotations

import logging

import numpy as np
import numpy.typing as npt

from dmef_bench.errors import UsageError
from dmef_bench.method import Method, traits
from dmef_bench.registry import accepts, available_methods, load_method, parse_method
from dmef_bench.scene import Encoded, ExposureStack, Image, to_float

logger = logging.getLogger(__name__)


def method_name(first: str) -> str:
    """``METHOD`` of ``METHOD@key=value,...``."""
    return parse_method(first)[0]


def is_installed(first: str) -> bool:
    """Whether it names an installed method, and no code elsewhere, in its options either."""
    return method_name(first) in available_methods() and ":" not in first


def load_first(first: str, device: str) -> Method:
    """Build the method that ``first`` names.

    Parameters
    ----------
    first : str
        As `dmef_bench.registry.parse_method` reads it.
    device : str
        Where it computes, if it can choose.

    Raises
    ------
    UsageError
        It looks at the ground truth, or does not take these options.
    MethodNotFoundError
        Nothing of that name.
    """
    name, options = parse_method(first)
    if accepts(name, "device"):
        options = {"device": device, **options}
    method = load_method(name, **options)
    if traits(method).sees_ground_truth:
        raise UsageError(f"first={first} looks at the ground truth; a network must not.")
    return method


def with_first(stack: ExposureStack, method: Method) -> ExposureStack:
    """The stack with a method's fused picture in place of the reference, as 16-bit codes.

    The EVs stay those of the exposures. Sixteen bits, so that training can store what fusing
    sees: half a code is 1/131070, far below anything that a picture of 8 bits shows.

    Parameters
    ----------
    stack : ExposureStack
        As the method takes it.
    method : Method
        Fuses it.

    Returns
    -------
    ExposureStack
        uint16, of the same size.
    """
    fused = method.fuse(stack)
    given = stack.images if stack.encoded is None else stack.encoded
    pictures = [
        _words(fused if index == stack.reference else picture)
        for index, picture in enumerate(given)
    ]
    return ExposureStack(tuple(pictures), stack.evs, stack.reference)


def _words(picture: Encoded | Image) -> npt.NDArray[np.uint16]:
    if picture.dtype == np.uint16:
        return picture.astype(np.uint16, copy=False)
    if picture.dtype == np.uint8:
        return picture.astype(np.uint16) * np.uint16(257)
    scaled = np.clip(to_float(picture), 0, 1) * np.float32(65535) + np.float32(0.5)
    return scaled.astype(np.uint16)
