"""Weights that lie beside IPL are those of their records."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "ipl" / "weights"
SHIPPED = json.loads((FOLDER / "weights.json").read_text(encoding="utf-8"))["weights"]
CARD = (FOLDER / "README.md").read_text(encoding="utf-8")


def digest(name: str) -> str:
    return hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_weights_are_those_on_record(name) -> None:
    record = SHIPPED[name]
    assert digest(name) == record["sha256"]
    assert f"| `{name}` |" in CARD
    assert f"| {record['test']['psnr_db']} | {record['test']['ssim']} |" in CARD


def test_the_base_networks_are_the_best_of_the_run_on_record() -> None:
    record = json.loads((FOLDER / "ipl-20min.json").read_text(encoding="utf-8"))
    assert digest("ipl-20min.safetensors") == record["weights"]["best.safetensors"]
    assert record["method"] == "ipl"
    assert f"{record['steps']} steps" in CARD
    assert f"{record['validation']['best']['psnr_db']:.2f} dB" in CARD


def test_no_weights_are_without_a_record() -> None:
    files = {path.name for path in FOLDER.glob("*.safetensors")}
    assert files == {*SHIPPED, "ipl-20min.safetensors"}
