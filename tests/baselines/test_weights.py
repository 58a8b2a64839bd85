"""Weights that lie beside the baselines are those of their records."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "baselines" / "weights"


@pytest.mark.parametrize(
    "weights", sorted(FOLDER.glob("*.safetensors")), ids=lambda path: path.stem
)
def test_weights_are_the_best_of_the_run_on_record(weights) -> None:
    record = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert record["weights"]["best.safetensors"] == digest
    assert record["method"] in weights.stem
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert weights.name in card
    assert f"{record['validation']['best']['psnr_db']:.2f} dB" in card
