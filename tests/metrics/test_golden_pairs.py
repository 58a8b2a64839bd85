"""One UHD truth and five partners from a seed: all three measures against their oracles."""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np
import pytest
import torch
from skimage import data
from skimage.metrics import structural_similarity

from dmef_bench.metrics import psnr, ssim
from dmef_bench.metrics.lpips import bare_model, tiled_distance
from dmef_bench.metrics.psnr import squared_error

HEIGHT, WIDTH = 2160, 3840
CELL = 240, 320
PARTNERS = ("same", "near", "mild", "mr256", "tone")
SIZES = [
    pytest.param((512, 1600), id="crop"),
    pytest.param((HEIGHT, WIDTH), id="whole", marks=pytest.mark.slow),
]


def as_uint8(values):
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


@functools.cache
def mosaic():
    """Random crops of four photographs, brightened or darkened, with gratings and noise."""
    generator = np.random.default_rng(20240607)
    photos = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    rows, columns = CELL
    picture = np.empty((HEIGHT, WIDTH, 3), np.float32)
    v, u = np.mgrid[:rows, :columns]
    for top in range(0, HEIGHT, rows):
        for left in range(0, WIDTH, columns):
            photo = photos[generator.integers(len(photos))]
            y = generator.integers(photo.shape[0] - rows + 1)
            x = generator.integers(photo.shape[1] - columns + 1)
            frequency = generator.uniform(-1, 1, 2)
            grating = 6 * np.sin(frequency[0] * v + frequency[1] * u)
            cell = photo[y : y + rows, x : x + columns] * generator.uniform(0.3, 1.3)
            picture[top : top + rows, left : left + columns] = cell + grating[..., None]
    return as_uint8(picture + 2 * generator.standard_normal(picture.shape, dtype=np.float32))


def golden_truth(size):
    return mosaic()[: size[0], : size[1]]


def partner(truth, name):
    generator = np.random.default_rng(PARTNERS.index(name))
    if name == "same":
        return truth.copy()
    if name == "near":  # one pixel in a hundred, one code up
        up = (generator.random(truth.shape[:2]) < 0.01)[..., None] & (truth < 255)
        return truth + up.astype(np.uint8)
    if name == "mild":
        blurred = cv2.GaussianBlur(truth, (0, 0), 0.6).astype(np.float32)
        return as_uint8(blurred + 2 * generator.standard_normal(truth.shape, dtype=np.float32))
    if name == "mr256":
        small = cv2.resize(truth, (256, 256), interpolation=cv2.INTER_LINEAR)
        return cv2.resize(small, truth.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    codes = 255 * np.clip(1.1 * (np.arange(256) / 255) ** 0.8, 0, 1)
    return as_uint8(codes)[truth]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PARTNERS)
def test_psnr_is_exact(size, name):
    truth = golden_truth(size)
    fused = partner(truth, name)
    exact = int(((fused.astype(np.int32) - truth) ** 2).sum(dtype=np.int64))
    assert squared_error(fused, truth) == (exact, truth.size)
    expected = 10 * math.log10(255**2 * truth.size / exact) if exact else math.inf
    assert psnr(fused, truth) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PARTNERS)
def test_ssim_is_the_float64_definition(size, name):
    truth = golden_truth(size)
    fused = partner(truth, name)
    expected = structural_similarity(
        fused,
        truth,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=2,
        data_range=255,
    )
    assert ssim(fused, truth) == pytest.approx(expected, abs=1e-6)
    assert ssim(fused, truth, threads=1) == ssim(fused, truth, threads=3)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["mild", "mr256", "tone"])
def test_lpips_in_tiles_is_lpips_of_the_frame(size, name):
    # The tiling is exact for any trunk, so this needs no downloaded weights.
    torch.manual_seed(16)
    model = bare_model("alex")
    truth, core = golden_truth(size), 1024
    if size != (HEIGHT, WIDTH):  # a part, in smaller tiles, is cut as often
        truth, core = truth[:, :640], 256
    fused = partner(truth, name)
    with torch.inference_mode():
        frames = (torch.from_numpy(p.copy()).permute(2, 0, 1)[None] for p in (fused, truth))
        whole = float(model(*(frame.float() / 127.5 - 1 for frame in frames)))
    # The package takes its means in float32; our sums are float64.
    assert tiled_distance(model, fused, truth, core=core) == pytest.approx(whole, rel=1e-5)
