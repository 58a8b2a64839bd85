"""What a run leaves behind survives kills, keeps infinities and refuses strange schemas."""

from __future__ import annotations

import math

import pytest

from dmef_bench.errors import RecordError
from dmef_bench.protocol import Protocol
from dmef_bench.results import (
    SCENE_SCHEMA,
    SCENES_FILE,
    MethodResult,
    SceneScore,
    Status,
    append_score,
    ordered,
    read_scores,
    summarise,
    without_paths,
)

RULES = Protocol("4k-dmef", "test", "c0ffee", metrics=("psnr/rgb8", "lpips/alex-v0.1"))


def score(scene_id="a", psnr=30.0, status=Status.OK, digest="d"):
    return SceneScore(
        scene_id,
        status,
        scores={"psnr/rgb8": psnr, "lpips/alex-v0.1": None} if status is Status.OK else {},
        unavailable={"lpips/alex-v0.1": "no weights"},
        fused_size=(2160, 3840),
        native_size=(2160, 3840),
        seconds={"e2e": 0.5},
        sse=100,
        samples=300,
        method_digest=digest,
        fingerprint=RULES.fingerprint,
    )


def result(*scenes, expected=None):
    return MethodResult(
        row="gdc",
        method={"name": "gdc", "digest": "d", "kind": "method"},
        protocol=RULES,
        scenes=scenes,
        status=summarise(scenes, expected or len(scenes)),
        expected=expected or len(scenes),
    )


@pytest.mark.parametrize("psnr", [30.123456789012345, math.inf])
def test_a_score_comes_back_to_the_last_bit(psnr) -> None:
    assert SceneScore.from_line(score(psnr=psnr).to_line(), where="here") == score(psnr=psnr)


def test_sizes_are_written_as_people_read_them() -> None:
    assert '"fused_size": "3840x2160"' in score().to_line()


def test_a_result_comes_back_from_its_folder(tmp_path) -> None:
    saved = result(score("a"), score("b", math.inf))
    saved.save(tmp_path)
    loaded = MethodResult.load(tmp_path)
    assert loaded.scenes == saved.scenes
    assert loaded.protocol.fingerprint == RULES.fingerprint
    assert (loaded.row, loaded.status, loaded.expected) == ("gdc", Status.OK, 2)


def test_a_line_cut_by_a_kill_costs_that_scene_only(tmp_path) -> None:
    path = tmp_path / SCENES_FILE
    append_score(path, score("a"))
    with path.open("ab") as file:
        file.write(score("b").to_line().encode()[:50])
    assert [scene.scene_id for scene in read_scores(path)] == ["a"]
    append_score(path, score("c"))
    assert [scene.scene_id for scene in read_scores(path)] == ["a", "c"]


def test_every_possible_cut_of_a_file_reads_as_whole_scenes(tmp_path) -> None:
    path = tmp_path / SCENES_FILE
    whole = "".join(f"{score(name).to_line()}\n" for name in "abc").encode()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        names = [scene.scene_id for scene in read_scores(path)]
        assert names == list("abc")[: len(names)]
        assert len(names) >= whole[:length].count(b"\n")


def test_the_last_line_about_a_scene_counts(tmp_path) -> None:
    path = tmp_path / SCENES_FILE
    append_score(path, score("a", status=Status.ERROR))
    append_score(path, score("a", 31.0))
    (only,) = read_scores(path)
    assert (only.status, only.scores["psnr/rgb8"]) == (Status.OK, 31.0)


def test_lines_of_an_older_state_of_the_method_are_not_its_result(tmp_path) -> None:
    result(score("a")).save(tmp_path)
    append_score(tmp_path / SCENES_FILE, score("b", digest="older"))
    assert [scene.scene_id for scene in MethodResult.load(tmp_path).scenes] == ["a"]


def test_another_major_schema_is_refused_and_a_higher_minor_read(tmp_path) -> None:
    line = score().to_line()
    newer = line.replace(SCENE_SCHEMA, "dmef.scene/1.7").replace("{", '{"news": 1, ', 1)
    assert SceneScore.from_line(newer, where="here") == score()
    with pytest.raises(RecordError, match=r"schema dmef\.scene/2\.0"):
        SceneScore.from_line(line.replace(SCENE_SCHEMA, "dmef.scene/2.0"), where="here")
    with pytest.raises(RecordError, match="schema"):
        SceneScore.from_line("{}", where="here")


@pytest.mark.parametrize("text", ["", "[]", "null", '{"schema": "dmef.run/1.0"}', "\x00"])
def test_a_damaged_run_is_told_by_its_path(tmp_path, text) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RecordError, match=r"run\.json"):
        MethodResult.load(tmp_path)


def test_means_leave_infinities_out_but_are_infinite_if_all_are() -> None:
    assert result(score("a", 30.0), score("b", 32.0), score("c", math.inf)).mean("psnr/rgb8") == 31
    assert result(score("a", math.inf)).mean("psnr/rgb8") == math.inf
    assert math.isnan(result(score("a")).mean("lpips/alex-v0.1"))
    assert math.isnan(result(score("a", status=Status.OOM)).mean("psnr/rgb8"))


def test_a_row_is_ok_only_if_every_scene_is() -> None:
    assert result(score("a")).status is Status.OK
    assert result(score("a"), expected=2).status is Status.INTERRUPTED
    assert result(score("a"), score("b", status=Status.OOM)).status is Status.OOM


def test_scores_are_put_into_the_order_of_the_data_set() -> None:
    scores = [score("b"), score("a"), score("z")]
    assert [scene.scene_id for scene in ordered(scores, ["a", "b", "c"])] == ["a", "b"]


def test_records_name_no_folders_of_the_machine(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert without_paths(f"{tmp_path / 'x.png'} is grey") == "./x.png is grey"
