from __future__ import annotations

import pytest

from baselines.recipes import RECIPES
from dmef_bench.training.recipe import PAPER


@pytest.mark.parametrize(
    ("name", "halved"),
    [("ahdrnet", 0.1), ("fshdr", 0.75**7), ("hdr-transformer", 1.0), ("sctnet", 1.0)],
)
def test_the_authors_rates_fall_as_they_published(name, halved) -> None:
    recipe = RECIPES[name]["upstream"]
    assert RECIPES[name]["paper"] is PAPER
    # In the last epoch of the run: after 80 % of it, after seven times ten epochs, not yet.
    last = recipe.rate(recipe.epochs - 1, 1 - 1 / recipe.epochs)
    assert last == pytest.approx(recipe.learning_rate * halved)


def test_the_transformers_learn_with_a_perceptual_loss_and_nobody_else() -> None:
    upstream = {name: recipes["upstream"].perceptual for name, recipes in RECIPES.items()}
    assert upstream == {"ahdrnet": 0, "fshdr": 0, "hdr-transformer": 0.01, "sctnet": 0.01}


def test_each_upstream_recipe_says_where_it_is_from() -> None:
    for recipes in RECIPES.values():
        assert "et al." in recipes["upstream"].source
