"""The quickest way to a whole data set: nothing is measured, and no picture is stored for fun."""

from __future__ import annotations

from dmef_bench.building.recipe import Recipe
from dmef_bench.building.split import SplitRule

FAST = Recipe(store="triple", pick="uniform", split=SplitRule(2, 2))
