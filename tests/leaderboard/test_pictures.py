"""Pictures on the page: the telling scenes, the telling windows, and only what was scored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dmef_bench.datasets import load_scenes
from dmef_bench.errors import UsageError
from dmef_bench.imagefile import pixels_sha256, write_image
from dmef_bench.leaderboard import leaderboard_frame, make_board
from dmef_bench.leaderboard.pictures import comparisons, fused_files
from dmef_bench.protocol import Protocol
from dmef_bench.results import MethodResult, SceneScore, Status
from dmef_bench.scene import to_uint8

RULES = Protocol("4k-dmef", "all", "c0ffee", metrics=("psnr/rgb8",))
STAIN = (slice(96, 160), slice(320, 400))
"""Where a method's picture is spoilt: rows, columns."""


@pytest.fixture(scope="module")
def runs(built, tmp_path_factory):
    """Three methods on four scenes; the first is perfect, the others spoil a stain."""
    folder = tmp_path_factory.mktemp("runs")
    scenes = load_scenes(built, "all")
    for number, name in enumerate(("good", "fair", "poor")):
        scores = []
        for index in range(len(scenes)):
            scene = scenes[index]
            fused = to_uint8(scene.ground_truth).copy()
            fused[STAIN] ^= np.uint8(20 * number)
            (folder / name / "fused").mkdir(parents=True, exist_ok=True)
            write_image(folder / name / "fused" / f"{scene.scene_id}.png", fused)
            scores.append(
                SceneScore(
                    scene.scene_id,
                    Status.OK,
                    scores={"psnr/rgb8": 40.0 - 10 * number + index},
                    fused_sha256=pixels_sha256(fused),
                    scene_digest=scene.digest,
                )
            )
        MethodResult(
            row=name,
            method={"name": name, "kind": "method", "digest": ""},
            protocol=RULES,
            scenes=tuple(scores),
            expected=len(scores),
            finished="2026-11-22",
        ).save(folder / name)
    return folder


@pytest.fixture
def loaded(runs):
    folders = [runs / name for name in ("good", "fair", "poor")]
    results = [MethodResult.load(folder) for folder in folders]
    return results, leaderboard_frame(results), fused_files(results, folders)


def test_the_scenes_are_those_where_the_best_method_is_worst(loaded, built) -> None:
    shown = [scene.scene_id for scene in comparisons(*loaded, built)]
    assert shown == list(load_scenes(built, "all").ids[:3])


def test_pictures_are_the_exposures_the_truth_and_each_method(loaded, built) -> None:
    first = next(comparisons(*loaded, built))
    inputs = ["low exposure", "reference", "high exposure"]
    assert list(first.pictures) == ["good", "fair", "poor", "ground truth", *inputs]
    assert [first.pictures[name].mean() for name in inputs] == sorted(
        first.pictures[name].mean() for name in inputs
    )
    assert first.methods == ("good", "fair", "poor")
    assert first.scores["fair"] == "30.00 dB"
    assert first.why == "The lowest PSNR of good among 4 scenes with pictures."
    assert first.missing == ()
    np.testing.assert_array_equal(first.pictures["good"], first.pictures["ground truth"])


def test_the_window_holds_the_largest_error_of_the_middle_method(loaded, built) -> None:
    window = next(comparisons(*loaded, built, side=128)).windows[0]
    # The stain is also all that methods differ in: one window with two reasons.
    assert window.why == "largest error of fair, and methods differ most"
    rows, columns = STAIN
    assert window.left <= columns.start
    assert window.left + 128 >= columns.stop
    assert window.top <= rows.start
    assert window.top + 128 >= rows.stop
    # The pictures are 270x480: a window of 512 is the whole of them.
    whole = next(comparisons(*loaded, built)).windows[0]
    assert (whole.left, whole.top, whole.width, whole.height) == (0, 0, 480, 270)


def test_a_window_can_be_named_and_stays_inside(loaded, built) -> None:
    name = load_scenes(built, "all").ids[2]
    (shown,) = comparisons(*loaded, built, crops=f"{name}:9000,3", side=100)
    assert shown.scene_id == name
    assert [(w.left, w.top, w.why) for w in shown.windows] == [(380, 3, "chosen")]


@pytest.mark.parametrize(
    ("crops", "message"),
    [("somewhere", "SCENE:X,Y"), ("nowhere:1,2", "No fused picture of 'nowhere'")],
)
def test_a_window_that_cannot_be_is_refused(loaded, built, crops, message) -> None:
    with pytest.raises(UsageError, match=message):
        list(comparisons(*loaded, built, crops=crops))


def test_a_picture_that_is_not_the_scored_one_is_refused(loaded, built) -> None:
    (first, *others), frame, files = loaded
    for change in ({"fused_sha256": "0" * 64}, {"scene_digest": "0" * 64}):
        forged = replace(first, scenes=tuple(replace(s, **change) for s in first.scenes))
        with pytest.raises(UsageError, match=r"is not the (picture|one) that was scored"):
            next(comparisons([forged, *others], frame, files, built))


def test_no_scene_id_leads_out_of_the_folder(loaded, runs) -> None:
    results, _, _ = loaded
    outside = replace(results[0].scenes[0], scene_id="../../poor/fused/x")
    hostile = replace(results[0], scenes=(outside,))
    (runs / "poor" / "fused" / "x.png").touch()
    assert fused_files([hostile], [runs / "good"]) == {}


def test_a_method_called_like_an_exposure_hides_nothing(loaded, runs, built) -> None:
    results, _, files = loaded
    posing = [replace(results[0], row="reference"), *results[1:]]
    renamed = {(row.replace("good", "reference"), scene): f for (row, scene), f in files.items()}
    shown = next(comparisons(posing, leaderboard_frame(posing), renamed, built))
    assert shown.methods[0] == "reference (fused)"
    assert shown.pictures["reference"].mean() != shown.pictures["reference (fused)"].mean()


def test_the_page_shows_them_and_how_it_was_made(runs, built, tmp_path) -> None:
    folder, _ = make_board([runs], tmp_path, formats=("html",), data=built, sort="psnr")
    page = (folder / "board.html").read_text(encoding="utf-8")
    # Seven pictures whole, seven in each window; errors of the reference and of three methods.
    windows = page.count("<h4>")
    assert windows >= 3
    assert page.count("data:image/jpeg;base64,") == 3 * 7 + windows * (7 + 4)
    assert f"dmef leaderboard RUNS --fingerprint {RULES.fingerprint} --format html" in page
    assert "--sort psnr --data DATASET" in page
    assert str(built) not in page
    with pytest.raises(UsageError, match="--format csv,md,html"):
        make_board([runs], tmp_path, formats=("csv",), data=built)
