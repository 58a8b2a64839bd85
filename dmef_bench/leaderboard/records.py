"""The records a board is made of: found, checked to be of one protocol, and scene by scene."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dmef_bench.errors import ProtocolMismatchError, RecordError, UsageError
from dmef_bench.metrics import METRICS
from dmef_bench.protocol import Protocol
from dmef_bench.results import RUN_FILE, UNTRAINED, MethodResult, SceneScore
from dmef_bench.scene import size_text

_NUMBER_WORDS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}


def load_results(paths: Iterable[Path | str]) -> list[MethodResult]:
    """Every result under the given folders.

    Raises
    ------
    RecordError
        A folder without a single result, or a damaged one.
    """
    return [MethodResult.load(folder) for folder in run_folders(paths)]


def run_folders(paths: Iterable[Path | str]) -> list[Path]:
    """Folders below ``paths`` that hold a result, in a fixed order, each once.

    Raises
    ------
    RecordError
        A folder without a single result.
    """
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        runs = sorted(path.rglob(RUN_FILE)) if path.is_dir() else []
        if not runs:
            raise RecordError(
                f"{path} holds no result; give the folder that `dmef bench -o` wrote."
            )
        found |= {run.parent.resolve(): run.parent for run in runs}
    return list(found.values())


def select_fingerprint(
    results: Sequence[MethodResult], fingerprint: str | None = None
) -> list[MethodResult]:
    """The results of one protocol.

    Raises
    ------
    ProtocolMismatchError
        Two protocols and no ``fingerprint`` to choose by; the message says how they differ.
    UsageError
        No result has this fingerprint.
    """
    protocols = {result.protocol.fingerprint: result.protocol for result in results}
    if fingerprint is not None:
        chosen = [result for result in results if result.protocol.fingerprint == fingerprint]
        if not chosen:
            known = "; ".join(_described(rules, results) for rules in protocols.values())
            raise UsageError(f"No result has fingerprint {fingerprint}. There are: {known}.")
        return chosen
    if len(protocols) > 1:
        first, *others = protocols.values()
        differing = {name: None for other in others for name in first.differences(other)}
        count = _NUMBER_WORDS.get(len(protocols), str(len(protocols)))
        raise ProtocolMismatchError(
            f"These records were measured under {count} protocols: "
            f"{' and '.join(_described(rules, results) for rules in protocols.values())}. "
            f"Give one directory, or --fingerprint {first.fingerprint}. "
            f"They differ in: {', '.join(differing)}."
        )
    return list(results)


def _described(rules: Protocol, results: Sequence[MethodResult]) -> str:
    """``3f9c0a51be77 (downsample, mr auto; 5 methods)``; the bounds are not counted."""
    methods = sum(r.protocol == rules and not r.is_bound for r in results)
    size = f", mr {rules.mr}" if rules.fit == "downsample" else ""
    return f"{rules.fingerprint} ({rules.fit}{size}; {methods} method{'s' * (methods != 1)})"


def metric_names(results: Sequence[MethodResult]) -> dict[str, str]:
    """Convention id to column name: the protocol's metrics, then others that a record holds."""
    by_convention = {metric.convention: name for name, metric in METRICS.items()}
    held = {name for result in results for scene in result.ok for name in scene.scores}
    ruled = results[0].protocol.metrics
    further = [name for name in [*by_convention, *sorted(held)] if name in held]
    return {name: by_convention.get(name, name) for name in dict.fromkeys([*ruled, *further])}


def higher_is_better(metric: str) -> bool:
    """Which way a column is up; an unknown convention is taken for a score, not for an error."""
    return metric not in METRICS or METRICS[metric].higher_is_better


def scenes_frame(results: Sequence[MethodResult]) -> pd.DataFrame:
    """One row a method and scene, full precision: what the means were taken over.

    Parameters
    ----------
    results : sequence of MethodResult
        Of one protocol.

    Returns
    -------
    pandas.DataFrame
        ``method``, ``scene``, ``group`` (its clip), ``status``, ``fused_size``, ``native_size``,
        ``mr_source``, one column a metric, ``sse``, ``samples``, ``seam_score``, ``e2e_s`` (one
        call), ``flags``, ``reason`` (of a failure, or of a score that is missing).
    """
    names = metric_names(results)
    rows = [_scene_row(result, scene, names) for result in results for scene in result.scenes]
    columns = ["method", "scene", "group", "status", "fused_size", "native_size", "mr_source"]
    columns += [*names.values(), "sse", "samples", "seam_score", "e2e_s", "flags", "reason"]
    return pd.DataFrame(rows, columns=columns).astype({"sse": "Int64", "samples": "Int64"})


def _scene_row(result: MethodResult, scene: SceneScore, names: dict[str, str]) -> dict[str, Any]:
    scores = {} if UNTRAINED in scene.flags else scene.scores
    return {
        "method": result.row,
        "scene": scene.scene_id,
        "group": scene.group or "",
        "status": str(scene.status),
        "fused_size": size_text(scene.fused_size) if scene.fused_size else "",
        "native_size": size_text(scene.native_size) if scene.native_size else "",
        "mr_source": scene.mr_source or "",
        **{name: scores.get(convention) for convention, name in names.items()},
        "sse": scene.sse,
        "samples": scene.samples,
        "seam_score": scene.seam_score,
        "e2e_s": scene.seconds.get("e2e"),
        "flags": "; ".join(scene.flags),
        "reason": reason(scene),
    }


def reason(scene: SceneScore) -> str:
    """Why a scene has no score, or not all of them; empty where nothing is missing."""
    if scene.error:
        return ": ".join(scene.error[part] for part in ("type", "message") if scene.error.get(part))
    return "; ".join(sorted(set(scene.unavailable.values())))
