"""The table of measures: names, conventions, and what importing it costs."""

from __future__ import annotations

import importlib
import subprocess
import sys

import cv2
import numpy as np
import pytest
from skimage import data

from dmef_bench import metrics
from dmef_bench.metrics import METRICS


def test_a_convention_id_never_changes_its_measure():
    assert {name: metric.convention for name, metric in METRICS.items()} == {
        "psnr": "psnr/rgb8",
        "ssim": "ssim/wang04-rgb-valid",
        "lpips": "lpips/alex-v0.1",
    }


@pytest.mark.parametrize("name", ["psnr", "ssim", "lpips"])
def test_functions_stand_over_their_modules_and_hide_none(name):
    module = importlib.import_module(f"dmef_bench.metrics.{name}")
    assert getattr(metrics, name) is getattr(module, name) is METRICS[name].score


@pytest.mark.parametrize("name", ["psnr", "ssim"])
def test_better_pictures_score_on_the_better_side(name):
    metric = METRICS[name]
    truth = data.coffee()
    good, bad = (cv2.GaussianBlur(truth, (0, 0), sigma) for sigma in (0.7, 3.0))
    rises = metric.score(good, truth) > metric.score(bad, truth)
    assert rises == metric.higher_is_better


@pytest.mark.parametrize("name", ["psnr", "ssim"])
def test_scores_are_plain_floats(name):
    photo = data.chelsea()
    assert type(METRICS[name].score(photo, np.flip(photo, 1))) is float


def test_the_table_costs_neither_torch_nor_lpips():
    listed = "import sys, dmef_bench.metrics; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", listed], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "cv2" in modules
    assert not {"torch", "lpips", "torchvision", "pooch"} & set(modules)
