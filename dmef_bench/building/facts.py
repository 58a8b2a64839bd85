"""What a data set's papers say in numbers, gathered from its manifest."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass
from typing import Any

from dmef_bench import strict_json
from dmef_bench.building.recipe import Recipe
from dmef_bench.errors import ManifestError
from dmef_bench.exposure.synthesis import PRESETS
from dmef_bench.manifest import Manifest, SceneEntry


@dataclass(frozen=True)
class Rights:
    """One licence and consent, and how many videos and scenes come under them."""

    licence: str
    consent: str
    videos: int
    scenes: int


@dataclass(frozen=True)
class Facts:
    """A data set in figures and sentences.

    Parameters
    ----------
    name, version, created, licence, contact, description, citation : str
        As ``dataset.json`` states them; empty where it does not.
    train, test, videos, groups, refused, files, bytes : int
        Scenes of each side, sources, groups, videos refused, pictures and what they take.
    sizes : tuple of (text, count)
        Picture sizes, ``WxH``, the most frequent first.
    stored : str
        Which exposures lie on disk.
    exposures : str
        How they were made, in one sentence.
    chosen : str
        How frames were chosen, in one sentence.
    audit : dict
        The build gate's verdict.
    copy_db, curve_db, clip : tuple of float
        Smallest, median and largest over the mediums; dB, dB, share.
    flagged : tuple of (scene, flags)
        Scenes that copying or a tone curve nearly solves, or whose reference is whole or lost.
    rights : tuple of Rights
        Sorted.
    """

    name: str
    version: str
    created: str
    licence: str
    contact: str
    description: str
    citation: str
    train: int
    test: int
    videos: int
    groups: int
    refused: int
    files: int
    bytes: int
    sizes: tuple[tuple[str, int], ...]
    stored: str
    exposures: str
    chosen: str
    audit: dict[str, Any]
    copy_db: tuple[float, float, float]
    curve_db: tuple[float, float, float]
    clip: tuple[float, float, float]
    flagged: tuple[tuple[str, str], ...]
    rights: tuple[Rights, ...]

    @classmethod
    def of(cls, manifest: Manifest) -> Facts:
        """Gather them.

        Raises
        ------
        ManifestError
            A recipe or an audit that cannot be read, or no scene at all.
        """
        if not manifest.scenes:
            raise ManifestError(f"{manifest.root}: the manifest lists no scene.")
        stated, scenes = manifest.dataset, manifest.scenes
        recipe = Recipe.from_record(stated.get("recipe") or {})
        try:
            return cls(
                **{name: str(stated.get(name) or "") for name in _STATED},
                train=len(manifest.of_split("train")),
                test=len(manifest.of_split("test")),
                videos=len({scene.source["sha256"] for scene in scenes}),
                groups=len({scene.group for scene in scenes}),
                refused=int(stated["refused_videos"]),
                files=sum(len(scene.files) for scene in scenes),
                bytes=sum(entry.bytes for scene in scenes for entry in scene.files),
                sizes=tuple(Counter(f"{s.width}x{s.height}" for s in scenes).most_common()),
                stored=_stored(scenes),
                exposures=_exposures(recipe),
                chosen=_chosen(recipe),
                audit=dict(stated["audit"]),
                copy_db=_spread(scenes, "copy_db"),
                curve_db=_spread(scenes, "curve_db"),
                clip=_spread(scenes, "clip"),
                flagged=tuple(
                    (s.scene, ", ".join(s.audit["flags"])) for s in scenes if s.audit["flags"]
                ),
                rights=_rights(scenes),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ManifestError(
                f"{manifest.root}: the manifest lacks what its papers need ({error!r})."
            ) from error


_STATED = ("name", "version", "created", "licence", "contact", "description", "citation")


def _spread(scenes: tuple[SceneEntry, ...], figure: str) -> tuple[float, float, float]:
    values = [strict_json.number(scene.audit["medium"][figure]) for scene in scenes]
    return min(values), statistics.median(values), max(values)


def _rights(scenes: tuple[SceneEntry, ...]) -> tuple[Rights, ...]:
    found: dict[tuple[str, str], list[str]] = {}
    for scene in scenes:
        source = scene.source
        terms = str(source.get("licence") or ""), str(source.get("consent") or "not-recorded")
        found.setdefault(terms, []).append(str(source["sha256"]))
    return tuple(
        Rights(licence, consent, len(set(shas)), len(shas))
        for (licence, consent), shas in sorted(found.items())
    )


def _stored(scenes: tuple[SceneEntry, ...]) -> str:
    which = "all nine exposures" if any(scene.aux for scene in scenes) else "three exposures"
    return f"{which} and the ground truth"


def _exposures(recipe: Recipe) -> str:
    """The preset in one sentence."""
    if recipe.ev is None:
        share = 0.0 if recipe.clip_share is None else recipe.clip_share
        stops = (
            f"the medium of sample 2 (the reference) raised until {share:.0%} of its pixels clip, "
            "the low of sample 1 two stops below it and the high of sample 3 two stops above"
        )
    else:
        low, medium, high = (f"{ev:+g}" for ev in recipe.ev)
        stops = (
            f"the low of sample 1 at EV {low}, the medium of sample 2 (the reference) at EV "
            f"{medium} and the high of sample 3 at EV {high}, relative to the ground truth"
        )
    camera = (
        "a Sigmoid camera response drawn for each scene"
        if recipe.crf_jitter
        else f"the {recipe.model} camera response"
    )
    noise = "without noise" if recipe.noise is None else f"with sensor noise ({recipe.noise})"
    known = recipe.preset in PRESETS
    note = f"; {PRESETS[recipe.preset].note}" if known and recipe.preset else ""
    preset = f"Preset {recipe.preset}: " if recipe.preset else ""
    sentence = f"{stops}, through {camera}, {noise}{note}."
    return preset + (sentence if preset else sentence[0].upper() + sentence[1:])


def _chosen(recipe: Recipe) -> str:
    count = recipe.scenes_per_video
    most = f"at most {count} triple{'s' * (count > 1)} a video"
    ways = {
        "auto": f"by measured motion, sharpness, exposure and steadiness, {most}",
        "uniform": "at 25, 50 and 75 % of each video, unmeasured",
        "list": "by hand, from a list of frames",
    }
    return ways[recipe.pick]
