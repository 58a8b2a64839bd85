"""Scenes a second: stages overlap, everything is fused once, and the numbers are consistent."""

from __future__ import annotations

import time

import numpy as np
import pytest

from dmef_bench.harness.bench import bench
from dmef_bench.harness.clock import Rules
from dmef_bench.harness.plan import Plan
from dmef_bench.harness.throughput import measure_throughput
from dmef_bench.harness.timing import Work
from dmef_bench.scene import ExposureStack

SIZE = (40, 60)


class Whole:
    """Half the time in one call."""

    name, paper = "whole", "none"

    def __init__(self):
        self.seen = []

    def fuse(self, stack):
        self.seen.append(int(stack.encoded[1][0, 0, 0]))
        return stack.images[1]


class Stages(Whole):
    """Three stages of which each waits a little, as for a device."""

    name, device = "stages", "cpu"
    wait_s = 0.02

    def upload(self, stack):
        time.sleep(self.wait_s)
        return stack.images[1]

    def compute(self, picture):
        self.seen.append(round(float(picture[0, 0, 0]) * 255))
        time.sleep(self.wait_s)
        return picture

    def download(self, picture):
        time.sleep(self.wait_s)
        return picture


def work(method, fit="full", size=SIZE) -> Work:
    stacks = tuple(
        ExposureStack(
            tuple(np.full((*SIZE, 3), level + light, np.uint8) for light in (0, 10, 20)),
            (-1.0, 1.0, 3.0),
        )
        for level in (30, 60, 90)
    )
    return Work(method, stacks, fit, size)


@pytest.mark.parametrize("kind", [Whole, Stages])
def test_every_scene_is_fused_once_and_in_turn(kind) -> None:
    method = kind()
    told = measure_throughput(work(method), min_scenes=7, min_s=0)
    assert method.seen == [40, 70, 100, 40, 70, 100, 40]
    assert told["scenes"] == 7
    assert told["batch"] == 1
    assert told["pipelined"] == (kind is Stages)
    assert told["scenes_per_s"] == 7 / told["seconds"]
    assert told["native_megapixels_per_s"] == pytest.approx(told["scenes_per_s"] * 40 * 60 / 1e6)


def test_stages_overlap() -> None:
    told = measure_throughput(work(Stages()), min_scenes=20, min_s=0)
    # One after the other they would sleep for 1.2 s; side by side for 0.44 s.
    assert told["seconds"] < 20 * 3 * Stages.wait_s * 0.9


def test_it_goes_on_for_as_long_as_asked() -> None:
    assert measure_throughput(work(Whole()), min_scenes=1, min_s=0.2)["seconds"] >= 0.2


def test_shrunken_pictures_are_enlarged_again() -> None:
    class Sizes(Stages):
        given: tuple = ()

        def compute(self, picture):
            self.given = picture.shape
            return super().compute(picture)

    method = Sizes()
    told = measure_throughput(work(method, "downsample", (20, 30)), min_scenes=2, min_s=0)
    assert method.given == (20, 30, 3)
    assert told["native_megapixels_per_s"] == pytest.approx(told["scenes_per_s"] * 40 * 60 / 1e6)


def test_what_a_stage_raises_is_raised() -> None:
    class Broken(Stages):
        def download(self, _picture):
            raise RuntimeError("no way back")

    with pytest.raises(RuntimeError, match="no way back"):
        measure_throughput(work(Broken()), min_scenes=3, min_s=0)


def test_it_is_measured_where_asked_for_and_later_too(built, tmp_path) -> None:
    rules = Rules(min_warmup=1, max_warmup=1, min_samples=2, min_s=0.01, slow_s=100)
    asked = (built, ["mertens"], tmp_path)
    given = {"split": "all", "limit": 1, "metrics": ("psnr",)}
    (without,) = bench(*asked, **given, plan=Plan(rules=rules))[3:]
    assert "throughput" not in without.timing
    (beside,) = bench(*asked, **given, plan=Plan(rules=rules, throughput=True))[3:]
    assert beside.timing["throughput"]["scenes"] >= 8
    assert beside.scenes == without.scenes
    (again,) = bench(*asked, **given, plan=Plan(rules=rules, throughput=True))[3:]
    assert again.timing == beside.timing
