"""What many tests stand on: small clips of our own making, the data set built from them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dmef_bench.building.build import build_dataset
from dmef_bench.building.recipe import Recipe
from dmef_bench.building.split import SplitRule
from dmef_bench.demo.clips import write_clips

SHARED = Path(__file__).resolve().parents[1] / ".." / "shared"


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """Path of a file of the shared test material; the test is skipped where it is missing."""

    def find(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"../shared/{name} is not here")
        return path

    return find


@pytest.fixture(scope="session")
def clips(tmp_path_factory) -> tuple[Path, ...]:
    """The demo's clips at a sixteenth of their size."""
    return write_clips(tmp_path_factory.mktemp("clips"), size=(270, 480))


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """The default recipe, with a split that fills both sides of four scenes."""
    return Recipe(split=SplitRule(2, 2))


@pytest.fixture(scope="session")
def built(tmp_path_factory, clips, recipe) -> Path:
    """A data set of four scenes; not to be changed (see `dataset`)."""
    root = tmp_path_factory.mktemp("built") / "dataset"
    report = build_dataset(clips, root, recipe)
    assert len(report.scenes) == len(clips), report.refused
    return root


@pytest.fixture
def dataset(built, tmp_path) -> Path:
    """A copy of the data set that a test may damage."""
    return Path(shutil.copytree(built, tmp_path / "dataset"))
