"""Streaming: the picture of the full frame, whatever the bands, in memory that does not grow."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from skimage import data
from torch import Tensor, nn
from torch.nn import functional

from dmef_bench.errors import ImageContractError, UnavailableError, UsageError
from dmef_bench.scene import ExposureStack
from ipl.network import IPLConfig, IPLNetwork
from ipl.row_bands import PaddedRows, RowConvolution, StackRows
from ipl.streaming import fuse_streaming
from ipl.windows import ChunkMeans, Cube, Frame, Scratch

SMALL = dataclasses.replace(IPLConfig.tiny(), blocks=3)
"""Three blocks: maps made through no, one and two others."""

SIZES = [(64, 64), (130, 70), (65, 257), (17, 200)]


def stack(height: int, width: int) -> ExposureStack:
    """A photograph, repeated as needed, at half, one and two times the light; uint8."""
    photo = np.tile(data.coffee(), (height // 400 + 1, width // 600 + 1, 1))[:height, :width]
    exposures = (np.clip(photo * gain, 0, 255).astype(np.uint8) for gain in (0.5, 1.0, 2.0))
    return ExposureStack(tuple(exposures), (-1.0, 0.0, 1.0))


def tensors(given: ExposureStack) -> list[Tensor]:
    return [torch.from_numpy(image.copy()).permute(2, 0, 1)[None] for image in given.images]


def full(net: IPLNetwork, given: ExposureStack) -> np.ndarray:
    with torch.inference_mode():
        return net(*tensors(given))[0].permute(1, 2, 0).numpy()


def network(given: ExposureStack, config: IPLConfig = SMALL, **changes: object) -> IPLNetwork:
    """Random weights, with gains around one half: the picture stays within [0, 1]."""
    torch.manual_seed(21)
    net = IPLNetwork(dataclasses.replace(config, init="torch", **changes)).eval()
    net.requires_grad_(False)
    affine = net.config.head == "affine"
    net.up.gain.bias.zero_()
    with torch.inference_mode():
        largest = net.up.gain(net.pixels(*tensors(given))).abs().max()
    net.up.gain.weight /= (10 if affine else 2.1) * float(largest)
    net.up.gain.bias[:3] = 0.5
    net.up.gain.bias[3:] = 0.25
    return net


def assert_equal_to_the_full_frame(net: IPLNetwork, given: ExposureStack, **options) -> None:
    whole = full(net, given)
    assert 0 <= whole.min() <= whole.max() <= 1  # nothing hides in the clamping
    plain = 0.5 * given.images[1] + (0.25 if net.config.head == "affine" else 0)
    assert np.abs(whole - plain).max() > 0.05  # and the features do something
    streamed = fuse_streaming(net, given, **options)
    assert streamed.shape == whole.shape
    # Rounding alone: sums run in another order.
    assert np.abs(streamed - whole).max() <= 1e-5 * whole.max()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stored", [False, True])
def test_streaming_gives_the_picture_of_the_full_frame(size, stored, tmp_path) -> None:
    given = stack(*size)
    scratch = tmp_path if stored else None
    assert_equal_to_the_full_frame(network(given), given, tile=64, scratch=scratch)


@pytest.mark.parametrize(("rows", "tile"), [(1, 1000), (65, 100), (128, 1), (1000, 1000)])
def test_bands_and_tiles_of_any_size_give_the_same(rows, tile) -> None:
    given = stack(150, 200)
    assert_equal_to_the_full_frame(network(given), given, rows=rows, tile=tile)


@pytest.mark.parametrize(
    "changes",
    [
        {"drtm": False},
        {"dims": ""},
        {"dims": "CH", "roll": "mixnet"},
        {"sum": "all"},
        {"sum": "final", "head": "affine"},
        {"variant": "B", "chunks": (16, 16, 16)},
        {"pad": "reflect"},
        {"lfe": "eq3"},
        {"lfe": "hybrid", "sum": "all"},
        {"lfe": "hybrid", "drtm": False},
    ],
    ids=str,
)
def test_every_switch_streams(changes: dict, tmp_path) -> None:
    given = stack(70, 130)
    net = network(given, **changes)
    if "lfe" not in changes:
        assert_equal_to_the_full_frame(net, given, tile=64)
    assert_equal_to_the_full_frame(net, given, tile=64, scratch=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_network_of_the_full_width_streams() -> None:
    given = stack(64, 70)
    net = network(given, IPLConfig(blocks=2))
    assert_equal_to_the_full_frame(net, given, tile=64)


@pytest.mark.slow
@pytest.mark.parametrize("stored", [False, True])
def test_full_hd_streams_through_the_papers_network(stored, tmp_path) -> None:
    given = stack(1080, 1920)
    net = network(given, IPLConfig())
    assert_equal_to_the_full_frame(net, given, scratch=tmp_path if stored else None)


def test_bfloat16_streams_within_its_precision() -> None:
    given = stack(64, 70)
    net = network(given)
    whole = full(net, given)
    streamed = fuse_streaming(net.to(torch.bfloat16), given, tile=64)
    # Eight bits of mantissa: half a step is 0.002 near 1, and no step of 8-bit pictures is lost.
    assert np.abs(streamed - whole).max() < 0.01


# --- maps of other pictures ------------------------------------------------------------------


def maps_of(net: IPLNetwork, given: ExposureStack) -> list[Tensor]:
    """The full frame's own maps."""
    maps = []
    with torch.inference_mode():
        features = net.down(net.padded(*tensors(given)))
        for block in net.blocks:
            enhanced = block.daem(features)
            maps.append(block.drtm.map(enhanced))
            features = block.drtm.apply_map(enhanced, maps[-1])
    return maps


def test_the_pictures_own_maps_change_nothing_and_others_do() -> None:
    given = stack(70, 100)
    net = network(given)
    assert_equal_to_the_full_frame(net, given, tile=64, maps=maps_of(net, given))
    dark = ExposureStack(tuple(image // 3 for image in given.encoded), given.evs)
    others = fuse_streaming(net, given, maps=maps_of(net, dark))
    assert np.abs(others - full(net, given)).max() > 1e-3


def test_given_maps_take_one_pass() -> None:
    given = stack(70, 100)
    net = network(given)
    reader = Watched(StackRows(given))
    fuse_streaming(net, reader, maps=maps_of(net, given))
    assert len(reader.asked) == math.ceil(70 / 64)


@pytest.mark.parametrize("count", [0, 2])
def test_maps_that_do_not_fit_are_refused(count: int) -> None:
    net = IPLNetwork(SMALL).eval()
    with pytest.raises(UsageError, match=r"this network takes \[\(1, 64, 64, 64\)"):
        fuse_streaming(net, stack(64, 64), maps=[torch.zeros(1, 64, 64, 64)] * count)


# --- readers and sinks -----------------------------------------------------------------------


class Watched:
    """A reader that notes what is asked for."""

    def __init__(self, rows: StackRows) -> None:
        self.rows, self.size, self.evs = rows, rows.size, rows.evs
        self.asked: list[tuple[int, int]] = []

    def read(self, start: int, stop: int):
        self.asked.append((start, stop))
        return self.rows.read(start, stop)


class Kept:
    """A sink that insists on the order."""

    def __init__(self) -> None:
        self.bands: list[np.ndarray] = []

    def write(self, start: int, rows: np.ndarray) -> None:
        assert start == sum(map(len, self.bands))
        self.bands.append(rows)


def test_rows_come_in_bands_and_go_from_the_top_down() -> None:
    given = stack(200, 90)
    net, reader, sink = network(given), Watched(StackRows(given)), Kept()
    assert fuse_streaming(net, reader, out=sink) is sink
    assert len(sink.bands) > 2
    assert np.array_equal(np.concatenate(sink.bands), fuse_streaming(net, given))
    assert sink.bands[0].dtype == np.float32
    # Three maps and the fusion; one pixel more on each side of a band.
    assert reader.asked == 4 * [(0, 65), (63, 129), (127, 193), (191, 200)]


def test_scratch_reads_the_exposures_twice_alone(tmp_path) -> None:
    given = stack(130, 90)
    reader = Watched(StackRows(given))
    fuse_streaming(network(given), reader, scratch=tmp_path)
    assert len(reader.asked) == 2 * 3


@pytest.mark.parametrize("pad", ["replicate", "reflect"])
@pytest.mark.parametrize("size", [(64, 128), (70, 100), (17, 30)])
def test_bands_are_filled_up_as_the_network_does_it(pad, size) -> None:
    net, given = IPLNetwork(dataclasses.replace(SMALL, pad=pad)), stack(*size)
    padded = functional.pad(net.padded(*tensors(given)), (1, 1, 1, 1))
    source = PaddedRows(net, StackRows(given))
    height = source.size[0]
    for start in range(0, height, 16):
        band, medium = source.band(start, start + 16)
        assert torch.equal(band, padded[:, :, start : start + 18])
        assert np.array_equal(medium.numpy(), given.images[1][start : start + 16])


@pytest.mark.parametrize("side", [1, 3, 5])
def test_a_convolution_fed_with_rows_gives_what_it_would_give_at_once(side: int) -> None:
    torch.manual_seed(5)
    convolution = nn.Conv2d(2, 3, side, padding=side // 2).requires_grad_(False)
    picture = torch.randn(1, 2, 23, 9)
    fed = RowConvolution(convolution)
    parts = [fed.push(rows, last=False) for rows in picture[:, :, :20].split((6, 5, 9), 2)]
    parts.append(fed.push(picture[:, :, 20:], last=True))
    assert torch.allclose(torch.cat(parts, 2), convolution(picture), atol=1e-6)


# --- what is gathered from windows -----------------------------------------------------------


@pytest.mark.parametrize("size", [(40, 100), (200, 24), (16, 16), (300, 250)])
def test_the_cube_is_the_resampled_frame_whatever_the_windows(size) -> None:
    features = torch.randn(1, 24, *size, generator=torch.Generator().manual_seed(2))
    expected = functional.interpolate(features, (24, 24), mode="bilinear", align_corners=True)
    frame = Frame.cut(size, (16, 37), 24)
    cube = Cube(frame, 24, features)
    for window in reversed(list(frame)):
        cube.add(window, features[:, :, window.rows.places, window.columns.places])
    assert torch.allclose(cube.features(), expected, atol=1e-5)


def test_chunk_means_are_those_of_the_frame() -> None:
    daem = IPLNetwork(dataclasses.replace(SMALL, lfe="eq3")).blocks[0].daem
    features = torch.randn(1, 64, 48, 80, generator=torch.Generator().manual_seed(2))
    frame = Frame.cut((48, 80), (32, 48), 64)
    sums = ChunkMeans(frame, "CWH", 64, features)
    for window in frame:
        sums.add(window, features[:, :, window.rows.places, window.columns.places])
    for dim, mean in daem.means(features).items():
        assert torch.allclose(sums.means()[dim], mean, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_kept_comes_back_bit_by_bit(dtype, tmp_path) -> None:
    features = torch.randn(1, 8, 48, 80).to(dtype)
    frame = Frame.cut((48, 80), (32, 48), 8)
    scratch = Scratch(tmp_path, frame, 8, features)
    for window in frame:
        scratch.keep(window, features[:, :, window.rows.places, window.columns.places])
    for window, kept in scratch:
        assert torch.equal(kept, features[:, :, window.rows.places, window.columns.places])


# --- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"shift": True}, {}, "shift=True lets every window depend"),
        ({"lfe": "eq3"}, {}, "give scratch=FOLDER"),
        ({}, {"tile": 0}, "tile=0: both are 1 pixel or more"),
        ({}, {"rows": -64}, "rows=-64"),
        ({}, {"scratch": "no/such/folder"}, "'no/such/folder' is no folder"),
        ({"drtm": False}, {"maps": [torch.zeros(1, 64, 64, 64)]}, r"this network takes \[\]"),
    ],
    ids=str,
)
def test_what_cannot_stream_is_refused(changes: dict, options: dict, message: str) -> None:
    net = IPLNetwork(dataclasses.replace(SMALL, **changes)).eval()
    with pytest.raises(UsageError, match=message):
        fuse_streaming(net, stack(64, 64), **options)


def test_a_full_disk_is_noticed_beforehand(tmp_path) -> None:
    with pytest.raises(UnavailableError, match="GB free, and the features of this picture take"):
        Scratch(tmp_path, Frame.cut((64, 64), (16, 16), 64), 10**15, torch.zeros(1))


@pytest.mark.parametrize("size", [(1, 17), (15, 400), (400, 15)])
def test_pictures_that_are_too_small_are_refused(size) -> None:
    message = f"{size[1]}x{size[0]}; the network needs 16 pixels"
    with pytest.raises(ImageContractError, match=message):
        fuse_streaming(IPLNetwork(SMALL).eval(), stack(*size))


def test_two_exposures_are_refused() -> None:
    given = stack(64, 64)
    two = ExposureStack(given.encoded[:2], given.evs[:2])
    with pytest.raises(UnavailableError, match="three exposures; there are 2"):
        fuse_streaming(IPLNetwork(SMALL).eval(), two)


class Broken(Watched):
    """A reader whose low exposure is not what it should be from row 100 on."""

    def __init__(self, rows: StackRows, fault: str) -> None:
        super().__init__(rows)
        self.fault = fault

    def read(self, start: int, stop: int):
        low, *others = super().read(start, stop)
        if stop > 100 and self.fault == "NaN":
            low = low.copy()
            low[-1, -1, -1] = np.nan
        if stop > 100 and self.fault == "short":
            low = low[:-1]
        return low, *others


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("NaN", "the low exposure, rows 63 to 128, holds NaN or infinity"),
        ("short", "the low exposure, rows 63 to 128, is 64x65; 64x66 is expected"),
    ],
)
def test_a_reader_that_breaks_its_word_is_named(fault: str, message: str) -> None:
    reader = Broken(StackRows(stack(200, 64)), fault)
    with pytest.raises(ImageContractError, match=message):
        fuse_streaming(IPLNetwork(SMALL).eval(), reader)


# --- memory ----------------------------------------------------------------------------------

PEAKS = """
import resource, sys
import numpy as np, torch
from ipl.network import IPLConfig, IPLNetwork
from ipl.streaming import fuse_streaming

class Grey:
    evs = None
    def __init__(self, height): self.size = height, 256
    def read(self, start, stop): return 3 * (np.full((stop - start, 256, 3), 0.5, np.float32),)

class Nowhere:
    def write(self, start, rows): pass

torch.set_num_threads(1)
net = IPLNetwork(IPLConfig(dim=16, chunks=(16, 16, 16), blocks=1)).eval()
for height in map(int, sys.argv[1:]):
    fuse_streaming(net, Grey(height), out=Nowhere())
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform == "darwin", reason="ru_maxrss counts bytes there")
def test_memory_does_not_grow_with_the_height() -> None:
    command = [sys.executable, "-c", PEAKS, "256", "4096"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    low, tall = (int(line) * 1024 for line in done.stdout.split())
    # F0 of the full frame alone would take 256 x 4096 x 16 bytes, 17 MB.
    assert tall - low < 6e6
