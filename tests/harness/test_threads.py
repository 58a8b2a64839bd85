"""OpenCV and torch compute with equally many threads, whoever says how many."""

from __future__ import annotations

import os

import cv2
import pytest

from dmef_bench.harness.child import use_threads


@pytest.fixture(autouse=True)
def _restored(monkeypatch):
    before = cv2.getNumThreads()
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    yield
    cv2.setNumThreads(before)


def threads() -> tuple[int, str]:
    """Of OpenCV, and what torch is told."""
    return cv2.getNumThreads(), os.environ["OMP_NUM_THREADS"]


def test_what_is_asked_for_goes_to_both(monkeypatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    use_threads(3)
    assert threads() == (3, "3")


def test_the_environment_speaks_for_both(monkeypatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    use_threads(None)
    assert threads() == (1, "1")


@pytest.mark.parametrize("stated", ["", "0", "4,2", "many"])
def test_else_both_take_the_cores_there_are(monkeypatch, stated) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", stated)
    use_threads(None)
    count, told = threads()
    assert 1 <= count <= cv2.getNumberOfCPUs()
    assert told == str(count)
