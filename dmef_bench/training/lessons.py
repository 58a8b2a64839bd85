"""What a run learns from and is tested on: training scenes, decoded, split by clip, cut."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from dmef_bench.datasets import SceneSet
from dmef_bench.errors import UsageError
from dmef_bench.training.holdout import hold_out
from dmef_bench.training.patches import Batch, CropPlan, batches, check_fits, collect, fixed_crops
from dmef_bench.training.recipe import Recipe
from dmef_bench.training.store import Preparation, Progress, StoredScene, store_scenes

VALIDATION_CROPS = 32
"""At most, where there are fewer held-out scenes; else one a scene."""


@dataclass(frozen=True, eq=False)
class Lessons:
    """The scenes of a run.

    Parameters
    ----------
    training, held_out : list of StoredScene
        Learnt from, and only looked at.
    recipe : Recipe
        Says how they are cut.
    seed : int
        Of crops and their order.
    facts : mapping
        Of the data, for the record.
    """

    training: list[StoredScene]
    held_out: list[StoredScene]
    recipe: Recipe
    seed: int
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def steps_an_epoch(self) -> int:
        """Steps of one pass."""
        return self.recipe.steps_an_epoch(len(self.training))

    def batches(
        self, first: int, rank: int = 0, processes: int = 1
    ) -> Generator[Batch, None, None]:
        """Batches from step ``first`` on, without end; of several processes, one's share."""
        recipe = self.recipe
        plan = CropPlan(
            [scene.size for scene in self.training],
            recipe.crop,
            self.seed,
            flips=recipe.flips,
            turns=recipe.turns,
        )
        return batches(self.training, plan, recipe.batch, first, rank=rank, processes=processes)

    @cached_property
    def validation(self) -> list[Batch]:
        """The same crops of the held-out scenes every time; empty where none are held out."""
        side, batch = self.recipe.crop, self.recipe.batch
        crops = fixed_crops([scene.size for scene in self.held_out], side, VALIDATION_CROPS)
        return [
            collect(self.held_out, crops[start : start + batch], side)
            for start in range(0, len(crops), batch)
        ]


def prepare_lessons(
    scenes: SceneSet,
    recipe: Recipe,
    seed: int,
    cache: Path,
    progress: Progress | None = None,
    *,
    stride: int = 1,
    preparation: Preparation | None = None,
) -> Lessons:
    """Split the training scenes by clip, and decode and prepare them into ``cache``.

    Raises
    ------
    UsageError
        No training scenes, or scenes that the crops do not fit into.
    """
    if not len(scenes):
        raise UsageError(
            f"{scenes.root} has no training scenes; nothing is learnt from test scenes. "
            "Build it with a training share, for example --split 80/30."
        )
    check_fits(scenes.ids, [facts.size for facts in scenes.facts], recipe.crop, stride)
    groups = [facts.group or facts.scene_id for facts in scenes.facts]
    kept = set(hold_out(groups, recipe.held_out))
    stored = store_scenes(scenes, cache, progress, preparation)
    training = [scene for index, scene in enumerate(stored) if index not in kept]
    held_out = [scene for index, scene in enumerate(stored) if index in kept]
    facts = {
        "dataset": scenes.dataset,
        "name": scenes.root.resolve().name,
        "digest": scenes.digest,
        "training_scenes": len(training),
        "held_out": [scene.scene_id for scene in held_out],
    }
    return Lessons(training, held_out, recipe, seed, facts)
