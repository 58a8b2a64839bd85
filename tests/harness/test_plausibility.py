"""Plausibility: the paper's own times held against its device, and devices that no table lists."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from dmef_bench import strict_json
from dmef_bench.harness import plausibility
from dmef_bench.harness.plausibility import Peak, judge, measured_peak, peak_of, t_min

RTX_4090 = {"device": "NVIDIA GeForce RTX 4090", "dtype": "float32", "tf32": {"matmul": False}}
TABLE_1 = {
    # G floating-point operations and seconds as printed
    "AHDRNet": (162.77, 0.0032, 50.9),
    "FSHDR": (957.92, 0.0017, 563.5),
    "HDR-Transf": (95.94, 0.0512, 1.87),
    "SCTNet": (78.67, 0.0850, 0.93),
    "IPL": (66.95, 0.0441, 1.52),
}
DEVICES = Path(plausibility.__file__).with_name("devices.csv")


@pytest.mark.parametrize("row", TABLE_1)
def test_of_the_papers_times_one_exceeds_its_device(row) -> None:
    giga, seconds, tflops = TABLE_1[row]
    judged = judge(round(giga * 1e9 / 2), seconds, peak_of(RTX_4090))
    assert judged.implied_tflops == pytest.approx(tflops, rel=5e-3)
    assert judged.flags == (("implausible",) if row == "FSHDR" else ())


def test_ahdrnets_time_uses_62_percent_of_the_device_and_fshdrs_seven_times_all_of_it() -> None:
    peak = peak_of(RTX_4090)
    assert judge(81_385_000_000, 0.0032, peak).utilisation == pytest.approx(0.616, abs=1e-3)
    assert judge(478_960_000_000, 0.0017, peak).utilisation == pytest.approx(6.82, abs=1e-2)


def test_the_least_time_is_that_of_two_operations_a_mac() -> None:
    peak = Peak(1e12, "a round number")
    assert t_min(500_000_000_000, peak) == 1.0
    assert judge(500_000_000_000, 1.0, peak).flags == ()
    assert judge(500_000_000_000, 0.999, peak).flags == ("implausible",)


@pytest.mark.parametrize(
    ("dtype", "tf32", "tflops"),
    [
        ("float32", {"matmul": False, "conv": False}, 67),
        # cuDNN's convolutions use TF32 unless told not to.
        ("float32", {"matmul": False, "conv": True}, 495),
        ("bfloat16", {"matmul": True, "conv": True}, 989),
        ("float32", None, 67),
    ],
)
def test_the_peak_is_that_of_the_arithmetic_in_use(dtype, tf32, tflops) -> None:
    peak = peak_of({"device": "NVIDIA H200", "dtype": dtype, "tf32": tf32})
    assert peak.flops == tflops * 1e12
    assert "H200" in peak.source


def test_a_device_without_tf32_computes_in_float32_all_the_same() -> None:
    assert (
        peak_of({"device": "Tesla T4", "dtype": "float32", "tf32": {"conv": True}}).flops == 8.1e12
    )


def test_a_device_that_only_sounds_alike_is_another() -> None:
    laptop = peak_of({**RTX_4090, "device": "NVIDIA GeForce RTX 4090 Laptop GPU"})
    assert laptop.source.startswith("measured")


def test_an_unknown_device_is_measured_once_with_some_slack() -> None:
    peak = measured_peak("cpu", "float32")
    assert "20 % slack" in peak.source
    # Between a pocket calculator and the largest server there is.
    assert 1e8 < peak.flops < 1e14
    assert judge(512**3, 1e-9, peak).flags == ("implausible",)
    assert peak_of({"device": "some CPU", "dtype": "float32"}, "cpu") is peak


def test_what_a_record_keeps_is_json() -> None:
    kept = judge(81_385_000_000, 0.0032, peak_of(RTX_4090)).record()
    assert strict_json.loads(strict_json.dumps(kept)) == kept
    assert kept["peak_tflops"] == 82.6


def test_every_listed_peak_has_its_source_and_less_precision_is_never_slower() -> None:
    rows = list(csv.DictReader(DEVICES.read_text().splitlines()))
    rates: dict[str, dict[str, float]] = {}
    for row in rows:
        assert re.match(r"NVIDIA .+ (datasheet|whitepaper)", row["source"])
        # Empty where the maker's own documents differ.
        assert not row["bandwidth_tb_s"] or 0.2 < float(row["bandwidth_tb_s"]) < 10
        rates.setdefault(row["device"], {})[row["arithmetic"]] = float(row["tflops"])
    assert sum(map(len, rates.values())) == len(rows)
    for listed in rates.values():
        order = [name for name in ("float32", "tf32", "bfloat16", "float16") if name in listed]
        assert set(order) == set(listed)
        assert sorted(listed.values()) == [listed[name] for name in order]
