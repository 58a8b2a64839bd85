"""What a data set still lacks before it is handed to others."""

from __future__ import annotations

from dmef_bench.building.describing import blanks_left
from dmef_bench.manifest import Manifest

CONSENTS = ("given", "public-licence", "no-people")
"""What a video's ``consent`` must say."""

_SHOWN = 5


def check_release(manifest: Manifest) -> list[str]:
    """Blanks, missing rights, an audit that did not pass: one sentence each."""
    stated = manifest.dataset
    problems = list(blanks_left(manifest.root))
    for name in ("licence", "contact"):
        if not str(stated.get(name) or "").strip():
            problems.append(
                f"dataset.json: states no {name}; `dmef describe ROOT --{name} …` adds it."
            )
    problems += _check_rights(manifest)
    audit = stated.get("audit")
    if not isinstance(audit, dict) or audit.get("passed") is not True:
        problems.append(
            "The audit did not pass: most scenes can be won without fusing. Build with other "
            "exposures, or from other videos."
        )
    leakage = stated.get("leakage")
    if not isinstance(leakage, dict) or leakage.get("medium_identity") is not False:
        problems.append("The medium exposure equals the ground truth. Build with another EV.")
    if stated.get("complete") is not True:
        problems.append("The build did not finish; run it again.")
    return problems


def _check_rights(manifest: Manifest) -> list[str]:
    """Videos without a licence, or whose consent is none of `CONSENTS`."""
    unlicensed, unclear = set(), set()
    for scene in manifest.scenes:
        name = str(scene.source.get("name"))
        if not scene.source.get("licence"):
            unlicensed.add(name)
        if scene.source.get("consent") not in CONSENTS:
            unclear.add(name)
    mend = "Name it in a CSV file video,licence,consent,url and build again with --sources."
    problems = []
    if unlicensed:
        problems.append(f"No licence is stated for {_some(unlicensed)}. {mend}")
    if unclear:
        words = ", ".join(CONSENTS)
        problems.append(f"Consent is none of {words} for {_some(unclear)}. {mend}")
    return problems


def _some(names: set[str]) -> str:
    shown = ", ".join(sorted(names)[:_SHOWN])
    more = len(names) - _SHOWN
    return f"{shown} and {more} more videos" if more > 0 else shown
