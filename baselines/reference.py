"""The three rows that fuse nothing: the reference copied, and two bounds that see the truth."""

from __future__ import annotations

from dmef_bench.errors import UnavailableError
from dmef_bench.exposure.audit import tone_curve_bound
from dmef_bench.harness.fit import oracle_bound
from dmef_bench.scene import Encoded, ExposureStack, Image, to_float, to_uint8


class Reference:
    """The reference exposure, untouched: who does not beat it fuses nothing."""

    name = "reference"
    paper = "the medium exposure, copied"
    stride = 1

    def fuse(self, stack: ExposureStack) -> Image:
        """Copy the reference exposure."""
        return stack.images[stack.reference].copy()


class Oracle:
    """The ground truth, shrunk to the fused size and enlarged: the ceiling of that size."""

    name = "oracle"
    paper = "the ground truth at the fused size"
    stride = 1
    sees_ground_truth = True

    def fuse(
        self,
        stack: ExposureStack,
        ground_truth: Encoded | Image | None = None,
        size: tuple[int, int] | None = None,
    ) -> Image:
        """Shrink and enlarge the ground truth (`dmef_bench.harness.fit.oracle_bound`)."""
        return oracle_bound(_seen(ground_truth), size or stack.size)


class ToneCurve:
    """The best tone curve of the reference exposure, fitted on the truth: fusing nothing at all."""

    name = "tone-curve"
    paper = "the best tone curve of the medium exposure"
    stride = 1
    sees_ground_truth = True

    def fuse(
        self,
        stack: ExposureStack,
        ground_truth: Encoded | Image | None = None,
        size: tuple[int, int] | None = None,  # noqa: ARG002 - a curve has no size
    ) -> Image:
        """Apply the curve (`dmef_bench.exposure.audit.tone_curve_bound`)."""
        reference = to_uint8(stack.images[stack.reference])
        return to_float(tone_curve_bound(reference, to_uint8(_seen(ground_truth))))


def _seen(ground_truth: Encoded | Image | None) -> Encoded | Image:
    if ground_truth is None:
        raise UnavailableError(
            "This row is a bound that needs the ground truth, and there is none here. "
            "Run it through `dmef bench` on scenes that have one."
        )
    return ground_truth
