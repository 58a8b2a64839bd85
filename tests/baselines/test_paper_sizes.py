"""`--mr paper` runs each method at the size that the paper's Table 1 lists for it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from dmef_bench.method import traits
from dmef_bench.registry import load_method
from dmef_bench.scene import size_text

TABLE = Path(__file__).resolve().parents[2] / "leaderboards" / "paper" / "table1.csv"
NAMES = {
    "AHDRNet": "ahdrnet",
    "FSHDR": "fshdr",
    "HDR-Transf": "hdr-transformer",
    "SCTNet": "sctnet",
}


@pytest.mark.parametrize("printed", NAMES)
def test_networks_shrink_to_the_printed_size(printed) -> None:
    rows = {row["method"]: row for row in csv.DictReader(TABLE.open(encoding="utf-8"))}
    size = traits(load_method(NAMES[printed], checkpoint="random")).paper_size
    assert size_text(size) == rows[printed]["mr"]


def test_ipl_and_gdc_run_at_native_size_whatever_is_printed() -> None:
    # IPL's printed SSIM lies far above what a picture shrunk to its printed 256x256 can reach.
    for method in (load_method("gdc"), load_method("ipl-tiny", weights="random")):
        assert traits(method).paper_size is None
