"""What several tests of this room compare with."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmef_bench.building.build import build_dataset

from .recipes import FAST


@pytest.fixture(scope="session")
def quick(tmp_path_factory, clips) -> Path:
    """What one process makes of the clips by the quickest recipe; not to be changed."""
    root = tmp_path_factory.mktemp("quick") / "dataset"
    report = build_dataset(clips, root, FAST)
    assert len(report.scenes) == len(clips), report.refused
    return root
