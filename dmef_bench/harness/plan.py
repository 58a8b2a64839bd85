"""What is to be measured, and how: rows to be filled, and the choices that change no score."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from dmef_bench.errors import UnavailableError, UsageError
from dmef_bench.harness.clock import Rules
from dmef_bench.harness.digest import method_digest
from dmef_bench.metrics import METRIC_SETS, METRICS
from dmef_bench.metrics.lpips_trunk import find_trunk
from dmef_bench.protocol import Protocol
from dmef_bench.registry import parse_method, resolve
from dmef_bench.results import without_paths
from dmef_bench.scene import size_text

BOUNDS = ("reference", "oracle", "tone-curve")
"""Rows that stand on every board, asked for or not."""

Resume = Literal["missing", "all", "never"]


@dataclass(frozen=True)
class Job:
    """One row to be filled.

    Parameters
    ----------
    row : str
        Its name on the board, and of its folder.
    method : str
        What `load_method` is given.
    target : str
        ``module:Class`` or ``file.py:Class``.
    options : mapping
        Constructor arguments.
    digest : str
        Of its code, options and weights.
    size : (height, width) or None
        Of a bound that is asked for at one size.
    warm : bool
        Each stack twice without `reset`, the second one counts.
    """

    row: str
    method: str
    target: str
    options: Mapping[str, Any]
    digest: str
    size: tuple[int, int] | None = None
    warm: bool = False

    @property
    def is_bound(self) -> bool:
        """Whether the row is no method but a mark to read the others by."""
        return self.method in BOUNDS


@dataclass(frozen=True)
class Plan:
    """How to measure; nothing here changes a score.

    Parameters
    ----------
    require : tuple of str
        Metrics without which nothing is computed.
    lpips_weights : Path or None
        File of the LPIPS backbone.
    offline : bool
        Never download.
    save_fused : bool
        Keep the fused pictures.
    resume : {"missing", "all", "never"}
        Run what has no valid record, everything anew, or nothing.
    retry_failed : bool
        Run scenes again that ended in ``oom``, ``timeout`` or ``error``.
    timeout : float
        Seconds one scene may take.
    method_timeout : float or None
        Seconds a whole row may take.
    memory_limit : int or None
        Bytes a method's process may take; beyond, the scene is ``oom``.
    probe_timeout : float
        Seconds a probe of the search for the largest size may take.
    mr_refresh : bool
        Search for the largest size anew.
    timing : bool
        Measure times, memory and cost after the scores, in a process of its own.
    rules : Rules
        When enough has been timed.
    throughput : bool
        Also measure how many scenes a second a method fuses where nothing waits.
    tile_memo : bool
        Fuse equal tiles once.
    forecast : bool
        Networks that would not find the memory they need are ``oom`` without being tried.
    device, dtype : str or None
        Handed to methods that know such an option.
    devices : tuple of str
        CUDA devices, each of which runs one row at a time.
    threads : int or None
        Of OpenCV and torch in each process.
    jobs : int
        Processes that score scenes at a time; times are always taken one by one.
    seed : int
        For the generators of every method's process.
    command : tuple of str
        The command line, for the record.
    """

    require: tuple[str, ...] = ()
    lpips_weights: Path | None = None
    offline: bool = False
    save_fused: bool = False
    resume: Resume = "missing"
    retry_failed: bool = False
    timeout: float = 600.0
    method_timeout: float | None = None
    memory_limit: int | None = None
    probe_timeout: float = 120.0
    mr_refresh: bool = False
    timing: bool = True
    rules: Rules = field(default_factory=Rules)
    throughput: bool = False
    tile_memo: bool = False
    forecast: bool = True
    device: str | None = None
    dtype: str | None = None
    devices: tuple[str, ...] = ()
    threads: int | None = None
    jobs: int = 1
    seed: int = 0
    command: tuple[str, ...] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        for name in ("timeout", "probe_timeout", "jobs"):
            if getattr(self, name) <= 0:
                raise UsageError(f"{name} is {getattr(self, name)}; give more than 0.")
        if self.devices and self.device is not None:
            raise UsageError("Give device or devices, not both.")


def bounds_of(*, has_truth: bool, linear: bool) -> tuple[str, ...]:
    """The bounds that exist: no ceiling without a truth, no tone curve to linear radiance."""
    if not has_truth:
        return ("reference",)
    return ("reference", "oracle") if linear else BOUNDS


def make_jobs(
    methods: Sequence[str],
    protocol: Protocol,
    plan: Plan,
    shared: Mapping[str, Any],
    bounds: Sequence[str] = BOUNDS,
) -> tuple[Job, ...]:
    """One job a row: the bounds, then what was asked for; a bound asked for is not run twice.

    Parameters
    ----------
    methods : sequence of str
        ``NAME`` or ``NAME@key=value,...``.
    protocol : Protocol
        Names the oracle's row.
    plan : Plan
        Its dtype changes pictures, and so the digest.
    shared : mapping
        Options that every method asked for gets, unless it states them itself.
    bounds : sequence of str
        Rows that come by themselves.

    Raises
    ------
    UsageError, MethodNotFoundError
        Unknown names, or two rows of one name.
    """
    jobs: dict[str, Job] = {}
    for text in dict.fromkeys((*bounds, *methods)):
        name, options = parse_method(text)
        label = options.pop("label", None)
        target = resolve(name)
        row = _row_name(text, name, target, label, protocol)
        if row in jobs:
            raise UsageError(f"Two rows would be called {row!r}; tell them apart by label=NAME.")
        if name not in BOUNDS:
            options = {**shared, **options}
        jobs[row] = Job(row, name, target, options, _digest(name, target, options, plan))
    return tuple(jobs.values())


def oracle_job(size: tuple[int, int]) -> Job:
    """The ceiling of one fused size, for a board on which a method was shrunk to it."""
    target = resolve("oracle")
    return Job(
        f"oracle@{size_text(size)}", "oracle", target, {}, method_digest(target, {}), size=size
    )


def warm_job(job: Job) -> Job:
    """The second row of a method whose caches change its pictures."""
    return replace(job, row=f"{job.row}[warm]", warm=True)


def _digest(name: str, target: str, options: Mapping[str, Any], plan: Plan) -> str:
    precision = {} if plan.dtype is None or name in BOUNDS else {"dtype": plan.dtype}
    return method_digest(target, {**precision, **options})


def _row_name(text: str, name: str, target: str, label: object, protocol: Protocol) -> str:
    if text == "oracle":
        given = protocol.fit == "downsample" and protocol.mr not in {"auto", "paper"}
        return f"oracle@{protocol.mr if given else 'native'}"
    plain = name if name != target else target.rpartition(":")[2]
    # Folders of this machine have no place on a board.
    words = re.sub(r"[^,=@\"']*/", "", text.partition("@")[2])
    row = str(label) if label is not None else plain + (f"@{words}" if words else "")
    # The row is also the name of its folder.
    return re.sub(r"[^\w.@=,+-]+", "-", row).strip(".-") or "row"


def find_metrics(metrics: Sequence[str], plan: Plan) -> tuple[Plan, dict[str, str]]:
    """The plan with the LPIPS backbone found, and the metrics that cannot be had, with reasons.

    Raises
    ------
    UnavailableError
        One of those is required.
    """
    if "lpips" not in metrics:
        return plan, {}
    try:
        found = find_trunk("alex").backbone.find(plan.lpips_weights, offline=plan.offline)
    except UnavailableError as error:
        # A file named by the user that cannot be read is his error, not a column without numbers.
        if "lpips" in plan.require or plan.lpips_weights is not None:
            raise
        return plan, {METRICS["lpips"].convention: without_paths(f"LPIPS: {error}")}
    return replace(plan, lpips_weights=found), {}


def metric_names(words: Sequence[str]) -> tuple[str, ...]:
    """Short names of metrics, with the sets ``ldr`` and ``hdr`` written out."""
    return tuple(dict.fromkeys(name for word in words for name in METRIC_SETS.get(word, (word,))))
