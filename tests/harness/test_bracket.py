"""Brackets: any order comes out dark to bright, by the rule that is stated."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms
from skimage import data

from dmef_bench.errors import ImageFileError, UsageError
from dmef_bench.exposure.camera_response import Sigmoid
from dmef_bench.exposure.synthesis import expose
from dmef_bench.harness.bands import Scratch
from dmef_bench.harness.bracket import BRIGHTNESS, EXIF, STATED, anchored, arrange, read_bracket
from dmef_bench.imagefile import write_image

PHOTO = data.coffee()[100:300, 150:400]
TIMES = {-2: 1 / 200, 0: 1 / 50, 2: 1 / 12.5}


def exposure(ev):
    return expose(PHOTO, float(ev), Sigmoid())


def save(path, picture, time_s=None, orientation=1, icc=None):
    exif = Image.Exif()
    exif[0x0112] = orientation
    if time_s:
        exif.get_ifd(0x8769).update({0x829A: time_s, 0x829D: 8.0, 0x8827: 100})
    Image.fromarray(picture).save(path, quality=95, exif=exif, icc_profile=icc)
    return path


@pytest.fixture
def shots(tmp_path):
    """Three JPEGs in no order, with times: 0, +2, -2 stops."""
    return [save(tmp_path / f"{ev}.jpg", exposure(ev), TIMES[ev]) for ev in (0, 2, -2)]


def test_exif_orders_and_gives_the_stops_between(shots) -> None:
    bracket = read_bracket(shots)
    exposures = bracket.read()
    assert bracket.rule == EXIF
    assert exposures.names == ("-2.jpg", "0.jpg", "2.jpg")
    # A camera's 0 is no wish: EV 0 lies midway between the darkest and the reference.
    assert exposures.evs == pytest.approx((-1, 1, 3))
    assert exposures.reference == 1
    means = [float(picture.mean()) for picture in exposures.pictures]
    assert means == sorted(means)


def test_what_is_stated_wins_over_exif(shots) -> None:
    bracket = read_bracket(shots, evs=(1, 3, -1))
    assert bracket.rule == STATED
    assert bracket.read().evs == (-1, 1, 3)
    assert bracket.read().names == ("-2.jpg", "0.jpg", "2.jpg")


@pytest.mark.parametrize("order", list(itertools.permutations((-2, 0, 2))))
def test_without_exif_brightness_gives_the_order(tmp_path, order) -> None:
    paths = [save(tmp_path / f"{ev}.png", exposure(ev)) for ev in order]
    bracket = read_bracket(paths)
    exposures = bracket.read()
    assert bracket.rule == BRIGHTNESS
    assert exposures.names == ("-2.png", "0.png", "2.png")
    assert exposures.evs is None


def test_a_time_that_one_picture_does_not_state_leaves_the_order_to_brightness(tmp_path) -> None:
    paths = [save(tmp_path / f"{ev}.jpg", exposure(ev), ev and TIMES[ev]) for ev in (2, -2, 0)]
    assert read_bracket(paths).rule == BRIGHTNESS


def test_equal_times_are_no_bracket_by_exif_and_it_says_so(tmp_path) -> None:
    paths = [save(tmp_path / f"{ev}.jpg", exposure(ev), 1 / 60) for ev in (2, -2)]
    bracket = read_bracket(paths)
    assert bracket.rule == BRIGHTNESS
    assert any("one exposure for several" in remark for remark in bracket.remarks)


@given(st.lists(st.floats(-20, 20), min_size=3, max_size=9, unique=True))
def test_the_reference_is_never_an_end_and_none_lies_nearer_the_middle(light) -> None:
    order, reference = arrange(light)
    rising = [light[index] for index in order]
    assert rising == sorted(light)
    assert 0 < reference < len(light) - 1
    middle = (rising[0] + rising[-1]) / 2
    assert all(abs(rising[reference] - middle) <= abs(x - middle) for x in rising[1:-1])
    three, place = arrange(light, takes=3)
    assert three == (order[0], order[reference], order[-1])
    assert place == 1


def test_of_two_exposures_the_brighter_is_the_reference() -> None:
    assert arrange([3.0, 1.0]) == ((1, 0), 1)


def test_of_four_even_steps_the_darker_middle_one_is_the_reference() -> None:
    assert arrange([0.0, 1.0, 2.0, 3.0])[1] == 1


def test_evs_of_a_camera_are_shifted_and_evs_of_a_wish_are_not() -> None:
    assert anchored((-3.0, 0.0, 3.0), 1) == (-1.5, 1.5, 4.5)
    assert anchored((-3.0, -1.0, 1.0), 1) == (-3.0, -1.0, 1.0)


@pytest.mark.parametrize("evs", [(1, 2), (1, 2, 2), (1, float("nan"), 2), (1, 2, 3, 4)])
def test_evs_that_do_not_fit_are_refused(shots, evs) -> None:
    with pytest.raises(UsageError, match="one for each of the 3 pictures"):
        read_bracket(shots, evs)


@pytest.mark.parametrize("count", [0, 1, 10])
def test_too_few_and_too_many_pictures_are_refused(shots, count) -> None:
    with pytest.raises(UsageError, match="two to 9"):
        read_bracket(shots[:1] * count)


def test_sizes_that_differ_are_named(tmp_path) -> None:
    paths = [save(tmp_path / "a.png", PHOTO), save(tmp_path / "b.png", PHOTO[:-1])]
    with pytest.raises(ImageFileError, match=r"a\.png 250x200, b\.png 250x199"):
        read_bracket(paths)


def test_a_camera_that_changes_its_mind_about_up_turns_all_pictures_alike(tmp_path) -> None:
    turns = {-2: 6, 0: 6, 2: 1}
    paths = [save(tmp_path / f"{ev}.png", exposure(ev), orientation=turns[ev]) for ev in turns]
    bracket = read_bracket(paths)
    assert bracket.size == (250, 200)
    for picture, ev in zip(bracket.read().pictures, turns, strict=True):
        assert np.array_equal(picture, np.rot90(exposure(ev), -1))
    assert any("all turned as 6" in remark for remark in bracket.remarks)


def test_a_picture_already_turned_by_an_editor_fits_one_turned_by_its_tag(tmp_path) -> None:
    dark = save(tmp_path / "dark.png", exposure(-2), orientation=6)
    bright = save(tmp_path / "bright.png", np.ascontiguousarray(np.rot90(exposure(2), -1)))
    dark_pixels, bright_pixels = read_bracket([dark, bright]).read().pictures
    assert np.array_equal(dark_pixels, np.rot90(exposure(-2), -1))
    assert np.array_equal(bright_pixels, np.rot90(exposure(2), -1))


def test_8_and_16_bits_make_a_stack_of_16(tmp_path) -> None:
    write_image(tmp_path / "dark.png", exposure(-2))
    write_image(tmp_path / "bright.tif", exposure(2).astype(np.uint16) * 257)
    bracket = read_bracket([tmp_path / "dark.png", tmp_path / "bright.tif"])
    stack = bracket.read().stack()
    assert bracket.bits == 16
    assert stack.encoded is not None
    assert np.array_equal(stack.encoded[0], exposure(-2).astype(np.uint16) * 257)


def test_pixels_on_disk_are_the_pixels_in_memory(shots, tmp_path) -> None:
    scratch = Scratch(tmp_path)
    on_disk = read_bracket(shots).read(scratch=scratch)
    for here, there in zip(on_disk.pictures, read_bracket(shots).read().pictures, strict=True):
        assert np.array_equal(here, there)
    assert np.array_equal(on_disk.rows(scratch).read(3, 9)[0], on_disk.stack().images[0][3:9])


def test_a_method_of_three_gets_the_ends_and_the_middle_of_five(tmp_path) -> None:
    paths = [save(tmp_path / f"{ev}.png", exposure(ev)) for ev in (-3, -2, 0, 1, 3)]
    exposures = read_bracket(paths, evs=(-3, -2, 0, 1, 3)).read(takes=3)
    assert exposures.names == ("-3.png", "0.png", "3.png")
    assert exposures.evs == (-1.5, 1.5, 4.5)


def test_two_pictures_do_not_feed_a_method_of_three(tmp_path) -> None:
    paths = [save(tmp_path / f"{ev}.png", exposure(ev)) for ev in (-3, 3)]
    with pytest.raises(UsageError, match="fuses 3 exposures, and there are 2"):
        read_bracket(paths).read(takes=3)


def test_profiles_that_differ_are_told_and_the_reference_has_its_say(tmp_path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    paths = [
        save(tmp_path / f"{ev}.png", exposure(ev), icc=srgb if ev == 0 else None)
        for ev in (-2, 0, 2)
    ]
    bracket = read_bracket(paths)
    assert bracket.read().icc == srgb
    assert any("profiles differ" in remark for remark in bracket.remarks)


def test_the_phone_bracket_is_ordered_by_brightness(shared) -> None:
    paths = [shared(f"scenes/meflut_1/{number}.jpg") for number in range(4)]
    exposures = read_bracket(paths).read(takes=3)
    assert exposures.names == ("3.jpg", "2.jpg", "0.jpg")
