"""What the tests of training share: one thread, a small network, short runs on small scenes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from dmef_bench.training.course import Budget
from dmef_bench.training.recipe import Recipe
from dmef_bench.training.trainer import train

SMALL = f"{Path(__file__).with_name('small_network.py')}:Small"
QUICK = Recipe(name="quick", learning_rate=0.02, crop=64, batch=2, validate_every=5)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small tensors on a busy machine cost more on two threads than on one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def decoded(tmp_path_factory) -> Path:
    """Where decoded scenes lie, for all runs."""
    return tmp_path_factory.mktemp("decoded")


@pytest.fixture
def run(built, decoded, tmp_path):
    """Train the small network for some steps; returns the run's folder."""

    def start(name="run", *, steps=10, method=SMALL, root=built, recipe=QUICK, **choices) -> Path:
        choices = {"device": "cpu", "cache": decoded, "budget": Budget(max_steps=steps), **choices}
        return train(method, {}, root, tmp_path / name, recipe, **choices)

    return start
