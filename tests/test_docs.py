"""What the pages tell people to do works: their code runs as printed."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import dmef_bench
from dmef_bench.cli import main
from dmef_bench.datasets import load_scenes
from dmef_bench.harness.bench import bench
from dmef_bench.method import Traits, traits
from dmef_bench.registry import load_method, parse_method
from dmef_bench.results import Status
from ipl.network import IPLConfig, IPLNetwork

ROOT = Path(__file__).resolve().parents[1]


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_the_baseline_of_the_page_is_short_and_runs(built, tmp_path) -> None:
    code, _ = blocks("docs/adding-a-baseline.md", "python")
    assert len(code.splitlines()) < 40
    path = tmp_path / "weighted_radiance.py"
    path.write_text(code)
    results = bench(
        built, [f"{path}:WeightedRadiance", f"{path}:WeightedRadiance@sigma=0.1,label=narrow"],
        tmp_path / "runs", split="all", limit=1, metrics=("psnr",),
    )  # fmt: skip
    rows = {result.row: result for result in results}
    assert rows["WeightedRadiance"].status is rows["narrow"].status is Status.OK
    psnr = {
        name: rows[name].mean("psnr/rgb8") for name in ("reference", "WeightedRadiance", "narrow")
    }
    assert psnr["WeightedRadiance"] > psnr["reference"]
    assert psnr["narrow"] != psnr["WeightedRadiance"]


def test_what_a_method_says_of_itself_is_read_as_the_page_says() -> None:
    _, code = blocks("docs/adding-a-baseline.md", "python")
    names: dict = {}
    exec(compile(code, "adding-a-baseline.md", "exec"), names)
    stated = traits(names["ThreeWithEVs"]())
    assert (stated.exposures, stated.needs_evs, stated.stride) == (3, True, 16)
    page = (ROOT / "docs" / "adding-a-baseline.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| `(\w+)` \| `?([^`|]+?)`? \|", page, re.MULTILINE))
    defaults = {name: str(getattr(Traits(), name)) for name in table}
    assert table == defaults


@pytest.mark.parametrize("page", ["docs/what-is-fusion.md", "docs/decisions.md"])
def test_what_a_page_asserts_holds(page) -> None:
    (code,) = blocks(page, "python")
    assert "assert" in code
    exec(compile(code, page, "exec"), {})


def test_the_benchmark_runs_from_python_as_printed(built, tmp_path) -> None:
    (code,) = blocks("docs/running-the-benchmark.md", "python")
    shutil.copytree(built, tmp_path / "demo" / "dataset")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "mertens" in done.stdout


def commands(page: Path) -> list[list[str]]:
    """Every command of dmef in a page's shell code, comments left out."""
    lines = "\n".join(blocks(page, "bash")).splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("dmef ")]


PAGES = sorted(["README.md", *(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/*.md"))])


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_of_a_page_exists(page) -> None:
    for words in commands(page):
        context, name, command = click.Context(main), "dmef", main
        while isinstance(command, click.Group):
            name, *words = words
            command = command.get_command(context, name)
            assert command is not None, f"{page}: there is no dmef {name}"
        # Parsed and not run: an option that does not exist, or a choice that is none, raises.
        command.make_context(name, words, parent=context)


@pytest.mark.slow
@pytest.mark.parametrize("page", ["docs/running-the-benchmark.md", "docs/reading-a-board.md"])
def test_the_commands_of_a_page_run_in_their_order(page, built, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(built, tmp_path / "demo" / "dataset")
    (tmp_path / "leaderboards").symlink_to(ROOT / "leaderboards")
    scene = load_scenes(built, "all").ids[0]
    for words in commands(page):
        if words[0] == "doctor":
            continue  # what it finds, and so how it ends, is the machine's
        words = [word.replace("SCENE:1200,800", f"{scene}:12,8") for word in words]
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, f"{words}: {done.output}"


def test_the_index_leads_to_every_page_and_the_readme_to_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in index, page.name
    assert "(docs/README.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_citation_file_says_what_the_package_says() -> None:
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    said = dict(re.findall(r"^([a-z-]+): *(.*)$", text, re.MULTILINE))
    # What the Citation File Format 1.2.0 requires, and what must not drift from the package.
    assert {"cff-version", "message", "title", "authors"} <= set(said)
    assert said["cff-version"] == "1.2.0"
    assert said["version"] == dmef_bench.__version__
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert said["license"] == project["license"]
    assert re.fullmatch(r'"\d{4}-\d{2}-\d{2}"', said["date-released"])
    assert re.search(r"^authors:\n  - name: \S", text, re.MULTILINE)


def test_the_python_of_the_readme_runs_as_printed(built, tmp_path) -> None:
    (code,) = blocks("README.md", "python")
    assert len(code.splitlines()) <= 12
    shutil.copytree(built, tmp_path / "demo" / "dataset")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 4


def test_the_readmes_commands_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = "\n".join(blocks("README.md", "bash"))
    named = set(re.findall(r"^make (\w+)", commands, re.MULTILINE))
    assert {"demo", "test"} <= named
    assert all(f"\n{name}:" in makefile for name in named)


def test_links_inside_the_project_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def bench_commands(page: str) -> list[list[str]]:
    lines = "\n".join(blocks(page, "bash")).splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("dmef bench")]


def test_every_command_for_a_table_is_understood(built, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    commands = [
        words
        for words in bench_commands("docs/reproducing-the-paper.md")
        # The public sets are not here; their layouts have tests of their own.
        if "--dataset" not in words
    ]
    assert len(commands) >= 8
    for words in commands:
        shown = CliRunner().invoke(main, ["bench", str(built), *words[2:], "--dry-run"])
        assert shown.exit_code == 0, f"{words}: {shown.output}"
        assert "scenes to fuse" in shown.output


def test_every_option_of_the_tables_is_one_the_method_takes() -> None:
    for words in bench_commands("docs/reproducing-the-paper.md"):
        for before, text in pairwise(words):
            if before != "-m":
                continue
            name, options = parse_method(text)
            options.pop("label", None)
            given = {
                key: "random" if key in {"weights", "checkpoint"} else value
                for key, value in options.items()
            }
            if name.startswith("ipl") and "dim" not in given:
                # The same options on a network that is built in no time.
                name = "ipl-tiny"
            assert load_method(name, **given).name


def test_the_small_commands_run(built, tmp_path) -> None:
    (words,) = [
        words
        for words in bench_commands("docs/reproducing-the-paper.md")
        if words[-1] == "runs/table4-small"
    ]
    given = ["bench", str(built), *words[2:-1], str(tmp_path / "runs"), "--no-timing"]
    done = CliRunner().invoke(main, given)
    assert done.exit_code == 0, done.output
    rows = {folder.name for folder in (tmp_path / "runs").glob("*/*/*")}
    assert {"b", "g", "h", "i"} <= rows


def test_the_python_of_the_networks_page_holds() -> None:
    (code,) = blocks("docs/the-network.md", "python")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_networks_figure_names_what_the_network_is() -> None:
    drawn = (ROOT / "docs" / "images" / "network.svg").read_text(encoding="utf-8")
    parameters = sum(p.numel() for p in IPLNetwork(IPLConfig()).parameters())
    assert f"{parameters:,} parameters in all" in drawn
