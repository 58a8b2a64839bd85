"""A recipe is refused where it cannot be built, and its hash says all that matters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dmef_bench import strict_json
from dmef_bench.building.recipe import PRESET_NAMES, Recipe
from dmef_bench.building.rules import SelectionRules
from dmef_bench.building.split import SplitRule
from dmef_bench.errors import ManifestError, UsageError

PUBLISHED = Path(__file__).resolve().parents[2] / "data_manifest" / "shared-clips" / "dataset.json"

EVERY = [
    Recipe(),
    Recipe(ev=(-2.0, 1.0, 3.0), preset=None),
    Recipe(model="Beta"),
    Recipe(noise="mild"),
    Recipe(noise="0.001,0.002"),
    Recipe(pick="uniform"),
    Recipe(pick="list"),
    Recipe(scenes_per_video=2),
    Recipe(selection=SelectionRules(moving_min=0.05)),
    Recipe(split=SplitRule(1, 1)),
    Recipe(split=SplitRule(1, 1, mode="ratio")),
    Recipe(store="triple"),
    Recipe(seed=1),
    Recipe(allow_identity=True),
    Recipe.from_preset("adaptive"),
    Recipe.from_preset("adaptive", clip_share=0.2),
    Recipe(crf_jitter=True),
    Recipe(strict_audit=True),
    Recipe(hdr="tonemap"),
    Recipe(to_srgb=True),
    Recipe(salvage=True),
    Recipe(resize="4k"),
    Recipe(require_4k=True),
    Recipe(anonymous_names=True),
    Recipe(format="jxl"),
]


def test_a_recipes_digest_changes_with_every_choice() -> None:
    assert len({recipe.digest for recipe in EVERY}) == len(EVERY)


def test_the_default_recipe_keeps_the_hash_it_was_published_with() -> None:
    assert Recipe().digest == json.loads(PUBLISHED.read_text())["recipe_sha256"]


@pytest.mark.parametrize("recipe", EVERY, ids=range(len(EVERY)))
def test_a_recipe_is_read_back_from_its_record(recipe) -> None:
    written = strict_json.dumps(recipe.to_record())
    assert Recipe.from_record(strict_json.loads(written)) == recipe


@pytest.mark.parametrize(
    "change",
    [
        {"format": "jxl2"},
        {"colour_of_the_bike_shed": "green"},
        {"selection": {"gap_ms": [1]} | {"moving": 3}},
        {"ev": [3, 1, 0]},
        {"split": None},
    ],
)
def test_a_record_that_cannot_be_followed_is_refused(change) -> None:
    with pytest.raises(ManifestError, match="recipe"):
        Recipe.from_record(Recipe().to_record() | change)


def test_a_preset_brings_its_noise_and_refuses_to_go_without() -> None:
    assert Recipe.from_preset("noisy-reference").noise == "mild"
    with pytest.raises(UsageError, match="--noise"):
        Recipe.from_preset("noisy-reference", noise=None)


def test_equal_noise_is_one_recipe_however_it_was_written() -> None:
    assert Recipe(noise="1e-3,2e-3") == Recipe(noise="0.001, 0.002")
    assert Recipe(noise="1e-3,2e-3").sensor_noise == Recipe(noise="strong").sensor_noise


def test_presets_that_do_not_exist_are_told_from_those_that_do() -> None:
    with pytest.raises(UsageError, match="adaptive"):
        Recipe.from_preset("paper")
    assert len(PRESET_NAMES) == 4


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"preset": None, "ev": None}, "share"),
        ({"preset": None, "clip_share": 0.3}, "not both"),
        ({"preset": "adaptive", "ev": None, "clip_share": 2.0}, "between 0 and 1"),
        ({"preset": "adaptive", "ev": None, "clip_share": 0.3, "model": "Preferred"}, "never"),
        ({"crf_jitter": True, "model": "Beta"}, "Sigmoid"),
        ({"noise": "loud"}, "loud"),
        ({"model": "Gamma"}, "Gamma"),
        ({"ev": (-1.0, 0.0, 1.0)}, "--allow-identity"),
        ({"scenes_per_video": 0}, "at least 1"),
    ],
)
def test_what_contradicts_itself_is_refused(choices, words) -> None:
    with pytest.raises(UsageError, match=words):
        Recipe(**choices)


def test_a_share_to_clip_belongs_to_the_preset_that_solves_for_it() -> None:
    with pytest.raises(UsageError, match="belongs to preset adaptive"):
        Recipe.from_preset("clipped-reference", clip_share=0.3)
