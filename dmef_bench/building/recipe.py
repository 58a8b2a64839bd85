"""Everything that decides what a data set looks like, as plain data with one hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from dmef_bench import strict_json
from dmef_bench.building.rules import SelectionRules
from dmef_bench.building.split import SplitRule
from dmef_bench.errors import ManifestError, UsageError
from dmef_bench.exposure.adaptive import CLIP_SHARE, check_share
from dmef_bench.exposure.camera_response import MODELS, CameraResponse
from dmef_bench.exposure.jitter import SIGMA, STEEPNESS
from dmef_bench.exposure.noise import LEVELS, SensorNoise, parse_noise
from dmef_bench.exposure.synthesis import DEFAULT_PRESET, PRESETS, check_evs, find_preset
from dmef_bench.imagefile import Lossless

Pick = Literal["auto", "uniform", "list"]
Store = Literal["all", "triple"]
Hdr = Literal["reject", "tonemap"]
Resize = Literal["none", "4k"]

ADAPTIVE = "adaptive"
"""The preset whose stops are solved for each scene (`dmef_bench.exposure.adaptive`)."""

PRESET_NAMES = (*PRESETS, ADAPTIVE)
"""Every preset a data set can be built with."""

_JITTER = {"n": asdict(STEEPNESS), "sigma": asdict(SIGMA)}
# Choices that came later stand in a record only where they were made, so that the hash of a
# recipe does not change when dmef learns something.
_SPARSE = (
    "clip_share",
    "strict_audit",
    "to_srgb",
    "salvage",
    "require_4k",
    "anonymous_names",
)


@dataclass(frozen=True)
class Recipe:
    """How scenes are chosen, exposed, stored and split.

    Parameters
    ----------
    preset : str or None
        Name of the exposures; None where they were chosen freely.
    ev : tuple of float or None
        Stops of low, medium and high, relative to the ground truth; None where they are solved
        for each scene.
    model : str
        Camera response, a key of `MODELS`, with its default constants.
    noise : str or None
        Sensor noise: a key of `LEVELS`, or ``"A,B"`` (`parse_noise`).
    pick : {"auto", "uniform", "list"}
        Triples by measurement, the frames at 25, 50 and 75 % of the clip, or those listed.
    scenes_per_video : int
        At most so many triples from one clip.
    selection : SelectionRules
        Thresholds of ``pick="auto"``.
    split : SplitRule
        Training and test.
    store : {"all", "triple"}
        All nine exposures, or the canonical three; the truth always.
    format : {"png", "jxl"}
        How pictures are stored, without loss either way.
    seed : int
        Of noise and drawn responses.
    allow_identity : bool
        Accept a medium exposure that equals the ground truth.
    clip_share : float or None
        Share of the reference's pixels that clip, where stops are solved.
    crf_jitter : bool
        Draw another camera for every scene; recorded, and shown to no method.
    strict_audit : bool
        Leave scenes out that the audit flags.
    hdr : {"reject", "tonemap"}
        What becomes of HLG and PQ video.
    to_srgb : bool
        Convert other primaries than those of BT.709.
    salvage : bool
        Use the readable part of videos that are cut short.
    resize : {"none", "4k"}
        Shrink larger pictures until they fit into 3840x2160.
    require_4k : bool
        Refuse smaller video.
    anonymous_names : bool
        Name scenes and sources by hash alone.

    Raises
    ------
    UsageError
        A combination that cannot be built.
    """

    preset: str | None = DEFAULT_PRESET
    ev: tuple[float, float, float] | None = (-1.0, 1.0, 3.0)
    model: str = "Sigmoid"
    noise: str | None = None
    pick: Pick = "auto"
    scenes_per_video: int = 1
    selection: SelectionRules = field(default_factory=SelectionRules)
    split: SplitRule = field(default_factory=SplitRule)
    store: Store = "all"
    format: Lossless = "png"
    seed: int = 0
    allow_identity: bool = False
    clip_share: float | None = None
    crf_jitter: bool = False
    strict_audit: bool = False
    hdr: Hdr = "reject"
    to_srgb: bool = False
    salvage: bool = False
    resize: Resize = "none"
    require_4k: bool = False
    anonymous_names: bool = False

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise UsageError(f"No camera model is called {self.model!r}: {', '.join(MODELS)}.")
        if self.ev is not None:
            check_evs(self.ev, allow_identity=self.allow_identity)
        elif self.clip_share is None:
            raise UsageError("Give stops, or a share of pixels to clip (preset adaptive).")
        self._check_adaptive()
        if self.noise is not None and self.noise not in LEVELS:
            noise = parse_noise(self.noise)
            object.__setattr__(self, "noise", f"{noise.a!r},{noise.b!r}")
        if self.preset == "noisy-reference" and self.noise is None:
            raise UsageError("Preset noisy-reference needs noise; add --noise mild.")
        if self.crf_jitter and self.model != "Sigmoid":
            raise UsageError(
                f"--crf-jitter draws Sigmoid cameras; {self.model} has other constants."
            )
        if self.format not in get_args(Lossless):
            raise UsageError(f"Pictures are stored as png or jxl, not as {self.format!r}.")
        if self.scenes_per_video < 1:
            raise UsageError("scenes_per_video is at least 1.")

    def _check_adaptive(self) -> None:
        if self.clip_share is None:
            return
        if self.ev is not None:
            raise UsageError("Stops are given, or solved for a share that clips; not both.")
        if self.model == "Preferred":
            raise UsageError(
                "Preferred never clips, so preset adaptive has nothing to solve. "
                "Choose another camera model."
            )
        check_share(self.clip_share)

    @classmethod
    def from_preset(
        cls,
        name: str,
        *,
        allow_identity: bool = False,
        clip_share: float | None = None,
        **others: Any,
    ) -> Recipe:
        """A recipe with the exposures, and the noise unless given, of a named preset."""
        if name == ADAPTIVE:
            share = CLIP_SHARE if clip_share is None else clip_share
            return cls(name, None, allow_identity=allow_identity, clip_share=share, **others)
        if clip_share is not None:
            raise UsageError(f"A share to clip belongs to preset {ADAPTIVE}, not to {name}.")
        if name not in PRESETS:
            known = ", ".join(PRESET_NAMES)
            raise UsageError(f"No exposure preset is called {name!r}; there are {known}.")
        preset = find_preset(name, allow_identity=allow_identity)
        level = next((key for key, noise in LEVELS.items() if noise == preset.noise), None)
        others.setdefault("noise", level)
        return cls(preset=name, ev=preset.evs, allow_identity=allow_identity, **others)

    @property
    def camera(self) -> CameraResponse:
        """The camera response, where it is not drawn for each scene."""
        return MODELS[self.model]()

    @property
    def sensor_noise(self) -> SensorNoise | None:
        """The noise model, None where there is none."""
        return None if self.noise is None else parse_noise(self.noise)

    @property
    def is_identity(self) -> bool:
        """Whether the medium exposure is the ground truth."""
        return self.ev is not None and self.ev[1] == 0

    def to_record(self) -> dict[str, Any]:
        """The recipe as ``dataset.json`` keeps it."""
        record = {
            **asdict(self),
            "split": self.split.to_record(),
            "parameters": None if self.crf_jitter else asdict(MODELS[self.model]()),
            "crf_jitter": _JITTER if self.crf_jitter else None,
        }
        return {key: value for key, value in record.items() if key not in _SPARSE or value}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Recipe:
        """Read back what `to_record` wrote.

        Raises
        ------
        ManifestError
            Fields that this version does not know, or values that make no recipe.
        """
        try:
            values = dict(record)
            values.pop("parameters")
            values["crf_jitter"] = values["crf_jitter"] is not None
            values["ev"] = None if values["ev"] is None else tuple(map(float, values["ev"]))
            rules = {**values["selection"], "gap_ms": tuple(values["selection"]["gap_ms"])}
            values["selection"] = SelectionRules(**rules)
            values["split"] = SplitRule(**values["split"])
            return cls(**values)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            known = ", ".join(each.name for each in fields(cls))
            raise ManifestError(
                f"dataset.json: its recipe cannot be followed ({error}); this version of dmef "
                f"knows {known}."
            ) from error

    @property
    def digest(self) -> str:
        """SHA-256 of the record; two data sets of one recipe and the same videos are equal."""
        return strict_json.digest(self.to_record())
