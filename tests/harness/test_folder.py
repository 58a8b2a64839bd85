"""A folder of brackets: what belongs together, and one bad bracket that stops nobody."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from skimage import data

from dmef_bench.cli import main
from dmef_bench.errors import MethodNotFoundError, UsageError
from dmef_bench.exposure.camera_response import Sigmoid
from dmef_bench.exposure.synthesis import expose
from dmef_bench.harness.folder import LOG, find_brackets, fuse_folder
from dmef_bench.imagefile import read_image

PHOTO = data.chelsea()[50:150, 50:200]

COUNTING = '''
"""A method that remembers, and one that cannot bear cats."""
import numpy as np

class Remembering:
    name, paper = "remembering", "none"

    def __init__(self):
        self.seen = 0

    def reset(self):
        self.seen = 0

    def fuse(self, stack):
        self.seen += 1
        return np.full((*stack.size, 3), self.seen / 255, np.float32)

class Fussy:
    name, paper = "fussy", "none"

    def fuse(self, stack):
        if stack.size == (99, 150):
            raise KeyError("not this one")
        return stack.images[0].copy()
'''


@pytest.fixture
def methods(tmp_path):
    path = tmp_path / "methods.py"
    path.write_text(COUNTING)
    return lambda name: f"{path}:{name}"


@pytest.fixture
def shots(tmp_path):
    """Brackets a2 and a10, a single picture, a truth, a text."""
    folder = tmp_path / "shots"
    for name in ("a10", "a2"):
        bracket(folder / name)
        Image.fromarray(PHOTO).save(folder / name / "gt.png")
        (folder / name / "notes.txt").write_text("windy")
    bracket(folder / "alone", evs=(1,))
    return folder


def bracket(folder, evs=(-1, 1, 3), picture=PHOTO):
    folder.mkdir(parents=True)
    for ev in evs:
        Image.fromarray(expose(picture, float(ev), Sigmoid())).save(folder / f"{ev}.png")


def names(outcomes, status):
    return [outcome.name for outcome in outcomes if outcome.status == status]


def test_sub_folders_are_brackets_in_the_order_people_count(shots) -> None:
    found = find_brackets(shots)
    assert list(found.brackets) == ["a2", "a10"]
    assert [path.name for path in found.brackets["a2"]] == ["-1.png", "1.png", "3.png"]
    assert found.left_out == {"alone": 1}


@pytest.mark.parametrize(
    ("files", "groups"),
    [
        (["room_1", "room_2", "hall-1", "hall-2"], {"hall": 2, "room": 2}),
        (["a_low", "a_medium", "a_high", "b_low", "b_high"], {"a": 3, "b": 2}),
        (["x_ev-2", "x_ev0", "x_ev+2"], {"x": 3}),
        (["x -2EV", "x +0.7EV"], {"x": 2}),
        (["0", "1", "2"], {"shots": 3}),
        (["IMG 1", "IMG 2", "garden"], {"IMG": 2}),
    ],
)
def test_pictures_of_one_folder_are_grouped_by_their_names(tmp_path, files, groups) -> None:
    (tmp_path / "shots").mkdir()
    for name in files:
        (tmp_path / "shots" / f"{name}.jpg").touch()
    found = find_brackets(tmp_path / "shots").brackets
    assert {name: len(paths) for name, paths in found.items()} == groups


def test_ten_pictures_of_one_name_are_no_bracket(tmp_path) -> None:
    for number in range(10):
        (tmp_path / f"IMG_{number}.jpg").touch()
    with pytest.raises(UsageError, match="holds no bracket"):
        find_brackets(tmp_path)


def test_one_bad_bracket_never_stops_the_rest(tmp_path, shots, methods) -> None:
    (shots / "a2" / "1.png").write_bytes(b"no picture")
    bracket(shots / "b", picture=PHOTO[1:])
    bracket(shots / "c")
    outcomes = fuse_folder(methods("Fussy"), {}, shots, tmp_path / "out")
    assert names(outcomes, "fused") == ["a10", "c"]
    reasons = {outcome.name: outcome.reason for outcome in outcomes if outcome.reason}
    assert "1.png" in reasons["a2"]
    assert reasons["b"] == "KeyError: 'not this one'"
    assert names(outcomes, "left out") == ["alone"]
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert made == ["a10.png", "c.png", LOG]


def test_a_second_run_does_only_what_is_missing(tmp_path, shots) -> None:
    (shots / "a2" / "1.png").rename(tmp_path / "kept.png")
    (shots / "a2" / "1.png").write_bytes(b"no picture")
    fuse_folder("mertens", {}, shots, tmp_path / "out")
    before = (tmp_path / "out" / "a10.png").stat().st_mtime_ns
    (tmp_path / "kept.png").replace(shots / "a2" / "1.png")
    outcomes = fuse_folder("mertens", {}, shots, tmp_path / "out")
    assert names(outcomes, "skipped") == ["a10"]
    assert names(outcomes, "fused") == ["a2"]
    assert (tmp_path / "out" / "a10.png").stat().st_mtime_ns == before
    lines = (tmp_path / "out" / LOG).read_text().splitlines()
    assert {json.loads(line)["name"]: json.loads(line)["status"] for line in lines} == {
        "a10": "fused",
        "a2": "fused",
    }


def test_pictures_of_another_method_are_not_taken_for_finished_ones(tmp_path, shots) -> None:
    fuse_folder("mertens", {}, shots, tmp_path / "out")
    mertens = read_image(tmp_path / "out" / "a2.png")
    for name, options, evs in (("gdc", {}, None), ("mertens", {}, (-1, 1, 3))):
        with pytest.raises(UsageError, match="not fused in the way now asked for"):
            fuse_folder(name, options, shots, tmp_path / "out", evs=evs)
    assert np.array_equal(read_image(tmp_path / "out" / "a2.png"), mertens)
    outcomes = fuse_folder("gdc", {}, shots, tmp_path / "out", overwrite=True)
    assert names(outcomes, "fused") == ["a2", "a10"]
    assert not np.array_equal(read_image(tmp_path / "out" / "a2.png"), mertens)


def test_no_bracket_profits_from_the_one_before(tmp_path, shots, methods) -> None:
    fuse_folder(methods("Remembering"), {}, shots, tmp_path / "out")
    for name in ("a2", "a10"):
        assert (read_image(tmp_path / "out" / f"{name}.png") == 1).all()


def test_fused_pictures_inside_the_folder_are_no_bracket_next_time(shots) -> None:
    fuse_folder("mertens", {}, shots, shots / "fused")
    assert list(find_brackets(shots).brackets) == ["a2", "a10"]
    assert names(fuse_folder("mertens", {}, shots, shots / "fused"), "skipped") == ["a2", "a10"]


def test_fused_pictures_do_not_go_among_exposures(shots) -> None:
    with pytest.raises(UsageError, match="holds exposures"):
        fuse_folder("mertens", {}, shots, shots / "a2")


def test_a_log_that_is_not_ours_is_not_touched(tmp_path, shots) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / LOG).write_text("dear diary\n")
    with pytest.raises(UsageError, match="no log of dmef"):
        fuse_folder("mertens", {}, shots, tmp_path / "out")
    assert (tmp_path / "out" / LOG).read_text() == "dear diary\n"


def test_a_method_that_cannot_be_had_is_told_once_and_nothing_is_made(tmp_path, shots) -> None:
    with pytest.raises(MethodNotFoundError, match="did you mean mertens"):
        fuse_folder("mertensen", {}, shots, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_tells_of_each_bracket_and_ends_with_4(tmp_path, shots) -> None:
    words = ["fuse", str(shots), "-o", str(tmp_path / "out"), "-m", "mertens"]
    assert CliRunner().invoke(main, words).exit_code == 0
    (shots / "a2" / "1.png").write_bytes(b"no picture")
    again = CliRunner().invoke(main, [*words, "--overwrite"])
    assert again.exit_code == 4
    assert "a2: failed" in again.output
    assert "a10: fused" in again.output
    assert "alone: left out" in again.output
