from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data

from dmef_bench.errors import UsageError
from dmef_bench.training.losses import distance, mu_law
from dmef_bench.training.patches import Crop, collect
from dmef_bench.training.store import StoredScene
from dmef_bench.training.trainee import Trainee, load_trainee

SMALL = f"{Path(__file__).with_name('small_network.py')}:Small"


@pytest.fixture(scope="module")
def batch():
    photo = data.astronaut()
    exposures = np.stack([photo // 2, photo, 255 - (255 - photo) // 2])
    scenes = [
        StoredScene("one", exposures, photo, (-1.0, 1.0, 3.0)),
        StoredScene("two", exposures[:, ::-1], photo[::-1], (-2.0, 0.0, 4.0)),
    ]
    return collect(scenes, [Crop(0, 10, 20), Crop(1, 30, 40, True, 1)], side=64)


@pytest.mark.parametrize("options", [{"in_channels": 3}, {"output": "display"}])
def test_a_batch_is_prepared_as_its_crops_are_one_by_one(batch, options) -> None:
    trainee = load_trainee("ahdrnet", options, device="cpu", seed=0)
    inputs = trainee.inputs(batch)
    for index, stack in enumerate(batch.stacks):
        # Each with its own EVs, which six channels divide by.
        for together, alone in zip(inputs, trainee.method.inputs(stack), strict=True):
            assert torch.equal(together[index : index + 1], alone)


def test_the_target_is_the_truth(batch) -> None:
    trainee = load_trainee(SMALL, {}, device="cpu", seed=0)
    target = trainee.target(batch, "cpu")
    pictures = trainee.pictures(target)
    for picture, truth in zip(pictures, batch.truths, strict=True):
        np.testing.assert_array_equal(picture, np.float32(truth) / np.float32(255))


def test_a_method_may_want_another_channel_order(batch) -> None:
    blue_first = load_trainee(SMALL.replace("Small", "BlueFirst"), {}, device="cpu", seed=0)
    plain = load_trainee(SMALL, {}, device="cpu", seed=0)
    assert torch.equal(blue_first.target(batch, "cpu").flip(1), plain.target(batch, "cpu"))


def test_finished_pictures_are_learnt_as_such_unless_somebody_insists() -> None:
    assert load_trainee("ahdrnet", {}, device="cpu", seed=0).linear is False
    assert load_trainee("ahdrnet", {"output": "linear"}, device="cpu", seed=0).linear is True


@pytest.mark.parametrize("name", ["ipl-tiny", "ahdrnet", "hdr-transformer"])
def test_networks_know_what_to_give_for_radiance(name) -> None:
    method = load_trainee(name, {}, device="cpu", seed=0).method
    light = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    wanted = method.target(light, (0.0, 2.0, 4.0), linear=True)
    seen = light ** (1 / 2.2)
    # Whichever order its channels stand in.
    assert torch.allclose(wanted.sort(dim=1).values, seen.sort(dim=1).values, atol=1e-6)


def test_a_seed_makes_the_weights(batch) -> None:
    one, two, three = (load_trainee(SMALL, {}, device="cpu", seed=seed) for seed in (4, 4, 5))
    assert torch.equal(one.network.mix.weight, two.network.mix.weight)
    assert not torch.equal(one.network.mix.weight, three.network.mix.weight)


def test_radiance_needs_a_method_that_knows_its_scale() -> None:
    method = load_trainee(SMALL, {}, device="cpu", seed=0).method
    with pytest.raises(UsageError, match="for radiance"):
        Trainee(method, 0, truth_is_linear=True)


def test_the_mu_law_keeps_black_and_white_and_lifts_shadows() -> None:
    radiance = torch.tensor([-0.1, 0.0, 1 / 5000, 1.0])
    expected = [0.0, 0.0, np.log(2) / np.log(5001), 1.0]
    np.testing.assert_allclose(mu_law(radiance), expected, rtol=1e-6)


def test_losses_are_means_in_float32_of_what_people_see() -> None:
    fused, target = torch.full((1, 3, 4, 4), 0.5), torch.full((1, 3, 4, 4), 0.25)
    assert float(distance(fused, target, "l1", linear=False)) == 0.25
    assert float(distance(fused, target, "mse", linear=False)) == 0.0625
    seen = np.log(2501) / np.log(5001) - np.log(1251) / np.log(5001)
    assert float(distance(fused, target, "l1", linear=True)) == pytest.approx(seen, rel=1e-5)
    # Of pictures with errors of 1/16 and 1/256, the mean of their decibels; 50 dB is good enough.
    two = torch.cat([target + 0.25, target + 0.0625])
    wanted = (10 * np.log10(1 / 16 + 1e-5) + 10 * np.log10(1 / 256 + 1e-5)) / 2
    assert float(distance(two, target, "psnr", linear=False)) == pytest.approx(wanted, rel=1e-5)
    assert float(distance(target, target, "psnr", linear=False)) == pytest.approx(-50)
    half = fused.to(torch.bfloat16), target.to(torch.bfloat16)
    assert distance(*half, "l1", linear=False).dtype == torch.float32
