"""The three import names are ours, and the wheel holds what an installed dmef needs."""

from __future__ import annotations

import importlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import dmef_bench

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = {".py", ".json", ".typed", ".csv", ".html", ".css", ".js", ".safetensors"}


@pytest.mark.parametrize("name", ["dmef_bench", "baselines", "ipl"])
def test_import_names_are_this_tree(name) -> None:
    found = Path(importlib.import_module(name).__file__).parent
    assert found == ROOT / name, (
        f"{name!r} is {found}; uninstall the namesake or use a fresh environment."
    )


def test_every_name_of_the_face_can_be_had() -> None:
    for name in dmef_bench.__all__:
        assert getattr(dmef_bench, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = dmef_bench.nothing


def test_importing_the_face_costs_nothing_heavy() -> None:
    code = (
        "import sys, dmef_bench; "
        "sys.exit(any(m in sys.modules for m in ('torch', 'cv2', 'pandas', 'av', 'skimage')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.network
def test_the_wheel_holds_packages_and_their_data(tmp_path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True)
    (wheel,) = tmp_path.glob("dmef-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        path.relative_to(ROOT).as_posix()
        for package in ("dmef_bench", "baselines", "ipl")
        for path in (ROOT / package).rglob("*")
        if path.suffix in SHIPPED and "__pycache__" not in path.parts
    }
    assert expected <= names
    assert not any(name.startswith(("tests/", "benchmarks/")) for name in names)
