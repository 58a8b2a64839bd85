"""Which times may stand in one column: those measured on one device, at one precision, alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dmef_bench import strict_json

_ON_CPU = ("device", "dtype", "threads")

_ON_GPU = (
    "device", "dtype", "torch", "cuda", "cudnn", "tf32", "cudnn_benchmark", "cudnn_deterministic",
    "float32_matmul_precision",
)  # fmt: skip


def timing_group(facts: Mapping[str, Any]) -> str:
    """Eight hex digits, equal where times may be compared.

    Parameters
    ----------
    facts : mapping
        Of `describe_device`.

    Returns
    -------
    str
        On a GPU of the device, the precision, torch's major.minor and its switches. On a CPU of
        the processor, the precision and the threads: which libraries a method computes with is
        its own affair there, and switches of a GPU do nothing.

    Examples
    --------
    >>> numpy_alone = {"device": "EPYC", "dtype": "float32", "threads": 2}
    >>> with_torch = {**numpy_alone, "torch": "2.15.0", "cudnn_benchmark": False}
    >>> timing_group(numpy_alone) == timing_group(with_torch)
    True
    >>> timing_group(numpy_alone) == timing_group({**numpy_alone, "threads": 1})
    False
    """
    if "cuda" in facts:
        return _digest(facts, _ON_GPU)
    # Below "highest", oneDNN may multiply float32 matrices in bfloat16: another precision.
    lowered = facts.get("float32_matmul_precision", "highest") != "highest"
    return _digest(facts, (*_ON_CPU, "float32_matmul_precision") if lowered else _ON_CPU)


def group_on_record(timing: Mapping[str, Any], environment: Mapping[str, Any]) -> str:
    """The timing group of a record, by the rule of today where its facts are known.

    Parameters
    ----------
    timing, environment : mapping
        Of ``run.json``.

    Returns
    -------
    str
        Empty where nothing was timed.

    Notes
    -----
    Until ``dmef.run/1.1`` the group was a digest of everything that is known of the device, and
    the facts stood only in ``environment``, which a later run may have renewed without the times.
    The digest tells: where the facts give it, they are those of the times.
    """
    stored = str(timing.get("group") or "")
    if not stored:
        return ""
    if facts := timing.get("measured_on"):
        return timing_group(facts)
    everything = _digest(environment, _ON_GPU if "cuda" in environment else (*_ON_GPU, "threads"))
    return timing_group(environment) if everything == stored else stored


def _digest(facts: Mapping[str, Any], names: tuple[str, ...]) -> str:
    chosen = {name: facts[name] for name in names if name in facts}
    if "torch" in names:
        chosen["torch"] = ".".join(str(facts.get("torch")).split(".")[:2])
    return strict_json.digest(chosen)[:8]
