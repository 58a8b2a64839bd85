"""Panels: words that stay words, the same bytes twice, every method beside the truth."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from skimage import data

from dmef_bench.report.comparison import GROUND_TRUTH, REFERENCE, Comparison, Window
from dmef_bench.report.panels import panels

PHOTO = data.astronaut()


def comparison(methods=("a", "b"), name="scene") -> Comparison:
    pictures = {"low exposure": PHOTO // 4, REFERENCE: PHOTO // 2, GROUND_TRUTH: PHOTO}
    return Comparison(
        name,
        pictures | dict.fromkeys(methods, PHOTO // 3),
        (Window(0, 0, 128, 96, "chosen"),),
        tuple(methods),
        scores={method: f"{number}.00 dB" for number, method in enumerate(methods)},
        options={method: f"dims={method}" for method in methods},
    )


def words(svg: bytes) -> list[str]:
    return [
        text.strip()
        for node in ElementTree.fromstring(svg).iter()
        if (text := node.text or "").strip()
    ]


def images(svg: bytes) -> int:
    return sum(node.tag.endswith("}image") for node in ElementTree.fromstring(svg).iter())


def test_words_are_text_and_every_picture_is_there() -> None:
    drawn = dict(panels(comparison()))
    assert set(drawn) == {"panel-scene-1.svg", "panel-scene-1.png"}
    svg = drawn["panel-scene-1.svg"]
    assert {"low exposure", REFERENCE, GROUND_TRUTH, "a", "b", "0.00 dB"} <= set(words(svg))
    # The scene, two exposures, the truth, two methods and their errors, the scale.
    assert images(svg) == 1 + 2 + 1 + 2 * 2 + 1
    png = cv2.imdecode(np.frombuffer(drawn["panel-scene-1.png"], np.uint8), cv2.IMREAD_COLOR)
    assert png.std() > 20


def test_a_panel_repeats_to_the_last_byte() -> None:
    assert dict(panels(comparison())) == dict(panels(comparison()))


def test_an_ablation_stands_in_the_order_of_its_letters() -> None:
    svg = dict(panels(comparison(("i", "b", "h")), "ablation"))["panel-scene-1.svg"]
    titles = [text for text in words(svg) if re.match(r"[bhi]: dims=", text)]
    assert titles == ["b: dims=b", "h: dims=h", "i: dims=i"]
    assert "low exposure" not in words(svg)


@pytest.mark.parametrize("name", ["../../etc", "<b>", "a/b", "..", "$x_"])
def test_no_scene_is_a_path_markup_or_mathematics(name) -> None:
    for file, content in panels(comparison(("$a_{",), name)):
        assert re.fullmatch(r"panel-[\w.-]+-1\.(svg|png)", file)
        if file.endswith("svg"):
            assert any(text.startswith(f"{name},") for text in words(content))
            assert "$a_{" in words(content)


def test_thirteen_methods_are_folded_into_lines() -> None:
    methods = tuple(f"method-{number}" for number in range(13))
    svg = dict(panels(comparison(methods)))["panel-scene-1.svg"]
    assert set(methods) <= set(words(svg))
    width, height = map(float, re.search(rb'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups())
    # Six columns of windows of 4:3: the folded panel is no strip.
    assert 0.5 < width / height < 2
