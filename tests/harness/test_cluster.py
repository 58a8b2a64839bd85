"""A Dask cluster fills the same rows as one machine."""

from __future__ import annotations

import pytest

from dmef_bench.cluster import dask_executor
from dmef_bench.errors import UnavailableError
from dmef_bench.harness.bench import bench
from dmef_bench.harness.plan import Plan

RULES = {"split": "all", "metrics": ("psnr",), "plan": Plan(timing=False)}


def test_rows_from_a_cluster_are_those_of_one_machine(built, tmp_path) -> None:
    distributed = pytest.importorskip(
        "distributed", reason="dask[distributed] is not installed (extra cluster)"
    )
    here = bench(built, ["mertens", "gdc"], tmp_path / "here", **RULES)
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address=None, processes=True
        ) as cluster,
        dask_executor(cluster.scheduler_address) as executor,
    ):
        there = bench(built, ["mertens", "gdc"], tmp_path / "there", **RULES, executor=executor)
    assert [result.row for result in there] == [result.row for result in here]
    assert [result.means() for result in there] == [result.means() for result in here]


def test_nobody_at_the_address_is_said() -> None:
    pytest.importorskip("distributed", reason="dask[distributed] is not installed (extra cluster)")
    with pytest.raises(UnavailableError, match="Dask"):
        dask_executor("tcp://127.0.0.1:9").__enter__()
