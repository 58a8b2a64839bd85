"""What cannot fit is said within seconds; what can is never refused."""

from __future__ import annotations

import math

import numpy as np
import psutil
import pytest
from torch import nn

from baselines.ahdrnet import AHDRNet
from baselines.mertens import Mertens
from dmef_bench.errors import UnavailableError
from dmef_bench.harness.bench import bench
from dmef_bench.harness.child import run_task
from dmef_bench.harness.dry_run import _has_onednn
from dmef_bench.harness.evaluate import Options, evaluate
from dmef_bench.harness.foresight import AMPLE, MARGIN, Foresight, free_bytes, streams
from dmef_bench.harness.fuse import How, check_room
from dmef_bench.harness.plan import Plan
from dmef_bench.protocol import Protocol
from dmef_bench.results import FORESEEN, STREAMED, Status
from dmef_bench.scene import ExposureStack, Scene
from dmef_bench.torch_method import TorchMethod
from ipl.method import IPLTiny

UHD = (2160, 3840)
SUM_BYTES = 15 * 4 * math.prod(UHD)
"""Of `Sum` at 4K: the three exposures and two results, three float32 maps each."""


class Sum(nn.Module):
    def forward(self, low, medium, high):
        total = low + medium
        return total * high


class Plain(TorchMethod):
    """A network as a method, the smallest there is."""

    name, paper = "plain", "unpublished"

    def __init__(self):
        super().__init__("random", device="cpu")

    def network(self):
        return Sum()


def within(method, room: int) -> Foresight:
    """Foresight of a process that may take ``room`` bytes beyond what it has."""
    # A little more: this process grows while it looks.
    return Foresight(method, psutil.Process().memory_info().rss + room)


def test_ahdrnet_takes_more_than_most_machines_have_at_4k_and_says_what_to_do() -> None:
    told = within(AHDRNet("random", device="cpu"), 8 * 2**30).shortage(UHD)
    if not _has_onednn():
        pytest.skip("what convolutions copy inside is known of oneDNN alone")
    # 722 maps: those of three dense blocks, and a copy of most inside the last convolution.
    assert told.forecast == pytest.approx(22.3 * 2**30, rel=2e-3)
    text = told.text(auto=True)
    assert text.startswith("ahdrnet at 3840x2160: forecast 22.3 GiB, ")
    assert "GiB free; --fit tile or downsample with --mr auto or 22" in text
    assert "--no-forecast tries all the same" in text


def test_what_is_proposed_fits_and_the_next_size_would_not() -> None:
    told = within(Plain(), SUM_BYTES // 4).shortage(UHD)
    assert told.forecast == SUM_BYTES
    height, width = told.fitting
    # The next of its rows of sizes is sixteen columns wider.
    assert height * width * 60 <= told.free < (height + 9) * (width + 16) * 60
    assert f"--mr {width}x{height} would run" in told.text(auto=False)


def test_where_it_may_fit_there_is_nothing_to_say() -> None:
    assert within(Plain(), 2 * SUM_BYTES).shortage(UHD) is None
    assert within(Mertens(), 1).shortage(UHD) is None
    nothing = within(Plain(), -(2**40)).shortage(UHD)
    assert nothing.fitting is None
    assert "it fits at no size" in nothing.text(auto=True)


def test_a_forecast_is_believed_only_where_it_passes_what_is_free_by_a_margin() -> None:
    # Memory is counted by the page, and a process's own moves by a few MiB while it looks.
    almost, beyond = SUM_BYTES / MARGIN * 1.05, SUM_BYTES / MARGIN * 0.95
    assert within(Plain(), round(almost)).shortage(UHD) is None
    assert within(Plain(), round(beyond)).shortage(UHD) is not None


def test_small_pictures_are_not_looked_at() -> None:
    foresight = Foresight(Plain())
    assert free_bytes("cpu") > AMPLE * 64 * 64, "this machine has no memory at all"
    assert foresight.shortage((64, 64)) is None
    assert not {"_watched", "_by_shapes"} & set(vars(foresight))


def test_what_goes_band_by_band_is_no_matter_of_memory() -> None:
    method = IPLTiny(weights="identity", device="cpu", streaming=True)
    assert streams(method, UHD)
    assert Foresight(method, 1).shortage(UHD) is None
    whole = IPLTiny(weights="identity", device="cpu", streaming=False)
    assert not streams(whole, UHD)
    assert within(whole, 2**20).shortage(UHD) is not None


@pytest.fixture(scope="module")
def scene() -> Scene:
    grey = [np.full((256, 384, 3), level, np.uint8) for level in (20, 90, 200)]
    return Scene("grey", ExposureStack(tuple(grey), (-1.0, 1.0, 3.0)), grey[1] + 1)


RULES = Protocol("4k-dmef", "test", "c0ffee", ("psnr/rgb8",), fit="full")


def scored(method, scene, **options):
    (score,) = evaluate(method, [scene], RULES, options=Options(**options)).scenes
    return score


class NeverAsked(Plain):
    def compute(self, inputs):  # noqa: ARG002 - nothing comes of them
        raise RuntimeError("was tried")


def test_a_picture_that_would_not_fit_is_out_of_memory_without_being_tried(scene) -> None:
    told = scored(NeverAsked(), scene, memory_limit=1)
    assert told.status is Status.OOM
    assert (told.error["oom_kind"], told.error["where"]) == (FORESEEN, "forecast")
    assert "plain at 384x256: forecast 5.62 MiB, 0 B free" in told.error["message"]
    tried = scored(NeverAsked(), scene, memory_limit=1, forecast=False)
    assert (tried.status, tried.error["message"]) == (Status.ERROR, "was tried")


def test_a_picture_fused_band_by_band_is_marked(scene) -> None:
    by_bands = IPLTiny(weights="identity", device="cpu", streaming=True)
    assert STREAMED in scored(by_bands, scene).flags
    whole = IPLTiny(weights="identity", device="cpu", streaming=False)
    assert STREAMED not in scored(whole, scene).flags


def test_files_that_would_not_fit_are_refused_before_they_are_read() -> None:
    side = 10**6
    with pytest.raises(UnavailableError, match=r"plain at 1000000x1000000: forecast 54\.6 TiB"):
        check_room(Plain(), (side, side), How())
    check_room(Plain(), (side, side), How(forecast=False))
    check_room(Plain(), (side, side), How(fit="tile", mr="64x64"))


ZOO = '''
"""A network that holds 3600 maps for a moment."""
import torch
from dmef_bench.torch_method import TorchMethod

class Wide(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = torch.nn.Conv2d(9, 3, 1)
    def forward(self, low, medium, high):
        pixels = torch.cat((low, medium, high), 1)
        return self.mix(pixels.repeat(1, 400, 1, 1)[:, :9])

class Net(TorchMethod):
    name, paper, stride = "net", "none", 8
    def __init__(self):
        super().__init__("random", device="cpu")
    def network(self):
        return Wide()
'''

LIMIT = 3 * 2**29
"""Room for a process with torch, and for pictures of 192x192."""


@pytest.fixture
def net(tmp_path) -> str:
    (tmp_path / "zoo.py").write_text(ZOO)
    return f"{tmp_path / 'zoo.py'}:Net"


def row(results):
    (found,) = [result for result in results if result.row == "Net"]
    return found


@pytest.mark.slow
def test_a_row_is_out_of_memory_by_forecast_until_that_is_not_to_be_believed(
    built, net, tmp_path
) -> None:
    asked = {"split": "all", "metrics": ("psnr",), "fit": "full", "limit": 1}
    believed = Plan(timing=False, memory_limit=LIMIT)
    (score,) = row(bench(built, [net], tmp_path, **asked, plan=believed)).scenes
    assert (score.status, score.error["oom_kind"]) == (Status.OOM, FORESEEN)
    # 3600 maps, and the nine that they repeat, on 480x270 pixels.
    assert "net at 480x270: forecast 1.75 GiB" in score.error["message"]
    again = Plan(timing=False, memory_limit=LIMIT, forecast=False)
    (score,) = row(bench(built, [net], tmp_path, **asked, plan=again)).scenes
    assert (score.status, score.error["oom_kind"]) == (Status.OOM, "budget")


def test_a_probe_passes_over_a_size_that_is_known_not_to_fit(net) -> None:
    told: list[dict] = []
    task = {
        "job": "probe",
        "method": net,
        "options": {},
        "size": [270, 480],
        "exposures": 3,
        "memory_budget": psutil.Process().memory_info().rss + LIMIT // 2,
    }

    def tell(event: str, **facts) -> None:
        told.append({"event": event, **facts})

    for forecast in (True, False):
        run_task(task | {"forecast": forecast}, tell)
    foreseen, tried = told
    assert (foreseen["event"], foreseen["outcome"]) == ("failed", "oom")
    assert "net at 480x270: forecast 1.75 GiB" in foreseen["message"]
    # Nobody watches this process, which takes what it likes.
    assert tried["event"] == "passed"
