from __future__ import annotations

import pytest

from dmef_bench.errors import UsageError
from dmef_bench.training.recipe import PAPER, Recipe, choose_recipe


def test_the_paper_takes_24000_steps_on_its_80_scenes() -> None:
    assert (PAPER.steps(80), PAPER.batch, PAPER.learning_rate) == (24_000, 4, 2e-4)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ({}, [1.0, 1.0, 1.0]),
        ({"schedule": "cosine"}, [1.0, 0.5, 0.0]),
        ({"schedule": "steps", "decay": 0.5, "decay_every": 100}, [1.0, 0.5**5, 0.5**10]),
        # Once, after 80 % of the epochs.
        ({"schedule": "steps", "decay": 0.1, "decay_every": 0.8}, [1.0, 1.0, 0.1]),
    ],
)
def test_rates_at_the_start_halfway_and_at_the_end(schedule, expected) -> None:
    recipe = Recipe(learning_rate=1.0, epochs=1000, **schedule)
    rates = [recipe.rate(1000 * progress, progress) for progress in (0.0, 0.5, 1.0)]
    assert rates == pytest.approx(expected)


def test_a_preset_of_the_method_comes_before_the_papers() -> None:
    own = {"upstream": Recipe(name="upstream", batch=8)}
    assert choose_recipe("upstream", own).batch == 8
    assert choose_recipe("paper", own) is PAPER
    with pytest.raises(
        UsageError, match=r"No recipe is called 'fast'; this method has paper, upst"
    ):
        choose_recipe("fast", own)


def test_a_file_says_what_differs_from_the_paper(tmp_path) -> None:
    file = tmp_path / "short.toml"
    file.write_text("crop = 64\nbetas = [0.9, 0.99]\nlearning_rate = 1\n")
    recipe = choose_recipe(str(file), {})
    assert (recipe.name, recipe.crop, recipe.betas, recipe.batch) == ("short", 64, (0.9, 0.99), 4)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("crops = 64", "did you mean crop"),
        ("crop = 64.5", "crop is 64.5; it must be a whole number"),
        ("batch = 0", "1 or more"),
        ("loss = 'l2'", "'l1' or 'mse'"),
        ("flips = 1", "a bool"),
        ("learning_rate = nan", "above 0"),
        ("betas = [0.9]", "two numbers"),
        ("schedule = 'steps'", "decay_every"),
        ("held_out = 1.0", r"a share in \[0, 1\)"),
        ("crop = ", "cannot be read"),
    ],
)
def test_what_no_network_can_be_trained_with_is_refused(tmp_path, text, told) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=told):
        choose_recipe(str(file), {})
