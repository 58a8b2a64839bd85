"""Response-fill: what the inverse response brings back, what flow finds, what is mended."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from baselines.exposure_pair import Level, at_ev_zero, better, between
from baselines.mertens import Mertens
from baselines.reference import ToneCurve
from baselines.response_estimate import estimate_response
from baselines.response_fill import ResponseFill
from dmef_bench import load_scenes
from dmef_bench.errors import UnavailableError, UsageError
from dmef_bench.exposure.camera_response import Beta, Preferred, Sigmoid
from dmef_bench.exposure.synthesis import expose
from dmef_bench.harness.fit import fuse_at
from dmef_bench.metrics import psnr
from dmef_bench.scene import ExposureStack, to_uint8

PHOTO = data.astronaut()
EVS = (-1.0, 1.0, 3.0)


def stack_of(low, medium, high, crf=None, evs=EVS):
    frames = zip((low, medium, high), evs, strict=True)
    return ExposureStack(tuple(expose(frame, ev, crf or Sigmoid()) for frame, ev in frames), evs)


def shifted(image, across, down):
    """The frame a camera sees that has moved: cut from a larger picture, no border invented."""
    return image[20 + down : 460 + down, 20 + across : 460 + across]


STILL = stack_of(PHOTO, PHOTO, PHOTO)
MOVING = stack_of(shifted(PHOTO, 9, -6), shifted(PHOTO, 0, 0), shifted(PHOTO, -8, 7))


@pytest.mark.parametrize(
    # The exposures are rounded to 8 bits: EV -1 has half the codes for the same highlights, and
    # Preferred crowds its brightest pixels into the last few.
    ("crf", "codes"),
    [(Sigmoid(), 2), (Sigmoid(n=0.6, sigma=0.5), 2), (Beta(), 2), (Preferred(), 4)],
)
def test_what_does_not_move_comes_back_to_a_few_codes(crf, codes) -> None:
    fused = to_uint8(ResponseFill(crf).fuse(stack_of(PHOTO, PHOTO, PHOTO, crf)))
    error = np.abs(fused.astype(int) - PHOTO)
    assert np.percentile(error, 99) <= codes
    assert psnr(fused, PHOTO) > 45


def test_the_reference_alone_decides_where_it_lost_nothing() -> None:
    dark = (PHOTO // 3).astype(np.uint8)
    alone = stack_of(dark, dark, dark)
    noise = np.random.default_rng(0).integers(0, 256, dark.shape, np.uint8)
    spoilt = ExposureStack((noise, alone.encoded[1], noise), EVS)
    method = ResponseFill(Sigmoid())
    assert np.array_equal(method.fuse(alone), method.fuse(spoilt))


def test_what_moved_is_found_by_the_flow() -> None:
    truth = shifted(PHOTO, 0, 0)
    aligned = psnr(ResponseFill(Sigmoid()).fuse(MOVING), truth)
    # The same fill without alignment: the low exposure as it lies.
    low, medium, _ = (ResponseFill(Sigmoid()).fuse(stack_of(f, f, f)) for f in moving_frames())
    lost = MOVING.encoded[1] == 255
    unaligned = psnr(np.where(lost, low, medium), truth)
    assert aligned > unaligned + 5


def moving_frames():
    return shifted(PHOTO, 9, -6), shifted(PHOTO, 0, 0), shifted(PHOTO, -8, 7)


def test_a_thing_that_only_the_donor_shows_is_mended() -> None:
    grey = np.full((256, 256, 3), 230, np.uint8)
    texture = np.random.default_rng(1).normal(0, 6, (256, 256, 1))
    bright = np.clip(grey + cv2.GaussianBlur(texture, (0, 0), 2)[..., None], 0, 255).astype(
        np.uint8
    )
    visited = bright.copy()
    cv2.circle(visited, (128, 128), 30, (20, 20, 60), -1)
    stack = stack_of(visited, bright, bright)
    mended = psnr(ResponseFill(Sigmoid()).fuse(stack), bright)
    believed = psnr(ResponseFill(Sigmoid(), mend=False, still=False).fuse(stack), bright)
    assert mended > believed + 3


def test_the_better_of_two_pictures_brings_its_own_disagreement() -> None:
    truth = np.float32(PHOTO) / 255
    noise = np.random.default_rng(4).normal(0, 0.1, truth.shape).astype(np.float32)
    left, right = truth.copy(), truth.copy()
    left[:, :256] += noise[:, :256]
    right[:, 256:] += noise[:, 256:]
    judged = [(picture, np.abs(picture - truth).max(-1)) for picture in (left, right)]
    light, disagreement = better(*judged)
    # But for the three columns on either side that the window sees across.
    inside = np.r_[0:253, 259:512]
    assert np.array_equal(light[:, inside], truth[:, inside])
    assert np.array_equal(disagreement, np.abs(light - truth).max(-1))


def test_every_channel_has_its_bounds() -> None:
    # To OpenCV a number beside three channels is (number, 0, 0): green and blue were once free.
    picture = np.random.default_rng(2).random((5, 7, 3), np.float32)
    assert np.array_equal(between(picture, 0.25, 0.5), np.clip(picture, 0.25, 0.5))


def test_both_frames_look_alike_to_the_flow_where_both_can_show_the_scene() -> None:
    method = ResponseFill(Sigmoid())
    assert method.camera(STILL) == Sigmoid()
    low, medium = (at_ev_zero(STILL, index, Sigmoid()) for index in (0, 1))
    assert isinstance(low, Level)
    ceiling = min(low.ceiling, medium.ceiling)
    # One code of EV -1 is up to three of the flow's, which spreads what is shown over 0..255.
    difference = cv2.absdiff(low.grey(0.0, ceiling), medium.grey(0.0, ceiling))
    assert np.percentile(difference, 99) <= 3


@pytest.mark.parametrize(("n", "sigma"), [(0.9, 0.6), (0.65, 0.6), (0.5, 0.45), (0.8, 0.7)])
def test_the_response_is_found_from_the_exposures_alone(n, sigma) -> None:
    crf = Sigmoid(n, sigma)
    levels = np.linspace(0.05, 0.6, 50)
    # n and sigma trade against each other; what counts is the curve. A camera that moves sees
    # other things at its borders, here 4 % of the picture, which shifts the histograms a little.
    for frames, codes in (((PHOTO,) * 3, 0.5), (moving_frames(), 3)):
        found = estimate_response(stack_of(*frames, crf=crf)).transform(levels, 2.0)
        np.testing.assert_allclose(found, crf.transform(levels, 2.0), atol=codes / 255)


def test_an_estimate_is_far_better_than_the_wrong_camera() -> None:
    truth = shifted(PHOTO, 0, 0)
    stack = stack_of(*moving_frames(), crf=Sigmoid(n=0.6, sigma=0.5))
    estimated = psnr(ResponseFill().fuse(stack), truth)
    wrong = psnr(ResponseFill(Sigmoid()).fuse(stack), truth)
    assert estimated > wrong + 10


def test_black_pictures_tell_nothing_of_the_camera() -> None:
    black = ExposureStack((np.zeros((32, 32, 3), np.uint8),) * 3, EVS)
    assert estimate_response(black) == Sigmoid()


def test_without_evs_it_is_unavailable_and_says_so() -> None:
    with pytest.raises(UnavailableError, match="EVs"):
        ResponseFill().fuse(ExposureStack(STILL.encoded, None))
    with pytest.raises(UnavailableError, match="EVs"):
        estimate_response(ExposureStack(STILL.encoded, None))


def test_an_unknown_response_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="Sigmoid, Beta"):
        ResponseFill("sigmoid-ish")


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (15, 15), (17, 400)])
def test_the_smallest_pictures_are_fused_too(size) -> None:
    codes = np.random.default_rng(3).integers(0, 256, (3, *size, 3), np.uint8)
    fused = ResponseFill().fuse(ExposureStack(tuple(codes), EVS))
    assert fused.shape == (*size, 3)
    assert np.isfinite(fused).all()


def test_float_pictures_are_fused_as_their_codes_are() -> None:
    method = ResponseFill(Sigmoid())
    floats = ExposureStack.from_images(MOVING.images, MOVING.evs)
    difference = np.abs(method.fuse(floats) - method.fuse(MOVING))
    assert np.percentile(difference, 99.9) <= 1 / 255


def test_a_shrunken_stack_is_filled_where_its_pixels_clip() -> None:
    truth = shifted(PHOTO, 0, 0)
    fused = fuse_at(ResponseFill(Sigmoid()), MOVING, fit="downsample", size=(220, 220))
    assert psnr(fused, truth) > psnr(MOVING.images[1], truth) + 5


def test_it_beats_mertens_and_the_best_tone_curve_on_the_demos_scenes(built) -> None:
    rows = []
    for scene in load_scenes(built, "all"):
        truth, stack = scene.ground_truth, scene.stack
        rows.append(
            [
                psnr(ResponseFill().fuse(stack), truth),
                psnr(ToneCurve().fuse(stack, ground_truth=truth), truth),
                psnr(Mertens().fuse(stack), truth),
            ]
        )
    fill, curve, mertens = np.mean(rows, axis=0)
    assert fill > curve > mertens


def coded_with_loss(stack, quality):
    def through_jpeg(picture):
        _, coded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        return cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1].copy()

    return ExposureStack(tuple(through_jpeg(picture) for picture in stack.encoded), stack.evs)


@pytest.mark.parametrize("quality", [85, 95])
@pytest.mark.parametrize("photo", [data.astronaut, data.coffee])
def test_what_a_jpeg_spreads_over_the_last_codes_is_clipped_all_the_same(photo, quality) -> None:
    # A camera's own JPEG: white is 253 here and 255 there.
    stack = coded_with_loss(stack_of(photo(), photo(), photo()), quality)
    reference = stack.encoded[1]
    level = Level(reference, EVS[1], Sigmoid())
    assert 250 <= level.lowest_white < 255
    near = (reference >= level.lowest_white) & (reference < 255)
    fused = ResponseFill(Sigmoid()).fuse(stack)
    kept = np.where(near, level.light, fused)
    assert psnr(fused, photo()) > psnr(kept, photo()) + 0.3


@pytest.mark.parametrize("crf", [Sigmoid(), Beta(), Preferred(), Sigmoid(n=0.5, sigma=0.4)])
@pytest.mark.parametrize("photo", [data.astronaut, data.coffee, data.rocket])
def test_without_loss_white_is_the_last_code_alone(photo, crf) -> None:
    # Of the reference, which is filled; two stops on, Preferred crowds its codes as JPEG does.
    picture, ev = stack_of(photo(), photo(), photo(), crf).encoded[1], EVS[1]
    level, deep = Level(picture, ev, crf), Level(picture.astype(np.uint16) * 257, ev, crf)
    assert (level.lowest_white, deep.lowest_white) == (255, 65535 - 128)
    assert level.ceiling == deep.ceiling == pytest.approx(float(crf.transform(1.0, 2.0**-ev)))
