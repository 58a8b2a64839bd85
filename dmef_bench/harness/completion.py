"""Facts of scenes that records of older runs lack, added without fusing anything again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from dmef_bench.datasets.scene_set import SceneFacts
from dmef_bench.results import append_score, read_scores


def name_groups(path: Path, facts: Iterable[SceneFacts]) -> int:
    """Add to ``scenes.jsonl`` the group of each scene on record that names none, or another one.

    Which clip a scene was cut from has nothing to do with what fused it: only the scene's pictures
    must be those of the data set, by their digest.

    Parameters
    ----------
    path : Path
        A row's ``scenes.jsonl``; there may be none yet.
    facts : iterable of SceneFacts
        Of the data set; scenes without a group are passed over.

    Returns
    -------
    int
        How many lines were appended; what stood in the file stands there still.
    """
    groups = {(scene.scene_id, scene.digest): scene.group for scene in facts if scene.group}
    added = 0
    for score in read_scores(path):
        group = groups.get((score.scene_id, score.scene_digest))
        if group is not None and group != score.group:
            append_score(path, replace(score, group=group))
            added += 1
    return added
