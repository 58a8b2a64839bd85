"""Every record that a run leaves behind fits the published schema, and damaged ones do not."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from dmef_bench.harness.bench import bench
from dmef_bench.harness.clock import Rules
from dmef_bench.harness.plan import Plan

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = json.loads(files("dmef_bench").joinpath("results.schema.json").read_text("utf-8"))
VALID = jsonschema.Draft202012Validator(SCHEMA)

CRASHES = """
class Crashes:
    name, paper = "crashes", "none"
    def fuse(self, stack):
        raise MemoryError("no")
"""


def records(folder: Path) -> list[dict]:
    found = [json.loads(path.read_text()) for path in folder.rglob("run.json")]
    for path in folder.rglob("scenes.jsonl"):
        found += [json.loads(line) for line in path.read_text().splitlines()]
    return found


@pytest.fixture(scope="module")
def fresh(built, tmp_path_factory) -> list[dict]:
    folder = tmp_path_factory.mktemp("runs")
    (folder / "crashes.py").write_text(CRASHES)
    rules = Rules(min_warmup=1, max_warmup=1, min_samples=2, min_s=0)
    given = {"metrics": ("psnr", "psnr-clipped"), "limit": 1, "plan": Plan(rules=rules)}
    bench(built, ["mertens", f"{folder}/crashes.py:Crashes"], folder, **given)
    bench(built, ["mertens"], folder, **given, fit="tile", tile="96x96", overlap=16)
    return records(folder)


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_fresh_records_fit(fresh) -> None:
    assert len(fresh) >= 18
    assert {record["status"] for record in fresh} == {"ok", "oom"}
    assert any(record.get("timing") for record in fresh)
    for record in fresh:
        VALID.validate(record)


def test_published_records_fit() -> None:
    published = records(ROOT / "leaderboards")
    assert published
    for record in published:
        VALID.validate(record)


@pytest.mark.parametrize(
    "damage",
    [
        {"schema": "dmef.scene/2.0"},
        {"status": "fine"},
        {"fused_size": "480 by 270"},
        {"metrics": {"psnr/rgb8": "high"}},
        {"surprise": 1},
        {"status": "oom"},  # with scores
    ],
)
def test_damaged_records_do_not_fit(fresh, damage) -> None:
    good = next(r for r in fresh if r["schema"].startswith("dmef.scene/") and r["status"] == "ok")
    assert not VALID.is_valid({**good, **damage})
