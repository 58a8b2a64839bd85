"""What became of a build, in the words of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dmef_bench import strict_json
from dmef_bench.manifest import SPLITS, SceneEntry

_WORST = 3


@dataclass(frozen=True)
class BuildReport:
    """What a build did.

    Parameters
    ----------
    root : Path
        The data set.
    scenes : tuple of SceneEntry
        All scenes of the data set, old and new.
    refused : mapping
        Video name to the reason why it gave no scene.
    notes : tuple of str
        What the user should know without it being wrong.
    audit : mapping
        The gate's verdict (`dmef_bench.exposure.audit.gate`); empty without scenes.
    """

    root: Path
    scenes: tuple[SceneEntry, ...]
    refused: Mapping[str, str]
    notes: tuple[str, ...] = ()
    audit: Mapping[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 whole; 3 no scene at all; 4 videos refused or the audit gate failed."""
        if not self.scenes:
            return 3
        return 4 if self.refused or not self.audit.get("passed") else 0

    @property
    def sides(self) -> dict[str, int]:
        """Scenes on each side of the split."""
        return {side: sum(scene.split == side for scene in self.scenes) for side in SPLITS}

    def lines(self) -> list[str]:
        """What the command line prints."""
        lines = [*self.notes, *(f"refused: {reason}" for reason in self.refused.values())]
        if not self.scenes:
            return [*lines, f"No scene could be built; {self.root} holds no data set."]
        lines.append(
            f"{len(self.scenes)} scenes in {self.root}: {self.sides['train']} training, "
            f"{self.sides['test']} test; {len(self.refused)} videos refused."
        )
        lines.append(
            f"Audit: copying the medium gives {self.audit['median_copy_db']:.1f} dB, its best tone "
            f"curve {self.audit['median_curve_db']:.1f} dB; {self.audit['flagged']} scenes flagged."
        )
        if not self.audit["passed"]:
            lines.append(
                "The audit gate failed: too many scenes can be won without fusing. Worst: "
                f"{self._worst()}. See the flags in manifest.jsonl, or choose other exposures "
                "with --ev."
            )
        return lines

    def to_record(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "root": str(self.root),
            "scenes": self.sides,
            "refused": dict(self.refused),
            "notes": list(self.notes),
            "audit": dict(self.audit),
            "exit_code": self.exit_code,
        }

    def _worst(self) -> str:
        """The scenes that one tone curve comes closest to solving."""

        def curve_db(scene: SceneEntry) -> float:
            return strict_json.number(scene.audit["medium"]["curve_db"])

        worst = sorted(self.scenes, key=lambda scene: (-curve_db(scene), scene.scene))[:_WORST]
        return ", ".join(f"{scene.scene} ({curve_db(scene):.1f} dB)" for scene in worst)
