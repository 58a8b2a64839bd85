"""How the frames of one scene are exposed: stops, camera and noise, solved, drawn or repeated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from dmef_bench.building.recipe import Recipe
from dmef_bench.errors import ManifestError
from dmef_bench.exposure.adaptive import CLIP_SHARE, adaptive_evs
from dmef_bench.exposure.camera_response import MODELS, CameraResponse
from dmef_bench.exposure.jitter import drawn_response
from dmef_bench.exposure.noise import SeededNoise, SensorNoise, noise_key, parse_noise
from dmef_bench.exposure.synthesis import check_evs, expose
from dmef_bench.scene import Encoded

LEVELS = ("low", "medium", "high")


@dataclass(frozen=True)
class Exposing:
    """The exposures of one scene.

    Parameters
    ----------
    scene : str
        Its id, which the noise is drawn for.
    evs : tuple of float
        Stops of low, medium and high.
    camera : CameraResponse
        The response.
    noise : SensorNoise or None
        On every exposure, never on the truth.
    seed : int
        Of the noise.
    stated : dict
        What else the manifest says: preset, names, whether the camera was drawn.
    """

    scene: str
    evs: tuple[float, float, float]
    camera: CameraResponse
    noise: SensorNoise | None
    seed: int
    stated: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, recipe: Recipe, scene: str, reference: Encoded) -> Exposing:
        """As the recipe says, for a scene whose sample 2 is ``reference``."""
        drawn = drawn_response(recipe.seed, scene) if recipe.crf_jitter else None
        camera = drawn or recipe.camera
        stated: dict[str, Any] = {
            "preset": recipe.preset,
            "noise": recipe.noise,
            "crf_jitter": asdict(drawn) if drawn else None,
            "allow_identity": recipe.allow_identity,
        }
        evs = recipe.ev
        if evs is None:
            share = recipe.clip_share or CLIP_SHARE
            stated["clip_share"] = share
            evs = adaptive_evs(reference, camera, share)
        return cls(scene, evs, camera, recipe.sensor_noise, recipe.seed, stated)

    @classmethod
    def repeated(cls, scene: str, record: Mapping[str, Any], seed: int) -> Exposing:
        """As a manifest recorded it; ``seed`` is the data set's, for records that name none.

        Raises
        ------
        ManifestError
            A record that describes no exposures.
        """
        try:
            low, medium, high = (float(record["ev"][level]) for level in LEVELS)
            evs = check_evs((low, medium, high), allow_identity=True)
            camera = MODELS[record["model"]](**record["parameters"])
            noise = None if record["noise"] is None else parse_noise(record["noise"])
            stated = {key: record[key] for key in record if key not in _GENERATED}
            return cls(scene, evs, camera, noise, int(record.get("seed", seed)), stated)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ManifestError(f"{scene}: its exposures are damaged ({error}).") from error

    def expose(self, frame: Encoded, sample: int, level: str) -> Encoded:
        """One exposure of one sample."""
        noise = None
        if self.noise is not None:
            noise = SeededNoise(self.noise, noise_key(self.seed, self.scene, sample, level))
        return expose(frame, self.evs[LEVELS.index(level)], self.camera, noise)

    def to_record(self) -> dict[str, Any]:
        """As the manifest keeps it."""
        stops = dict(zip(LEVELS, self.evs, strict=True))
        return {
            **self.stated,
            "model": type(self.camera).__name__,
            "parameters": asdict(cast(Any, self.camera)),
            "ev": stops,
            "k": {level: 2.0**ev for level, ev in stops.items()},
            "bits": 8,
            "rounding": "half-up",
            "seed": self.seed,
        }


_GENERATED = frozenset({"model", "parameters", "ev", "k", "bits", "rounding", "seed"})
