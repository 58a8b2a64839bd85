"""A training recipe: what decides how a network learns from given scenes, as plain data."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from dmef_bench.errors import UsageError


def _pair(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _check(right: bool, recipe: object, name: str, wanted: str) -> None:
    if not right:
        raise UsageError(f"Recipe: {name} is {getattr(recipe, name)!r}; it must be {wanted}.")


def _list(names: Any) -> str:
    return ", ".join(names)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; the defaults are the 4K-DMEF paper's, ours where it is silent.

    Parameters
    ----------
    name : str
        For the record.
    source : str
        Where it was published, and what of it is not done here.
    loss : {"l1", "mse", "psnr"}
        Taken where people look: on display-encoded pictures as they are, on radiance after the
        mu-law (`dmef_bench.training.losses.distance`).
    perceptual : float
        Weight of the perceptual loss that is added (`dmef_bench.training.perceptual.Perceptual`);
        0 asks for none, and for no VGG16.
    optimizer : {"adamw", "adam"}
        Of torch.
    learning_rate : float
        At the start.
    betas : (float, float)
        Of the optimiser.
    weight_decay : float
        Of the optimiser.
    schedule : {"constant", "steps", "cosine"}
        ``steps``: times ``decay`` every ``decay_every`` epochs. ``cosine``: half a wave down to 0
        at the end of the run, whichever of its limits comes first.
    decay : float
        Factor of ``steps``.
    decay_every : float
        Epochs; below 1, a share of all epochs.
    clip_norm : float
        Largest norm of the gradient; 0 leaves it alone.
    crop : int
        Side of the square crops, in pixels.
    batch : int
        Crops a step, of all processes together.
    epochs : int
        Passes over the training scenes.
    epoch_steps : int
        Steps of a pass; 0: as many as give each scene one crop.
    flips, turns : bool
        Mirror crops at random, and turn them by 90 degrees, all pictures of a crop alike.
    held_out : float
        Share of the training scenes, by whole clips, that only validation sees.
    validate_every : int
        Steps between two validations; a checkpoint is written with each.

    Raises
    ------
    UsageError
        A value that nothing can be trained with.

    Examples
    --------
    >>> Recipe().steps(scenes=80)
    24000
    """

    name: str = "paper"
    source: str = ""
    loss: Literal["l1", "mse", "psnr"] = "l1"
    perceptual: float = 0.0
    optimizer: Literal["adamw", "adam"] = "adamw"
    learning_rate: float = 2e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.01
    schedule: Literal["constant", "steps", "cosine"] = "constant"
    decay: float = 1.0
    decay_every: float = 0.0
    clip_norm: float = 1.0
    crop: int = 256
    batch: int = 4
    epochs: int = 1200
    epoch_steps: int = 0
    flips: bool = True
    turns: bool = True
    held_out: float = 0.1
    validate_every: int = 250

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", _pair(self.betas))
        self._check_kinds()
        for name in ("crop", "batch", "epochs", "validate_every"):
            _check(getattr(self, name) >= 1, self, name, "1 or more")
        for name in ("perceptual", "epoch_steps", "weight_decay", "clip_norm", "decay_every"):
            _check(0 <= getattr(self, name) < math.inf, self, name, "0 or more")
        for name in ("learning_rate", "decay"):
            _check(0 < getattr(self, name) < math.inf, self, name, "above 0")
        right = len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)
        _check(right, self, "betas", "two numbers in [0, 1)")
        _check(0 <= self.held_out < 1, self, "held_out", "a share in [0, 1)")
        if self.schedule == "steps":
            _check(self.decay_every > 0, self, "decay_every", "above 0 with schedule='steps'")

    def _check_kinds(self) -> None:
        for name, hint in get_type_hints(type(self)).items():
            value = getattr(self, name)
            if get_origin(hint) is Literal:
                choices = get_args(hint)
                _check(value in choices, self, name, " or ".join(map(repr, choices)))
            elif hint in (int, float):
                right = isinstance(value, (int, hint)) and not isinstance(value, bool)
                _check(right, self, name, "a whole number" if hint is int else "a number")
            elif hint in (bool, str):
                _check(isinstance(value, hint), self, name, f"a {hint.__name__}")

    def steps_an_epoch(self, scenes: int) -> int:
        """Steps of one pass over so many scenes."""
        return self.epoch_steps or math.ceil(scenes / self.batch)

    def steps(self, scenes: int) -> int:
        """Steps of the whole run on so many scenes."""
        return self.epochs * self.steps_an_epoch(scenes)

    def rate(self, epoch: float, progress: float) -> float:
        """The learning rate after ``epoch`` passes, with ``progress`` of the run in [0, 1] done.

        Examples
        --------
        >>> Recipe(schedule="steps", decay=0.5, decay_every=100).rate(250, 0.2)
        5e-05
        """
        if self.schedule == "cosine":
            return self.learning_rate * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
        if self.schedule == "steps":
            every = self.decay_every * (self.epochs if self.decay_every < 1 else 1)
            return self.learning_rate * self.decay ** int(epoch / every)
        return self.learning_rate

    def to_record(self) -> dict[str, Any]:
        """Every field, for a record."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], where: str) -> Recipe:
        """Read what a TOML file or a record says; UsageError where it names no field."""
        known = [part.name for part in fields(cls)]
        for key in values:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                guess = f"; did you mean {near[0]}?" if near else "."
                raise UsageError(f"{where}: a recipe has no {key!r}{guess} It has {_list(known)}.")
        return cls(**values)


PAPER = Recipe(
    source="arXiv:2412.11685: L1, AdamW 2e-4, batch 4, 1200 epochs; the rest is not stated there"
)
"""``--recipe paper``: the same for every network."""


def choose_recipe(word: str, own: Mapping[str, Recipe]) -> Recipe:
    """The recipe that ``--recipe`` names.

    Parameters
    ----------
    word : str
        ``"paper"``, a preset of the method such as ``"upstream"``, or the path of a TOML file
        whose keys are fields of `Recipe`.
    own : mapping
        The method's presets (`dmef_bench.method.Traits.recipes`).

    Raises
    ------
    UsageError
        No such preset, or a file that is no recipe.
    """
    presets = {"paper": PAPER, **own}
    if word in presets:
        return presets[word]
    path = Path(word)
    if path.suffix != ".toml":
        raise UsageError(
            f"No recipe is called {word!r}; this method has {_list(presets)}. "
            "Or give a .toml file with fields of a recipe."
        )
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{word}: cannot be read as a recipe ({error}).") from error
    return Recipe.from_mapping({"name": path.stem, **values}, where=path.name)
