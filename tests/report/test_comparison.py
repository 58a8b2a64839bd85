"""The picture sections: escaped, bounded in size, and truthful about where errors are."""

from __future__ import annotations

import base64
import re

import cv2
import numpy as np
from skimage import data

from dmef_bench.report.comparison import GROUND_TRUTH, REFERENCE, Comparison, Window, sections

PHOTO = data.astronaut()


def comparison(name="scene", **pictures) -> Comparison:
    shown = {REFERENCE: PHOTO // 2, GROUND_TRUTH: PHOTO, **pictures}
    return Comparison(name, shown, (Window(64, 32, 128, 96, "chosen"),), tuple(pictures))


def decoded(section: str, alt: str) -> list[np.ndarray]:
    found = re.findall(rf'<img alt="{alt}"[^>]*base64,([^"]*)"', section)
    buffers = [np.frombuffer(base64.b64decode(text), np.uint8) for text in found]
    return [cv2.cvtColor(cv2.imdecode(b, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB) for b in buffers]


def test_whole_pictures_and_windows_show_what_they_say() -> None:
    (section,) = sections([comparison(method=PHOTO)])
    whole, window = decoded(section, "method")
    assert whole.shape == PHOTO.shape
    assert window.shape == (96, 128, 3)
    # JPEG of quality 90: two or three codes off on average.
    assert np.abs(window.astype(int) - PHOTO[32:128, 64:192]).mean() < 3


def test_the_error_is_dark_where_a_picture_is_right() -> None:
    spoilt = PHOTO.copy()
    spoilt[40:60, 80:120] ^= 0x3F
    (section,) = sections([comparison(method=spoilt, perfect=PHOTO)])
    (error,) = decoded(section, "error of method")
    inside, outside = error[10:26, 20:52].mean(), error[50:, 70:].mean()
    assert inside > 100
    assert outside < 5
    assert decoded(section, "error of perfect")[0].max() < 10
    assert not decoded(section, f"error of {GROUND_TRUTH}")


def test_wide_pictures_are_shrunk_for_the_slider_alone() -> None:
    wide = cv2.resize(PHOTO, (2048, 512))
    pictures = {REFERENCE: wide, GROUND_TRUTH: wide}
    (section,) = sections([Comparison("wide", pictures, ())])
    assert decoded(section, REFERENCE)[0].shape == (320, 1280, 3)


def test_a_page_holds_only_so_much_and_says_what_it_leaves_out() -> None:
    one = len(next(sections([comparison()])))
    shown = list(sections([comparison(), comparison("b"), comparison("c")], limit=one + 10))
    assert len(shown) == 2
    assert shown[1].endswith("MB: 2 scenes.</p>")


def test_windows_are_left_out_before_scenes() -> None:
    one = len(next(sections([comparison()])))
    whole, words = sections([comparison()], limit=one - 100)
    assert decoded(whole, GROUND_TRUTH)[0].shape == PHOTO.shape
    assert "crops" not in whole
    assert words.endswith("MB: 1 window.</p>")


def test_what_is_missing_and_what_was_scored_is_said() -> None:
    told = Comparison(
        "s", {REFERENCE: PHOTO, GROUND_TRUTH: PHOTO}, (), scores={REFERENCE: "9 dB < 10 dB"},
        why="the <worst>", missing=("No picture of a & b.",),
    )  # fmt: skip
    (section,) = sections([told])
    assert "<small>9 dB &lt; 10 dB</small>" in section
    assert "<p>the &lt;worst&gt;</p><p>No picture of a &amp; b.</p>" in section


def test_names_are_escaped() -> None:
    (section,) = sections([comparison("<script>", **{'"><b>': PHOTO})])
    assert "<script>" not in section
    assert "<b>" not in section
