"""Every published board is made again from the records beside it, to the last byte."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dmef_bench.leaderboard import load_results, make_board
from dmef_bench.manifest import Manifest

ROOT = Path(__file__).resolve().parents[1]
BOARDS = sorted(path.parent for path in (ROOT / "leaderboards").rglob("board.csv"))
MANIFESTS = sorted(path.parent for path in (ROOT / "data_manifest").rglob("dataset.json"))


@pytest.mark.parametrize("board", BOARDS, ids=lambda path: path.name)
def test_a_board_is_what_its_records_make(board, tmp_path) -> None:
    copy = Path(shutil.copytree(board, tmp_path / board.name))
    formats = [name for name in ("csv", "md", "html") if (copy / f"board.{name}").exists()]
    for name in formats:
        (copy / f"board.{name}").unlink()
    made, _ = make_board([copy], tmp_path, formats=formats)
    assert made == copy
    for name in formats:
        assert (made / f"board.{name}").read_bytes() == (board / f"board.{name}").read_bytes()


@pytest.mark.parametrize("board", BOARDS, ids=lambda path: path.name)
def test_a_board_has_its_bounds_and_knows_its_data(board) -> None:
    results = load_results([board])
    rows = {result.row.partition("@")[0] for result in results}
    assert {"reference", "oracle", "tone-curve"} <= rows
    # One triple may stand in several sets, in each with exposures of its own.
    manifests = [Manifest.load(path) for path in MANIFESTS]
    known = {(s.scene, s.digest, s.group) for manifest in manifests for s in manifest.scenes}
    for result in results:
        for score in result.scenes:
            assert (score.scene_id, score.scene_digest, score.group) in known


def test_there_is_a_board_and_a_manifest_to_look_at() -> None:
    assert BOARDS
    assert MANIFESTS


@pytest.mark.parametrize("folder", MANIFESTS, ids=lambda path: path.name)
def test_published_manifests_name_no_place_of_recording(folder) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8").lower()
            assert not any(word in text for word in ("gps", "latitude", "location", "iso6709"))
