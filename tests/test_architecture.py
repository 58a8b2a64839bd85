"""Arrows only fall: every import goes to a lower floor, or stays in its own room."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("dmef_bench", "baselines", "ipl")
WINGS = ("baselines", "ipl")

FLOORS = [
    {"dmef_bench.errors", "dmef_bench.strict_json", "dmef_bench.progress"},
    {"dmef_bench.scene", "dmef_bench.manifest", "dmef_bench.protocol", "dmef_bench.checkpoint",
     "dmef_bench.cluster", "dmef_bench.units"},
    {"dmef_bench.method", "dmef_bench.imagefile", "dmef_bench.exposure", "dmef_bench.metrics"},
    {"dmef_bench.results", "dmef_bench.photo"},
    {"dmef_bench.building", "dmef_bench.datasets", "dmef_bench.harness", "dmef_bench.registry",
     "dmef_bench.torch_method", "dmef_bench.training", "dmef_bench.report"},
    {"dmef_bench.leaderboard", "dmef_bench.doctor"},
    {"dmef_bench"},
    {"dmef_bench.demo", "baselines", "ipl"},
    {"dmef_bench.cli"},
]  # fmt: skip
SAME_FLOOR = {
    ("dmef_bench.metrics", "dmef_bench.imagefile"),  # hashes of weights files
    ("dmef_bench.building", "dmef_bench.datasets"),  # verify knows the public sets' counts
    ("dmef_bench.exposure", "dmef_bench.metrics"),  # the audit scores copies and tone curves
    ("dmef_bench.harness", "dmef_bench.datasets"),  # the isolated child opens the scenes itself
    ("dmef_bench.harness", "dmef_bench.registry"),  # ... and builds the method by name
    ("dmef_bench.harness", "dmef_bench.building"),  # a stream's frames come from a video
    ("dmef_bench.harness", "dmef_bench.report"),  # a fused bracket is shown on a contact sheet
    ("dmef_bench.training", "dmef_bench.datasets"),  # crops are cut from scenes
    ("dmef_bench.training", "dmef_bench.registry"),  # ... and the network is built by name
    ("dmef_bench.training", "dmef_bench.harness"),  # a record names the machine as all records do
}
HEAVY = {
    "torch": {"dmef_bench.torch_method", "dmef_bench.training", "dmef_bench.harness.dry_run"},
    "lpips": set(),
    "pandas": {"dmef_bench.leaderboard", "dmef_bench.report"},
    "matplotlib": {"dmef_bench.report"},
    "av": {"dmef_bench.building", "dmef_bench.demo"},
    "dask": set(),
}
"""Packages that cost seconds, and the rooms that may import them at module level."""

FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}


def room(module: str) -> str:
    """The room a module belongs to: the longest name of the table that it starts with."""
    rooms = [name for floor in FLOORS for name in floor]
    fitting = [name for name in rooms if module == name or module.startswith(f"{name}.")]
    # The face is one file; what lies in the package and in no room has no place yet.
    fitting = [name for name in fitting if name != "dmef_bench" or module == "dmef_bench"]
    assert fitting, f"{module} stands in no room; give it a floor in FLOORS."
    return max(fitting, key=len)


def floor(name: str) -> int:
    return next(level for level, rooms in enumerate(FLOORS) if name in rooms)


def imports(path: Path, module: str) -> list[tuple[str, int]]:
    """Every module a file imports, wherever it does so, as (name, line)."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} line {node.lineno}: write imports out in full."
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.append((inner if inner in FILES else str(node.module), node.lineno))
    return found


@pytest.mark.parametrize("module", FILES)
def test_arrows_only_fall(module: str) -> None:
    home = room(module)
    for name, line in imports(FILES[module], module):
        if name.partition(".")[0] not in PACKAGES or name == "dmef_bench":
            # The face hands out nothing but the version to those below it.
            continue
        there = room(name)
        falls = floor(there) < floor(home) or (home, there) in SAME_FLOOR or there == home
        assert falls, (
            f"{module} (floor {floor(home)}) line {line} imports {name} (floor {floor(there)}); "
            "move the shared name down, or pass it in as an argument."
        )


@pytest.mark.parametrize("module", FILES)
def test_the_house_names_no_wing_and_wings_never_meet(module: str) -> None:
    mine = module.partition(".")[0]
    others = {name.partition(".")[0] for name, _ in imports(FILES[module], module)} & set(WINGS)
    assert others <= ({mine} if mine in WINGS else set())


@pytest.mark.parametrize("module", FILES)
def test_heavy_packages_are_imported_where_they_are_needed(module: str) -> None:
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    for node in tree.body:
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
        for name in names:
            package = name.partition(".")[0]
            allowed = HEAVY.get(package, {module})
            assert module.startswith(WINGS) or any(module.startswith(home) for home in allowed), (
                f"{module} imports {package} at module level; import it inside the function."
            )


@pytest.mark.parametrize("module", FILES)
def test_every_file_has_its_door_plate(module: str) -> None:
    docstring = ast.get_docstring(ast.parse(FILES[module].read_text(encoding="utf-8")))
    assert docstring, f"{module} does not say what it is for."
    assert docstring.splitlines()[0].endswith((".", ":", "?"))


def test_only_the_version_is_taken_from_the_face() -> None:
    for module, path in FILES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "dmef_bench":
                names = {alias.name for alias in node.names}
                assert names <= {"__version__", "strict_json"}, f"{module} imports from the face."
