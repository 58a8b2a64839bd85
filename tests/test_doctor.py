"""The doctor finds what is there, says what is not, and changes nothing."""

from __future__ import annotations

import json
import shutil

import pytest
from click.testing import CliRunner

from dmef_bench import doctor
from dmef_bench.cli import main
from dmef_bench.registry import available_methods


def by_name(findings):
    return {finding.what: finding for finding in findings}


def test_a_machine_that_runs_the_tests_lacks_nothing_needed() -> None:
    found = by_name(doctor.examine())
    assert {finding.state for finding in found.values()} <= {"ok", "note"}
    assert all(name in found["methods"].text for name in available_methods())
    assert "HEVC" in found["video"].text


def test_missing_weights_are_a_note_with_the_way_to_get_them(tmp_path, monkeypatch) -> None:
    for name in ("DMEF_WEIGHTS", "TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    finding = by_name(doctor.examine())["LPIPS alex"]
    assert finding.state == "note"
    assert "https://" in finding.text
    assert "dmef doctor --fetch" in finding.text
    assert not (tmp_path / "nowhere").exists()


def test_weights_are_verified_and_not_only_found(tmp_path, monkeypatch, shared) -> None:
    weights = shared("weights/alexnet_features_torchvision_layout.pth")
    monkeypatch.setenv("DMEF_WEIGHTS", str(weights.parent))
    assert by_name(doctor.examine())["LPIPS alex"].state == "ok"
    damaged = tmp_path / weights.name
    shutil.copy(weights, damaged)
    with damaged.open("r+b") as file:
        file.seek(damaged.stat().st_size // 2)
        file.write(b"\x00\xff\x00\xff")
    monkeypatch.setenv("DMEF_WEIGHTS", str(tmp_path))
    assert by_name(doctor.examine())["LPIPS alex"].state == "note"


def test_a_namesake_of_a_wing_is_found(tmp_path, monkeypatch) -> None:
    package = tmp_path / "baselines"
    package.mkdir()
    (package / "__init__.py").write_text("")
    origin = (package / "__init__.py").resolve()
    house = doctor.Path(doctor.__file__).resolve().parents[1]
    assert doctor._namesake("baselines", origin, house)
    assert not doctor._namesake("baselines", house / "baselines" / "__init__.py", house)
    assert not doctor._namesake("my_fusion", origin, house)


def test_little_disk_is_said(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(doctor, "ROOM_FOR_A_DATASET", 2**70)
    finding = by_name(doctor.examine(tmp_path / "not" / "yet"))["disk"]
    assert finding.state == "note"
    assert "--store triple" in finding.text


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_the_command_tells_it_all(words) -> None:
    done = CliRunner().invoke(main, ["doctor", *words])
    assert done.exit_code == 0, done.output
    if words:
        assert {finding["what"] for finding in json.loads(done.stdout)["findings"]} >= {"disk"}
    else:
        assert "opencv-python-headless" in done.output
