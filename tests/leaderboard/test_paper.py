"""The printed tables: complete, consistent with the paper's own text, and set beside ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmef_bench.errors import UnavailableError, UsageError
from dmef_bench.leaderboard import leaderboard_frame, load_results, render
from dmef_bench.leaderboard.paper import beside_paper, printed_table, provenance

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "leaderboards" / "4k-dmef" / "a96e16da6511"


@pytest.fixture(scope="module")
def frame():
    return leaderboard_frame(load_results([PUBLISHED]), resamples=100)


@pytest.mark.parametrize(
    ("name", "rows"),
    [("table1", 6), ("table2", 6), ("table3", 6), ("table4", 9), ("table5", 2), ("table6", 2),
     ("table7", 3)],
)  # fmt: skip
def test_a_table_is_complete_and_every_row_and_column_is_explained(name, rows) -> None:
    table, facts = printed_table(name), provenance()["tables"][name]
    assert len(table) == rows
    assert set(table[facts["key"]]) == set(facts["rows"])
    assert set(facts["columns"]) <= set(table.columns)
    assert len(set(facts["rows"].values())) == rows


def figures(table, key, row):
    return table.set_index(key).loc[row]


def test_the_claims_of_the_text_follow_from_the_stored_numbers() -> None:
    table = printed_table("table1")
    ipl, best = figures(table, "method", "IPL"), figures(table, "method", "FSHDR")
    assert all(float(best["psnr_db"]) >= float(v) for v in table["psnr_db"] if v != ipl["psnr_db"])

    def gain(column):
        return round(100 * abs(float(ipl[column]) / float(best[column]) - 1))

    assert (gain("psnr_db"), gain("ssim"), gain("lpips")) == (46, 48, 88)
    cache = printed_table("table5").set_index("attention_cache")["time_s"].astype(float)
    assert round(100 * (1 - cache["1"] / cache["0"])) == 70


def test_tables_that_print_one_result_twice_agree() -> None:
    ipl = figures(printed_table("table1"), "method", "IPL")
    cached = figures(printed_table("table5"), "attention_cache", "1")
    assert list(ipl[["psnr_db", "ssim", "time_s"]]) == list(cached[["psnr_db", "ssim", "time_s"]])
    full = figures(printed_table("table4"), "group", "i")
    plain = figures(printed_table("table5"), "attention_cache", "0")
    assert list(full[["psnr_db", "ssim"]]) == list(plain[["psnr_db", "ssim"]])
    assert figures(printed_table("table7"), "compression", "QC")["time_s"] == ipl["time_s"]


def test_printed_figures_stand_beside_ours_and_rank_nothing(frame) -> None:
    beside = beside_paper(frame, "table1").set_index("method")
    gdc = beside.loc["gdc"]
    assert (gdc["psnr_paper"], gdc["fused_size_paper"]) == (16.84, "3840x2160")
    assert gdc["psnr_minus_paper"] == gdc["psnr"] - 16.84
    assert beside["psnr_paper"].notna().sum() == 1
    assert list(beside["rank"].dropna()) == list(frame["rank"].dropna())
    text = render(beside_paper(frame, "table1"), "md")
    assert "−1.42" in text
    assert "Printed, and not on this board: AHDRNet, FSHDR, HDR-Transf, SCTNet, IPL." in text
    assert "twice the convolution MACs, in G" in text


def test_printed_parameters_are_read_in_millions(frame) -> None:
    ours = frame.copy()
    ours.loc[ours["method"] == "gdc", ["method", "parameters"]] = ["ahdrnet@label", 1313635]
    row = beside_paper(ours, "table1").set_index("method").loc["ahdrnet@label"]
    assert row["parameters_paper"] == pytest.approx(1239800)
    # thop leaves bare parameters out, and so printed fewer.
    assert row["parameters_minus_paper"] == pytest.approx(73835)


def test_a_table_about_other_data_says_so(frame) -> None:
    text = render(beside_paper(frame, "table3"), "md")
    assert "The printed table is about mobile-hdr, this board about 4k-dmef." in text


def test_an_unknown_table_names_those_that_exist() -> None:
    with pytest.raises(UsageError, match="table1, table2"):
        printed_table("table8")


def test_without_a_clone_the_reader_is_told_where_the_tables_are(tmp_path) -> None:
    with pytest.raises(UnavailableError, match=r"leaderboards/paper.*pip install -e"):
        printed_table("table1", tmp_path)
