"""Tables that the user writes are read strictly, and held against the right videos."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from dmef_bench.building.tables import Tables
from dmef_bench.errors import UsageError

KNOWN = {
    "aa" * 32: PurePath("/films/harbour/IMG_1.MOV"),
    "bb" * 32: PurePath("/films/market/IMG_1.MOV"),
    "cc" * 32: PurePath("/films/market/Köln.mp4"),
}


def table(folder, text, name="table.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_video_is_named_by_file_by_path_or_by_hash(tmp_path) -> None:
    path = table(
        tmp_path,
        "video,group\nharbour/IMG_1.MOV,one\nbbbbbbbb,two\nKöln.mp4,one\n",
    )
    labels, notes = Tables.read(groups=path).labels(KNOWN)
    assert labels == {"aa" * 32: "one", "bb" * 32: "two", "cc" * 32: "one"}
    assert notes == ()


def test_a_name_that_means_two_videos_is_refused(tmp_path) -> None:
    path = table(tmp_path, "video,group\nIMG_1.MOV,one\n")
    with pytest.raises(UsageError, match=r"line 2: 'IMG_1.MOV' may be .*give more of the path"):
        Tables.read(groups=path).labels(KNOWN)


def test_a_row_that_fits_no_video_is_a_note(tmp_path) -> None:
    path = table(tmp_path, "video,group\nIMG_9.MOV,one\n")
    labels, notes = Tables.read(groups=path).labels(KNOWN)
    assert labels == {}
    assert notes == ("table.csv line 2: no video called 'IMG_9.MOV' was given.",)


def test_a_video_in_two_groups_is_refused(tmp_path) -> None:
    path = table(tmp_path, "video,group\nKöln.mp4,one\nKöln.mp4,two\n")
    with pytest.raises(UsageError, match="two groups"):
        Tables.read(groups=path).labels(KNOWN)


def test_times_are_ticks_or_seconds(tmp_path) -> None:
    ticks = table(tmp_path, "pts1,pts2,pts3,video\n10,20,30,Köln.mp4\n40,50,60,Köln.mp4\n")
    picks, _ = Tables.read(picks=ticks).picked(KNOWN)
    assert [pick.times for pick in picks["cc" * 32]] == [(10, 20, 30), (40, 50, 60)]
    spoken = table(tmp_path, "\ufeffvideo,seconds1,seconds2,seconds3\nKöln.mp4, 0.1 ,0.2,0.3\n")
    picks, _ = Tables.read(picks=spoken).picked(KNOWN)
    assert picks["cc" * 32][0].unit == "seconds"
    assert picks["cc" * 32][0].times == (0.1, 0.2, 0.3)


def test_rights_are_those_of_the_row_and_blanks_stay_blank(tmp_path) -> None:
    path = table(tmp_path, "video,licence,consent,url\nKöln.mp4,CC-BY-4.0,no-people,\n")
    rights, _ = Tables.read(sources=path).rights_of(KNOWN)
    assert rights == {"cc" * 32: {"licence": "CC-BY-4.0", "consent": "no-people", "url": None}}


def test_sides_are_given_to_scenes_or_to_all_scenes_of_a_video(tmp_path) -> None:
    scenes = {"koln-cc-000100": "cc" * 32, "koln-cc-002100": "cc" * 32, "img-1-000200": "aa" * 32}
    by_video = table(tmp_path, "video,split\nKöln.mp4,test\n")
    sides, _ = Tables.read(split=by_video).sides_of(KNOWN, scenes)
    assert sides == {"koln-cc-000100": "test", "koln-cc-002100": "test"}
    by_scene = table(tmp_path, "scene,split\nimg-1-000200,train\nghost,test\n")
    sides, notes = Tables.read(split=by_scene).sides_of(KNOWN, scenes)
    assert sides == {"img-1-000200": "train"}
    assert "ghost" in notes[0]


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("groups", "", "first line"),
        ("groups", "film,group\n", "it has to be video,group"),
        ("groups", "video,group\nKöln.mp4\n", "line 2: 1 cells under 2 columns"),
        ("groups", "video,group\nKöln.mp4,\n", "names no group"),
        ("groups", 'video,group\n"Köln.mp4,one\n', "cannot be read"),
        ("picks", "video,pts1,pts2,pts3\nKöln.mp4,1,2,soon\n", "pts3 is 'soon'"),
        ("picks", "video,pts1,pts2,pts3\nKöln.mp4,1,2,2\n", "do not rise"),
        ("picks", "video,pts1,pts2,pts3\nKöln.mp4,0.1,2,3\n", "whole number"),
        ("sources", "video,licence,consent,url\nKöln.mp4,MIT,yes,\n", "consent is 'yes'"),
        ("sources", "video,license,consent,url\n", "licence"),
        ("split", "video,split\nKöln.mp4,validation\n", "split is 'validation'"),
    ],
)
def test_what_makes_no_sense_is_named_with_its_line(tmp_path, kind, text, words) -> None:
    with pytest.raises(UsageError, match=words):
        Tables.read(**{kind: table(tmp_path, text)})


def test_a_table_that_is_not_there_is_named(tmp_path) -> None:
    with pytest.raises(UsageError, match=r"gone\.csv"):
        Tables.read(groups=tmp_path / "gone.csv")
