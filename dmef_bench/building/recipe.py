"""Everything that decides what a data set looks like, as plain data with one hash."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from dmef_bench import strict_json
from dmef_bench.building.selection import SelectionRules
from dmef_bench.building.split import SplitRule
from dmef_bench.errors import UsageError
from dmef_bench.exposure.camera_response import MODELS, CameraResponse
from dmef_bench.exposure.noise import LEVELS, SensorNoise
from dmef_bench.exposure.synthesis import DEFAULT_PRESET, check_evs, find_preset

Pick = Literal["auto", "uniform"]
Store = Literal["all", "triple"]


@dataclass(frozen=True)
class Recipe:
    """How scenes are chosen, exposed, stored and split.

    Parameters
    ----------
    preset : str or None
        Name of the exposures; None where they were chosen freely.
    ev : tuple of float
        Stops of low, medium and high, relative to the ground truth.
    model : str
        Camera response, a key of `MODELS`, with its default constants.
    noise : str or None
        Sensor noise, a key of `LEVELS`.
    pick : {"auto", "uniform"}
        Triples by measurement, or the frames at 25, 50 and 75 % of the clip.
    scenes_per_video : int
        At most so many triples from one clip.
    selection : SelectionRules
        Thresholds of ``pick="auto"``.
    split : SplitRule
        Training and test.
    store : {"all", "triple"}
        All nine exposures, or the canonical three; the truth always.
    seed : int
        Of the noise.
    allow_identity : bool
        Accept a medium exposure that equals the ground truth.

    Raises
    ------
    UsageError
        A combination that cannot be built.
    """

    preset: str | None = DEFAULT_PRESET
    ev: tuple[float, float, float] = (-1.0, 1.0, 3.0)
    model: str = "Sigmoid"
    noise: str | None = None
    pick: Pick = "auto"
    scenes_per_video: int = 1
    selection: SelectionRules = field(default_factory=SelectionRules)
    split: SplitRule = field(default_factory=SplitRule)
    store: Store = "all"
    seed: int = 0
    allow_identity: bool = False

    def __post_init__(self) -> None:
        check_evs(self.ev, allow_identity=self.allow_identity)
        if self.model not in MODELS:
            raise UsageError(f"No camera model is called {self.model!r}: {', '.join(MODELS)}.")
        if self.noise is not None and self.noise not in LEVELS:
            raise UsageError(f"No noise is called {self.noise!r}; choose from {', '.join(LEVELS)}.")
        if self.preset == "noisy-reference" and self.noise is None:
            raise UsageError("Preset noisy-reference needs noise; add --noise mild.")
        if self.scenes_per_video < 1:
            raise UsageError("scenes_per_video is at least 1.")

    @classmethod
    def from_preset(cls, name: str, *, allow_identity: bool = False, **others: Any) -> Recipe:
        """A recipe with the exposures, and the noise unless given, of a named preset."""
        preset = find_preset(name, allow_identity=allow_identity)
        level = next((key for key, noise in LEVELS.items() if noise == preset.noise), None)
        others.setdefault("noise", level)
        return cls(preset=name, ev=preset.evs, allow_identity=allow_identity, **others)

    @property
    def camera(self) -> CameraResponse:
        """The camera response."""
        return MODELS[self.model]()

    @property
    def sensor_noise(self) -> SensorNoise | None:
        """The noise model, None where there is none."""
        return None if self.noise is None else LEVELS[self.noise]

    def to_record(self) -> dict[str, Any]:
        """The recipe as ``dataset.json`` keeps it."""
        return {
            **asdict(self),
            "parameters": asdict(MODELS[self.model]()),
            "format": "png",
            "resize": "none",
            "hdr": "reject",
            "crf_jitter": None,
        }

    @property
    def digest(self) -> str:
        """SHA-256 of the record; two data sets of one recipe and the same videos are equal."""
        return strict_json.digest(self.to_record())
