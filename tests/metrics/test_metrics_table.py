"""The table of measures: names, conventions, how one is chosen, and what importing it costs."""

from __future__ import annotations

import importlib
import subprocess
import sys

import cv2
import numpy as np
import pytest
from skimage import data

from dmef_bench import metrics
from dmef_bench.errors import UsageError
from dmef_bench.metrics import METRIC_SETS, METRICS, choose_metrics
from dmef_bench.metrics.tonemap import to_radiance
from dmef_bench.scene import ExposureStack, Scene, to_float


def names(chosen):
    return [metric.name for metric in chosen]


def test_a_convention_id_never_changes_its_measure():
    assert {name: metric.convention for name, metric in METRICS.items()} == {
        "psnr": "psnr/rgb8",
        "ssim": "ssim/wang04-rgb-valid",
        "lpips": "lpips/alex-v0.1",
        "psnr-y": "psnr/y601-studio",
        "ssim-y": "ssim/wang04-y601-studio-valid",
        "psnr-l": "psnr/linear",
        "psnr-mu": "psnr/mu5000",
        "ssim-l": "ssim/wang04-linear-valid",
        "ssim-mu": "ssim/wang04-mu5000-valid",
        "psnr-clipped": "psnr/rgb8-clipped",
        "psnr-moving": "psnr/rgb8-moving",
        "mef-ssim": "mef-ssim/ma15",
        "mef-ssimd": "mef-ssimd/after-fang20",
    }


@pytest.mark.parametrize("name", ["psnr", "ssim", "lpips", "mef_ssim", "mef_ssimd"])
def test_functions_stand_over_their_modules_and_hide_none(name):
    module = importlib.import_module(f"dmef_bench.metrics.{name}")
    assert getattr(metrics, name) is getattr(module, name) is METRICS[name.replace("_", "-")].score


@pytest.mark.parametrize("name", sorted(set(METRICS) - {"lpips"}))
def test_better_pictures_score_on_the_better_side_and_as_plain_floats(name):
    metric = METRICS[name]
    photo = data.coffee()
    lost = np.where(np.arange(600)[:, None] < 300, 255, photo).astype(np.uint8)
    # The dark exposure shows the cup turned round: something moved.
    stack = ExposureStack((np.flip(photo, 1) // 2, lost), None, reference=1)
    truth = to_radiance(to_float(photo)) if metric.domain == "linear" else photo
    good, bad = (
        metric.measure(cv2.GaussianBlur(photo, (0, 0), sigma), Scene("coffee", stack, truth)).value
        for sigma in (0.7, 3.0)
    )
    assert type(good) is float
    assert (good > bad) == metric.higher_is_better


def test_the_default_is_the_set_that_fits_the_truth():
    assert names(choose_metrics(dataset="4k-dmef")) == ["psnr", "ssim", "lpips"]
    chosen = names(choose_metrics(dataset="kalantari", linear=True))
    assert chosen == ["lpips", "psnr-l", "psnr-mu", "ssim-mu"]


def test_sets_and_names_mix_and_every_measure_comes_once():
    chosen = choose_metrics(["psnr-y", "ldr", "psnr"], dataset="4k-dmef")
    assert names(chosen) == ["psnr", "ssim", "lpips", "psnr-y"]
    assert set().union(*METRIC_SETS.values()) <= set(METRICS)


def test_radiance_is_not_measured_on_a_display_encoded_set():
    expected = r"psnr-mu needs linear radiance; 4k-dmef is display-encoded\."
    with pytest.raises(UsageError, match=expected):
        choose_metrics(["psnr", "psnr-mu"], dataset="4k-dmef")
    with pytest.raises(UsageError, match="psnr-l needs linear radiance"):
        choose_metrics(["hdr"], dataset="4k-dmef")


def test_an_unknown_name_meets_the_nearest_one():
    with pytest.raises(UsageError, match=r"'lpip'; did you mean lpips\? There are: psnr, "):
        choose_metrics(["ldr", "lpip"], dataset="4k-dmef")


def test_the_table_costs_neither_torch_nor_lpips():
    listed = "import sys, dmef_bench.metrics; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", listed], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "cv2" in modules
    assert not {"torch", "lpips", "torchvision", "pooch"} & set(modules)
