"""The four networks get what their authors fed them, and their output is brought home."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from baselines.ahdrnet import AHDRNet
from baselines.fshdr import FSHDR
from baselines.hdr_transformer import HDRTransformer
from baselines.sctnet import SCTNet
from dmef_bench.errors import CheckpointError, UnavailableError, UsageError
from dmef_bench.harness.bench import bench
from dmef_bench.registry import load_method
from dmef_bench.results import Status
from dmef_bench.scene import ExposureStack

NETWORKS = [AHDRNet, FSHDR, HDRTransformer, SCTNet]
RGB_FIRST = [AHDRNet, FSHDR]
BGR_FIRST = [HDRTransformer, SCTNet]
CODES = np.random.default_rng(0).integers(0, 256, (3, 16, 24, 3), np.uint8)
STACK = ExposureStack(tuple(CODES), (-1.0, 1.0, 3.0))


@pytest.fixture(scope="module")
def methods():
    return {kind: kind(checkpoint="random", device="cpu") for kind in NETWORKS}


def planes(tensor):
    return tensor[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("kind", NETWORKS)
def test_linear_copies_are_the_pictures_gamma_over_the_exposure_ratio(methods, kind) -> None:
    prepared = methods[kind].inputs(STACK)
    for tensor, codes, ratio in zip(prepared, CODES, (1, 4, 16), strict=True):
        picture = codes / 255.0
        linear = picture**2.2 / ratio
        if kind in BGR_FIRST:
            expected = np.concatenate([linear[..., ::-1], picture[..., ::-1]], axis=2)
        else:
            expected = np.concatenate([picture, linear], axis=2)
        # float32 powers of numbers in [0, 1]
        np.testing.assert_allclose(planes(tensor), expected, atol=2e-6)


@pytest.mark.parametrize("kind", NETWORKS)
def test_three_channels_are_the_pictures_alone(kind) -> None:
    method = kind(checkpoint="random", device="cpu", in_channels=3)
    for tensor, codes in zip(method.inputs(STACK), CODES, strict=True):
        picture = codes / 255.0
        expected = picture[..., ::-1] if kind in BGR_FIRST else picture
        np.testing.assert_allclose(planes(tensor), expected, atol=1e-7)


@pytest.mark.parametrize("kind", NETWORKS)
def test_bytes_and_floats_give_the_same_inputs(methods, kind) -> None:
    floats = ExposureStack.from_images(STACK.images, STACK.evs)
    for one, other in zip(methods[kind].inputs(STACK), methods[kind].inputs(floats), strict=True):
        assert torch.equal(one, other)


def test_sixteen_bits_are_scaled_as_upstream_only_on_request() -> None:
    deep = ExposureStack(tuple(CODES.astype(np.uint16) * 257), STACK.evs)
    for upstream, full in ((False, 65535), (True, 65536)):
        method = HDRTransformer(checkpoint="random", device="cpu", upstream_scaling=upstream)
        pictures = planes(method.inputs(deep)[0])[..., 3:]
        np.testing.assert_allclose(pictures, CODES[0][..., ::-1] * 257.0 / full, rtol=1e-6)


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_linear_output_is_shown_at_ev_zero_red_first(methods, kind) -> None:
    method = methods[kind]
    assert method.output == "linear"
    radiance = torch.tensor([0.1, 0.2, 0.3]).reshape(1, 3, 1, 1)

    class Constant(torch.nn.Module):
        def forward(self, *_exposures):
            return radiance

    spare, method._module = method._module, Constant()
    try:
        picture = method.fuse(STACK)
    finally:
        method._module = spare
    # The darkest exposure is one stop below EV 0: its radiance counts twice there.
    expected = np.clip(2 * np.array([0.1, 0.2, 0.3]), 0, 1) ** (1 / 2.2)
    np.testing.assert_allclose(
        picture[0, 0], expected[::-1] if kind in BGR_FIRST else expected, atol=1e-6
    )


@pytest.mark.parametrize("kind", NETWORKS)
def test_without_evs_six_channels_cannot_be_made(methods, kind) -> None:
    with pytest.raises(UnavailableError, match="EVs"):
        methods[kind].fuse(ExposureStack(STACK.encoded, None))


@pytest.mark.parametrize("kind", NETWORKS)
def test_no_weights_is_unavailable_with_the_ways_out(kind) -> None:
    with pytest.raises(UnavailableError, match="checkpoint=random"):
        kind()


@pytest.mark.parametrize("kind", NETWORKS)
def test_its_own_checkpoint_comes_back_with_wrappers_prefixes_and_buffers(kind, tmp_path) -> None:
    source = kind(checkpoint="random", device="cpu", in_channels=3, seed=3)
    state = {f"module.{key}": value for key, value in source._module.state_dict().items()}
    state["module.layers.0.residual_group.blocks.1.attn_mask"] = torch.zeros(4)
    state["module.layers.0.residual_group.blocks.0.attn.relative_position_index"] = torch.zeros(4)
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "upstream.pth")
    loaded = kind(checkpoint=tmp_path / "upstream.pth", device="cpu")
    assert loaded.in_channels == 3
    assert not loaded.untrained
    loaded.output = source.output
    assert np.array_equal(loaded.fuse(STACK), source.fuse(STACK))


def test_dense_layers_are_read_from_the_checkpoint(tmp_path) -> None:
    source = AHDRNet(checkpoint="random", device="cpu", dense_layers=5)
    torch.save(source._module.state_dict(), tmp_path / "five.pth")
    assert AHDRNet(checkpoint=tmp_path / "five.pth", device="cpu").dense_layers == 5
    with pytest.raises(CheckpointError, match=r"dense_layers=6.*dense_layers=5"):
        AHDRNet(checkpoint=tmp_path / "five.pth", device="cpu", dense_layers=6)
    with pytest.raises(CheckpointError, match=r"in_channels=3.*in_channels=6"):
        AHDRNet(checkpoint=tmp_path / "five.pth", device="cpu", in_channels=3)


def test_another_networks_checkpoint_is_told_by_its_keys(tmp_path, methods) -> None:
    torch.save(methods[SCTNet]._module.state_dict(), tmp_path / "sctnet.pth")
    with pytest.raises(CheckpointError, match=r"missing .*unexpected"):
        FSHDR(checkpoint=tmp_path / "sctnet.pth", device="cpu")


class Surprise:
    def __reduce__(self):
        return print, ("code was run",)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path, capfd) -> None:
    torch.save({"conv1.weight": Surprise()}, tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match="runs no code"):
        AHDRNet(checkpoint=tmp_path / "evil.pth")
    assert "code was run" not in capfd.readouterr().out


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_damaged_file_is_named(tmp_path, content, suffix) -> None:
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="broken"):
        AHDRNet(checkpoint=path)


def test_a_missing_file_and_wrong_options_are_named(tmp_path) -> None:
    with pytest.raises(UnavailableError, match=r"gone\.pth"):
        AHDRNet(checkpoint=tmp_path / "gone.pth")
    for option, told in (
        ({"dtype": "int8"}, "bfloat16"),
        ({"in_channels": 4}, "3 or 6"),
        ({"output": "hdr"}, "linear or display"),
        ({"device": "tpu-7"}, "no device"),
    ):
        with pytest.raises(UsageError, match=told):
            AHDRNet(checkpoint="random", **option)


@pytest.mark.parametrize("kind", NETWORKS)
def test_half_precision_stays_near_the_full_one(kind) -> None:
    full, half = (
        kind(checkpoint="random", device="cpu", in_channels=3, dtype=dtype).fuse(STACK)
        for dtype in ("float32", "bfloat16")
    )
    # bfloat16 keeps 8 bits of a number; some tens of layers of it cost a few codes.
    assert np.abs(full - half).max() < 0.05
    assert np.abs(full - half).mean() < 0.01


@pytest.mark.parametrize("kind", RGB_FIRST)
def test_a_pixel_reaches_exactly_as_far_as_the_halo_says(kind) -> None:
    method = kind(checkpoint="random", device="cpu", in_channels=3)
    halo = method.halo
    side = 2 * halo + 9
    centre = side // 2
    # In float64, where no slope however small is rounded to nothing.
    network = method._module.double()
    flat = torch.rand(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        fused = network(flat, flat, flat)
        (slope,) = torch.autograd.grad(fused[0, :, centre, centre].sum(), flat)
    rows, columns = torch.nonzero(slope[0].abs().sum(0), as_tuple=True)
    reach = max((rows - centre).abs().max(), (columns - centre).abs().max())
    assert reach == halo


def test_random_weights_have_a_row_without_figures(built, tmp_path) -> None:
    results = bench(
        built, ["ahdrnet@checkpoint=random,in_channels=3,dense_layers=5", "fshdr"], tmp_path,
        split="all", limit=1, metrics=("psnr",), mr="64x36",
    )  # fmt: skip
    timed, absent = results[-2:]
    (score,) = timed.scenes
    assert timed.status is Status.OK
    assert score.scores == {"psnr/rgb8": None}
    assert "random weights" in score.unavailable["psnr/rgb8"]
    assert score.seconds["e2e"] > 0
    assert absent.status is Status.UNAVAILABLE
    assert "checkpoint" in absent.reason


class Always(torch.nn.Module):
    """A network that has learnt one picture by heart."""

    def __init__(self, picture) -> None:
        super().__init__()
        self.picture = picture

    def forward(self, *_exposures):
        return self.picture


@pytest.mark.parametrize("name", ["ahdrnet", "hdr-transformer"])
@pytest.mark.parametrize("output", ["linear", "display"])
@pytest.mark.parametrize("linear", [True, False])
def test_a_network_that_hits_its_target_returns_the_truth(name, output, linear) -> None:
    method = load_method(name, checkpoint="random", output=output, in_channels=6)
    truth = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    stack = ExposureStack.from_images(
        [np.full((8, 8, 3), 0.1 * k, np.float32) for k in (1, 2, 3)], (-1.0, 1.0, 3.0)
    )
    method._module = Always(method.target(truth, stack.evs, linear=linear))
    picture = method.fuse(stack)
    seen = truth ** (1 / 2.2) if linear else truth
    # The roots of float32 lose a digit.
    np.testing.assert_allclose(picture, seen[0].permute(1, 2, 0).numpy(), atol=1e-5)


def test_a_checkpoint_says_what_it_was_trained_to_give(tmp_path) -> None:
    made = load_method("ahdrnet", checkpoint="random", in_channels=3, output="linear")
    weights = tmp_path / "weights.safetensors"
    state = {key: value.contiguous() for key, value in made._module.state_dict().items()}
    save_file(state, weights, metadata=made.header())
    assert load_method("ahdrnet", checkpoint=str(weights)).output == "linear"
    assert load_method("ahdrnet", checkpoint=str(weights), output="display").output == "display"
    save_file(state, weights, metadata={"output": "sideways"})
    with pytest.raises(CheckpointError, match="sideways"):
        load_method("ahdrnet", checkpoint=str(weights))
