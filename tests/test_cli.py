"""The command line is thin: it answers at once, and every mistake gets its message and code."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from dmef_bench.cli import main
from dmef_bench.registry import available_methods

HEAVY = ("torch", "pandas", "matplotlib", "lpips", "av", "cv2", "scipy", "skimage", "imageio")


def completed(*words) -> set[str]:
    """What the shell offers for the last word."""
    *before, incomplete = words
    shell = ShellComplete(main, {}, "dmef", "_DMEF_COMPLETE")
    return {item.value for item in shell.get_completions(list(before), incomplete)}


def dmef(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.mark.parametrize(
    "words", [["--help"], ["build", "--help"], ["bench", "--help"], ["methods"]]
)
def test_answering_imports_nothing_heavy(words) -> None:
    code = (
        "import sys\nfrom dmef_bench.cli import main\n"
        f"try: main({words!r})\nexcept SystemExit: pass\n"
        f"sys.exit(', '.join(m for m in {HEAVY!r} if m in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"imported: {done.stderr}"


def test_every_command_explains_itself() -> None:
    assert dmef("--help").exit_code == 0
    for command in main.commands:
        assert dmef(command, "--help").exit_code == 0
        assert main.commands[command].help


def test_methods_lists_names_and_targets() -> None:
    listed = dmef("methods")
    assert listed.exit_code == 0
    assert "baselines.mertens:Mertens" in listed.output


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["ben"], {"bench"}),
        (["bench", "data", "-m", "hdr"], {"hdr-transformer"}),
        (["bench", "data", "--method", "ipl"], {"ipl", "ipl-tiny"}),
        (["fuse", "a.png", "-m", "me"], {"mertens"}),
        (["methods", "--check", "sct"], {"sctnet"}),
        (["bench", "data", "--dataset", "4k"], {"4k-dmef"}),
        (["bench", "data", "--dataset", "kal"], {"kalantari"}),
        (["bench", "data", "--metrics", "psnr,mef"], {"psnr,mef-ssim", "psnr,mef-ssimd"}),
        (["bench", "data", "--metrics", "h"], {"hdr"}),
        (["bench", "data", "--fit", "d"], {"downsample"}),
        (["bench", "data", "-m", "gdc@window=5,m"], set()),
    ],
)
def test_the_shell_completes_names(words, offered) -> None:
    assert completed(*words) == offered


def test_the_shell_offers_every_method() -> None:
    assert completed("bench", "data", "-m", "") == set(available_methods())


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["build", "EMPTY", "-o", "OUT"], 2, "No videos in"),
        (["build", "GONE", "-o", "OUT"], 2, "does not exist"),
        (["build", "EMPTY", "-o", "OUT", "--ev=-2,0,2"], 2, "--allow-identity"),
        (["build", "EMPTY", "-o", "OUT", "--preset", "community-bracket"], 2, "--allow-identity"),
        (["build", "EMPTY", "-o", "OUT", "--preset", "no"], 2, "clipped-reference"),
        (["build", "EMPTY", "-o", "OUT", "--ev=3,1,-1"], 2, "increasing"),
        (["build", "EMPTY", "-o", "OUT", "--ev=1,2"], 2, "three numbers"),
        (["build", "EMPTY", "-o", "OUT", "--ev=-1,1,3", "--preset", "x"], 2, "not both"),
        (["build", "EMPTY", "-o", "OUT", "--model", "Gamma"], 2, "'Sigmoid', 'Beta'"),
        (["build", "EMPTY", "-o", "OUT", "--split", "80"], 2, "TRAIN/TEST"),
        (["verify", "GONE"], 4, "not a data set"),
        (["bench", "GONE"], 4, "not a data set"),
        (["leaderboard", "EMPTY"], 4, "holds no result"),
    ],
)
def test_mistakes_are_told_with_their_exit_code(tmp_path, words, code, told) -> None:
    (tmp_path / "empty").mkdir()
    places = {"EMPTY": tmp_path / "empty", "GONE": tmp_path / "gone", "OUT": tmp_path / "out"}
    result = dmef(*[places.get(word, word) for word in words])
    assert told in result.output
    assert result.exit_code == code
    # Nothing is left behind by a request that was refused.
    assert not (tmp_path / "out").exists()
