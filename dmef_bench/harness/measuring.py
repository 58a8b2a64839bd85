"""What a method costs on given scenes: its times, its memory and its arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dmef_bench.harness.clock import Rules
from dmef_bench.harness.cost import cost_of
from dmef_bench.harness.environment import describe_device
from dmef_bench.harness.fitting import fit_of
from dmef_bench.harness.plausibility import judge, peak_of
from dmef_bench.harness.throughput import measure_throughput
from dmef_bench.harness.tiles import Tiling, grid
from dmef_bench.harness.timing import Work, distinct_stacks, measure, measure_io
from dmef_bench.method import Method, traits
from dmef_bench.protocol import Protocol
from dmef_bench.scene import Scene, to_uint8


def measure_method(
    method: Method,
    scenes: Sequence[Scene],
    protocol: Protocol,
    *,
    found: tuple[int, int] | None = None,
    rules: Rules | None = None,
    throughput: bool = False,
) -> dict[str, Any]:
    """Measure a method on scenes that it is known to hold.

    Parameters
    ----------
    method : Method
        Any.
    scenes : sequence of Scene
        Distinct inputs; those of the first one's size are used.
    protocol : Protocol
        Says how pictures are fitted.
    found : (height, width), optional
        What the search for the largest size found.
    rules : Rules, optional
        When enough has been timed.
    throughput : bool
        Also count scenes a second (`measure_throughput`).

    Returns
    -------
    dict
        ``timing``, ``memory`` and ``cost`` as in ``run.json``, and ``parameter_bytes`` in memory.
    """
    first = scenes[0]
    alike = [scene for scene in scenes if scene.stack.size == first.stack.size]
    fitting = fit_of(traits(method), protocol, first.stack.size, found=found)
    tiling = fitting.tiling
    work = Work(
        method,
        distinct_stacks(alike),
        "tile" if tiling else fitting.fit if fitting.fit != "tile" else "full",
        fitting.size,
        overlap=tiling.overlap if tiling else 0,
        blend=tiling.blend if tiling else "none",
    )
    timing, memory = measure(work, rules)
    if throughput:
        timing["throughput"] = measure_throughput(work)
    fused = to_uint8(work.fuse(work.stacks[0]))
    timing["io"] = measure_io(lambda index: scenes[index], fused)
    memory["parameter_bytes"] = _parameter_bytes(method)
    cost = dict(cost_of(method, fitting.size))
    if cost["macs_at_fused_size"]:
        calls = _calls(work, tiling)
        verdict = judge(
            calls * cost["macs_at_fused_size"],
            timing["core"]["median_s"],
            peak_of(describe_device(method), work.device),
        )
        timing["flags"] += verdict.flags
        timing["plausibility"] = verdict.record()
    return {"timing": timing, "memory": memory, "cost": cost}


def _calls(work: Work, tiling: Tiling | None) -> int:
    """How often the network runs for one picture."""
    if tiling is None:
        return 1
    rows, columns = grid(work.stacks[0].size, tiling, work.method)
    return len(rows) * len(columns)


def _parameter_bytes(method: Method) -> int | None:
    """Memory of the weights in use, where the method is a network that shows them."""
    module = getattr(method, "_module", None)
    if module is None:
        return None
    return sum(parameter.nbytes for parameter in module.parameters())
