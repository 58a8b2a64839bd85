"""Records that name no clip get it from the data set, and nothing else of them changes."""

from __future__ import annotations

from dataclasses import replace

from dmef_bench.datasets.scene_set import SceneFacts
from dmef_bench.harness.completion import name_groups
from dmef_bench.results import SCENES_FILE, SceneScore, Status, append_score, read_scores

SIZE = (270, 480)
FACTS = [SceneFacts(name, f"digest of {name}", SIZE, group="clip") for name in "ab"]


def recorded(path, *scores):
    for score in scores:
        append_score(path, score)
    return path


def score(name, **parts):
    return SceneScore(
        name,
        Status.OK,
        scores={"psnr/rgb8": 30.123456789},
        scene_digest=f"digest of {name}",
        **parts,
    )


def test_groups_are_added_and_nothing_else_changes(tmp_path) -> None:
    path = recorded(tmp_path / SCENES_FILE, score("a"), score("b", attempt=2))
    before = path.read_bytes()
    assert name_groups(path, FACTS) == 2
    assert path.read_bytes().startswith(before)
    assert read_scores(path) == (
        score("a", group="clip"),
        score("b", group="clip", attempt=2),
    )


def test_what_is_known_is_not_written_twice(tmp_path) -> None:
    path = recorded(tmp_path / SCENES_FILE, score("a"), score("b", group="clip"))
    assert name_groups(path, FACTS) == 1
    before = path.read_bytes()
    assert name_groups(path, FACTS) == 0
    assert path.read_bytes() == before


def test_a_scene_of_the_same_name_with_other_pictures_is_another_scene(tmp_path) -> None:
    path = recorded(tmp_path / SCENES_FILE, replace(score("a"), scene_digest="another"))
    assert name_groups(path, FACTS) == 0


def test_data_sets_without_groups_and_rows_without_records_are_left_alone(tmp_path) -> None:
    path = tmp_path / SCENES_FILE
    assert name_groups(path, FACTS) == 0
    assert not path.exists()
    recorded(path, score("a", group="known"))
    assert name_groups(path, [replace(facts, group=None) for facts in FACTS]) == 0
    assert [scene.group for scene in read_scores(path)] == ["known"]
