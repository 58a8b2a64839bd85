"""Whatever is missing, there is a page, and it says what."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from dmef_bench.datasets import load_scenes
from dmef_bench.errors import UsageError
from dmef_bench.imagefile import pixels_sha256, write_image
from dmef_bench.leaderboard import make_board
from dmef_bench.leaderboard.pictures import METHODS
from dmef_bench.protocol import Protocol
from dmef_bench.results import MethodResult, SceneScore, Status
from dmef_bench.scene import to_uint8

RULES = Protocol("4k-dmef", "all", "c0ffee", metrics=("psnr/rgb8",))
HOSTILE = "<b onclick=alert(1)>"


@pytest.fixture(scope="module")
def scene(built):
    return load_scenes(built, "all")[0]


@pytest.fixture
def run(scene, tmp_path):
    """Writes the record of a method on one scene, with its picture: the truth, a bit darker."""
    fused = to_uint8(scene.ground_truth) // np.uint8(2)
    write_image(tmp_path / "fused.png", fused)

    def write(name: str, psnr: float = 30.0, *, picture: bool = True, **change) -> MethodResult:
        folder = tmp_path / "runs" / str(abs(hash(name)))
        (folder / "fused").mkdir(parents=True)
        if picture:
            shutil.copyfile(tmp_path / "fused.png", folder / "fused" / f"{scene.scene_id}.png")
        score = SceneScore(
            scene.scene_id,
            Status.OK,
            scores={"psnr/rgb8": psnr},
            fused_sha256=pixels_sha256(fused),
            scene_digest=scene.digest,
        )
        result = MethodResult(
            row=name,
            method={"name": name, "kind": "method", "digest": "", "options": {"dims": "CW"}},
            protocol=RULES,
            scenes=(replace(score, **change),),
            status=change.get("status", Status.OK),
            expected=1,
            command=("dmef", "bench", "dataset", "-m", name),
            finished="2026-11-22",
        )
        result.save(folder)
        return result

    return write


@pytest.fixture
def page(built, tmp_path):
    def make(**choices) -> str:
        choices = {"formats": ("html",), "data": built, "resamples": 100} | choices
        folder, _ = make_board([tmp_path / "runs"], tmp_path / "out", **choices)
        return (folder / "board.html").read_text(encoding="utf-8")

    return make


def pictures(text: str) -> list[str]:
    return re.findall(r'<img alt="([^"]*)"', text)


def test_without_a_data_set_the_page_says_how_to_see_pictures(run, page) -> None:
    run("a")
    text = page(data=None)
    assert not pictures(text)
    assert "--data DATASET" in text
    assert "30.00" in text


def test_without_pictures_the_page_says_how_to_keep_them(run, page) -> None:
    run("a", picture=False)
    text = page()
    assert not pictures(text)
    assert "dmef bench --save-fused" in text
    assert "<svg" in text


def test_one_method_is_compared_with_the_truth_alone(run, page) -> None:
    run("alone")
    text = page()
    assert {"alone", "error of alone", "ground truth", "high exposure"} <= set(pictures(text))
    assert "methods differ" not in text


def test_of_a_hundred_methods_the_best_are_shown_and_all_are_listed(run, page) -> None:
    for number in range(100):
        run(f"method-{number:03}", 20 + number / 10)
    text = page()
    whole = text[text.index('class="compare"') : text.index("<h4>")]
    assert len(pictures(whole)) == 4 + METHODS
    assert "method-099" in pictures(whole)
    assert "method-050" not in pictures(whole)
    assert f"Shown are the best {METHODS} of 100 methods" in text
    assert len(re.findall('<th scope="row"[^>]*data-value="method-', text)) == 100
    assert len(text) < 20_000_000


def test_a_missing_picture_is_named_and_the_others_are_shown(run, page) -> None:
    run("best", 40.0, picture=False)
    run("kept")
    text = page()
    assert "No picture was kept of best" in text
    assert "kept" in pictures(text)
    assert "best" not in pictures(text)


def test_a_failed_method_is_named_beside_the_pictures_of_others(run, page) -> None:
    run("kept")
    error = {"kind": "error", "type": "ValueError", "message": HOSTILE}
    run("broken", scores={}, status=Status.ERROR, error=error)
    text = page()
    assert "No picture of broken (error): see what went wrong." in text
    assert "ValueError: &lt;b onclick=alert(1)&gt;" in text


def test_where_all_failed_the_page_says_why(run, page) -> None:
    for name in ("a", "b"):
        error = {"kind": "error", "type": "MemoryError", "message": "no room"}
        run(name, picture=False, scores={}, status=Status.ERROR, error=error)
    text = page()
    assert not pictures(text)
    # One reason, said once for both.
    assert re.search(r"<li><code>a</code>, <code>b</code>: [^<]*no room", text)
    assert "Failed scenes: 2" in text


def test_names_with_markup_are_text(run, page) -> None:
    run(HOSTILE)
    text = page(title=HOSTILE)
    assert HOSTILE not in text
    assert "&lt;b onclick=alert(1)&gt;" in text


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"panels": "compare"}, "no panels to draw"),
        ({"panels": "compare", "data": None}, "--panels draws windows"),
        ({"panels": "compare", "crops": "none"}, "SCENE:X,Y"),
        ({"crops": "s:1,2", "data": None}, "--crops cuts windows"),
        ({"crops": "s:1,2"}, "none; run `dmef bench --save-fused`"),
    ],
)
def test_what_was_asked_for_by_name_and_cannot_be_is_refused(run, page, choices, message) -> None:
    run("a", picture=False)
    with pytest.raises(UsageError, match=re.escape(message)):
        page(**choices)


def test_panels_are_drawn_beside_the_board(run, page, scene, tmp_path) -> None:
    run("a")
    run("b", 20.0)
    page(panels="compare", formats=("html",))
    (folder,) = (tmp_path / "out").iterdir()
    drawn = sorted(path.name for path in folder.glob("panel-*"))
    assert f"panel-{scene.scene_id}-1.png" in drawn
    assert f"panel-{scene.scene_id}-1.svg" in drawn
