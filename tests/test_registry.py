"""Methods are found by name, by module and by file, and a wrong name finds its neighbour."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from dmef_bench.errors import MethodNotFoundError, UnavailableError, UsageError
from dmef_bench.registry import available_methods, load_method, parse_method
from dmef_bench.scene import ExposureStack

AVERAGE = '''
"""Average of the exposures."""
import numpy as np

class Average:
    name = "Average"
    paper = "unpublished"

    def __init__(self, gain=1.0):
        self.gain = gain

    def fuse(self, stack):
        return np.clip(self.gain * np.mean(stack.images, axis=0, dtype=np.float32), 0, 1)
'''


@pytest.fixture
def average(tmp_path):
    path = tmp_path / "average.py"
    path.write_text(AVERAGE)
    return path


def test_the_misspelt_name_finds_its_neighbour() -> None:
    with pytest.raises(MethodNotFoundError, match="did you mean mertens"):
        load_method("mertnes")


def test_an_unknown_name_lists_what_is_installed() -> None:
    with pytest.raises(MethodNotFoundError, match=r"Installed: ahdrnet, .*gdc, .*mertens"):
        load_method("zzz")


def test_a_method_is_found_by_module_and_class() -> None:
    assert load_method("baselines.reference:Reference").name == "reference"


def test_a_method_is_found_by_file_and_takes_options(average) -> None:
    method = load_method(f"{average}:Average", gain=0.5)
    stack = ExposureStack((np.full((2, 2, 3), 255, np.uint8),) * 3, None)
    np.testing.assert_allclose(method.fuse(stack), 0.5, atol=1e-6)


def test_a_file_of_ones_own_does_not_shadow_modules(tmp_path) -> None:
    (tmp_path / "numpy.py").write_text(AVERAGE)
    assert load_method(f"{tmp_path / 'numpy.py'}:Average").name == "Average"
    assert np.__file__ == sys.modules["numpy"].__file__


def test_a_class_that_is_no_method_is_told_what_it_lacks(tmp_path) -> None:
    path = tmp_path / "half.py"
    path.write_text("class Half:\n    name = 'half'\n    def fuse(self, stack): ...\n")
    with pytest.raises(UsageError, match="lacks paper"):
        load_method(f"{path}:Half")
    path.write_text("class Half:\n    name = paper = 'half'\n")
    with pytest.raises(UsageError, match=r"no fuse\(stack\)"):
        load_method(f"{path}:Half")


def test_a_missing_package_is_unavailable_not_a_crash(tmp_path) -> None:
    path = tmp_path / "needy.py"
    path.write_text("import package_that_nobody_has\nclass Needy: ...\n")
    with pytest.raises(UnavailableError, match="package_that_nobody_has"):
        load_method(f"{path}:Needy")


def test_a_syntax_error_is_told_with_its_line(tmp_path) -> None:
    path = tmp_path / "typo.py"
    path.write_text("\nclass Typo\n")
    with pytest.raises(UsageError, match="line 2"):
        load_method(f"{path}:Typo")


def test_missing_files_and_classes_are_named(tmp_path, average) -> None:
    with pytest.raises(MethodNotFoundError, match="does not exist"):
        load_method(f"{tmp_path / 'gone.py'}:X")
    with pytest.raises(MethodNotFoundError, match="has no 'Averag'"):
        load_method(f"{average}:Averag")


def test_an_option_that_the_method_does_not_take_is_refused(average) -> None:
    with pytest.raises(UsageError, match="gamma"):
        load_method(f"{average}:Average", gamma=2)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("gdc", {}),
        ("gdc@window=5", {"window": 5}),
        ("gdc@clip=0.8,dynamic=false", {"clip": 0.8, "dynamic": False}),
        ("gdc@label=a b", {"label": "a b"}),
        ('gdc@label="a,b",window=5', {"label": "a,b", "window": 5}),
        ("gdc@chunks=[64, 16, 16]", {"chunks": [64, 16, 16]}),
    ],
)
def test_options_are_read_as_toml_and_bare_words_as_text(text, options) -> None:
    assert parse_method(text) == ("gdc", options)


def test_an_option_without_value_is_refused() -> None:
    with pytest.raises(UsageError, match="key=value"):
        parse_method("gdc@window")


def test_listing_methods_imports_none() -> None:
    code = (
        "import sys; from dmef_bench.registry import available_methods; available_methods();"
        "sys.exit(any(m.startswith(('baselines.', 'torch', 'cv2')) for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert {"reference", "oracle", "tone-curve", "mertens", "gdc"} <= set(available_methods())
