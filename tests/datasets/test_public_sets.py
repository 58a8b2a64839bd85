"""Every layout is recognised and read right, and what is wrong with a scene is said."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image as PillowImage
from skimage import data

from dmef_bench.cli import main
from dmef_bench.datasets import PUBLIC_SETS, load_scenes, recognise
from dmef_bench.datasets.brackets import Bracket
from dmef_bench.datasets.mobile_hdr import grey_world_gains, read_raw
from dmef_bench.errors import ImageContractError, ImageFileError, ManifestError, UsageError
from dmef_bench.harness.bench import bench
from dmef_bench.harness.plan import Plan
from dmef_bench.metrics import METRICS
from dmef_bench.metrics.tonemap import mu_law, to_display
from dmef_bench.results import Status
from dmef_bench.scene import to_float
from tests.datasets import written

KALANTARI_FORMS = {
    "authors": written.kalantari,
    "repackaged": written.repackaged,
    "sig17": written.sig17,
}


@pytest.mark.parametrize("name", written.ALL)
def test_a_set_is_recognised_by_its_folders(tmp_path, name) -> None:
    assert recognise(written.ALL[name](tmp_path)) == name


@pytest.mark.parametrize("form", KALANTARI_FORMS)
def test_kalantari_is_read_in_each_form(tmp_path, form) -> None:
    root = KALANTARI_FORMS[form](tmp_path)
    assert recognise(root) == "kalantari"
    scenes = load_scenes(root, "test")
    scene = scenes[len(scenes) - 1]
    assert scene.stack.evs == written.EVS
    light = written.radiance(5)
    for picture, ev in zip(scene.stack.encoded, written.EVS, strict=True):
        np.testing.assert_array_equal(picture, written.exposed(light, ev))
    # RGBE keeps eight bits of mantissa, of the largest channel.
    np.testing.assert_allclose(scene.ground_truth, light, atol=light.max() / 128)
    assert len(load_scenes(root, "train")) == (3 if form == "authors" else 1)


@pytest.mark.parametrize("name", ["tel", "hu", "challenge123", "ntire"])
def test_other_brackets_are_read_with_their_truth(tmp_path, name) -> None:
    scene = load_scenes(written.ALL[name](tmp_path), "test")[0]
    assert scene.stack.evs == written.EVS
    light = written.radiance(5)
    bits = 8 if name == "ntire" else 16
    middle = scene.stack.encoded[1]
    np.testing.assert_array_equal(middle, written.exposed(light, 2.0, bits))
    np.testing.assert_allclose(scene.ground_truth, light, atol=light.max() / 128)
    # One scale for all: the darkest exposure, made linear, is the truth where nothing clips.
    dark = to_float(scene.stack.encoded[0])
    if name != "challenge123":  # there the darkest one is another moment
        np.testing.assert_allclose(dark**2.2, scene.ground_truth, atol=light.max() / 100)


def test_challenge123_takes_each_exposure_from_its_own_moment(tmp_path) -> None:
    scene = load_scenes(written.challenge123(tmp_path), "test")[0]
    assert scene.scene_id == "044"
    for index, moment in ((0, 1), (2, 3)):
        light = np.roll(written.radiance(5), moment, axis=1)
        expected = written.exposed(light, written.EVS[index])
        np.testing.assert_array_equal(scene.stack.encoded[index], expected)


def test_mobile_hdr_becomes_rgb_by_the_documented_way(tmp_path) -> None:
    scenes = load_scenes(written.mobile_hdr(tmp_path), "test")
    assert scenes.ids == ("test_withGT-b", "test_withoutGT-c")
    scene = scenes[0]
    assert scenes.facts[0].size == scene.stack.size == (written.HEIGHT, written.WIDTH)
    np.testing.assert_allclose(scene.stack.evs, (0, 2, 4), atol=1e-3)
    raw = read_raw(next(tmp_path.rglob("b.npz")))
    gains = grey_world_gains(raw.planes[1])
    assert gains.min() == 1
    # What the colour filters took is given back, up to the grey of this particular world.
    light = written.radiance(5)
    np.testing.assert_allclose(
        scene.ground_truth, light * gains * np.float32([0.5, 1, 1 / 3]), rtol=1e-3
    )
    dark = to_float(scene.stack.encoded[0]) ** 2.2
    np.testing.assert_allclose(dark, np.clip(scene.ground_truth, 0, 1), atol=2e-3)
    assert scenes[1].ground_truth is None


def test_raw_planes_are_handed_out_untouched(tmp_path) -> None:
    path = next(written.mobile_hdr(tmp_path).rglob("b.npz"))
    raw = read_raw(path)
    with np.load(path) as archive:
        np.testing.assert_array_equal(raw.planes[2], archive["lng"][:4].astype(np.float32))
    assert raw.truth.shape == (4, written.HEIGHT, written.WIDTH)


def scene_folder(root: Path) -> Path:
    return root / "Test" / "EXTRA" / "001"


def read(root: Path):
    return load_scenes(root, "test").read("001")


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        (b"0.0\r\n2.0\r\n4.0\r\n", True),
        (b"0\t\n2\n4\n\n\n", True),
        (b"\xef\xbb\xbf-2\n0\n2\n", True),
        (b"0\n2\n", False),
        (b"0\n1\n2\n3\n4\n", False),
        (b"0\ntwo\n4\n", False),
        (b"0\n2\n2\n", False),
        (b"0\n2\nnan\n", False),
        (b"\xff\xfe\x00", False),
    ],
)
def test_ev_files_are_read_leniently_and_checked(tmp_path, text, fits) -> None:
    root = written.kalantari(tmp_path)
    (scene_folder(root) / "exposure.txt").write_bytes(text)
    if fits:
        assert read(root).stack.evs == written.EVS
        return
    with pytest.raises(ManifestError, match=r"exposure\.txt"):
        read(root)


def test_exposures_mixed_up_are_found_by_their_brightness(tmp_path) -> None:
    root = written.kalantari(tmp_path)
    (scene_folder(root) / "exposure.txt").write_text("4\n2\n0\n")
    with pytest.raises(ImageContractError, match="mixed up"):
        read(root)


def test_a_missing_exposure_is_named_by_its_scene(tmp_path) -> None:
    root = written.kalantari(tmp_path)
    (scene_folder(root) / "262A2616.tif").unlink()
    with pytest.raises(ManifestError, match=r"001: 2 exposures .* three are expected"):
        load_scenes(root, "test")


def test_eight_bits_where_sixteen_are_published_are_refused(tmp_path) -> None:
    root = written.kalantari(tmp_path)
    path = scene_folder(root) / "262A2616.tif"
    written.write_tif(path, written.exposed(written.radiance(6), 2.0, bits=8))
    with pytest.raises(ImageFileError, match=r"262A2616\.tif: 8 bits"):
        read(root)


def test_other_sizes_in_one_scene_are_refused(tmp_path) -> None:
    root = written.kalantari(tmp_path)
    path = scene_folder(root) / "262A2616.tif"
    written.write_tif(path, written.exposed(written.radiance(6), 2.0)[:-1])
    with pytest.raises(ImageContractError, match=r"262A2616\.tif 32x23"):
        read(root)


@pytest.mark.parametrize(
    ("value", "told"), [(np.nan, "1 NaN"), (np.inf, "1 infinite"), (-0.5, "1 negative")]
)
def test_light_that_is_none_is_counted_and_refused(tmp_path, value, told) -> None:
    root = written.tel(tmp_path)
    scene = root / "Test" / "scene_1"
    light = written.radiance(5)
    light[3, 4, 1] = value
    (scene / "HDRImg.hdr").unlink()
    written.write_tif(scene / "HDRImg.tif", light)
    with pytest.raises(ImageFileError, match=told):
        load_scenes(root, "test")[0]


def test_a_truth_of_another_size_is_refused(tmp_path) -> None:
    root = written.kalantari(tmp_path)
    written.write_hdr(scene_folder(root) / "HDRImg.hdr", written.radiance(6)[:, :-2])
    with pytest.raises(ImageContractError, match="30x24; the exposures are 32x24"):
        read(root)


def test_a_pickled_archive_is_not_opened(tmp_path) -> None:
    path = next(written.mobile_hdr(tmp_path).rglob("b.npz"))
    np.savez(path, sht=np.array([{"a": 1}], dtype=object), mid=np.zeros((8, 2, 2)))
    with pytest.raises(ImageFileError, match="no readable NumPy archive"):
        read_raw(path)


def test_other_folders_are_refused_with_what_was_looked_for(tmp_path) -> None:
    (tmp_path / "holiday").mkdir()
    with pytest.raises(ManifestError, match="kalantari, tel"):
        load_scenes(tmp_path, "test")
    with pytest.raises(ManifestError, match=r"does not look like tel\. Expected"):
        load_scenes(tmp_path, "test", dataset="tel")
    with pytest.raises(UsageError, match="dmef reads 4k-dmef, kalantari"):
        load_scenes(tmp_path, "test", dataset="kodak")


def test_fewer_scenes_than_published_are_told(tmp_path, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        load_scenes(written.kalantari(tmp_path), "test")
    assert "2 scenes of kalantari (test), 15 are published" in caplog.text


def test_digests_follow_the_pictures(tmp_path) -> None:
    root = written.kalantari(tmp_path)
    before = load_scenes(root, "test")
    authors = {facts.scene_id: facts.digest for facts in before.facts}
    written.write_tif(
        scene_folder(root) / "262A2616.tif", written.exposed(written.radiance(6), 2.1)
    )
    after = load_scenes(root, "test")
    changed = {facts.scene_id: facts.digest for facts in after.facts}
    assert changed["BarbequeDay"] == authors["BarbequeDay"]
    assert changed["001"] != authors["001"]
    assert after.digest != before.digest


MEDIUM = '''
import numpy as np
class Linearised:
    """The medium exposure brought to EV 0 by the set's own convention."""
    name, paper = "linearised", "none"
    def fuse(self, stack):
        ratio = np.float32(stack.exposure_ratios[1])
        return (stack.images[1] ** np.float32(2.2) / ratio) ** np.float32(1 / 2.2)
'''


@pytest.mark.parametrize("form", ["authors", "repackaged"])
def test_the_bench_gives_the_scores_that_a_formula_predicts(tmp_path, form) -> None:
    root = KALANTARI_FORMS[form](tmp_path / "data")
    method = tmp_path / "medium.py"
    method.write_text(MEDIUM)
    results = bench(
        root, [f"{method}:Linearised", "mertens"], tmp_path / "runs", dataset="kalantari",
        metrics=("psnr-l", "psnr-mu", "ssim-mu", "psnr"), plan=Plan(timing=False),
    )  # fmt: skip
    rows = {result.row: result for result in results}
    # No tone curve leads from a picture to radiance, so that bound is not there.
    assert set(rows) == {"reference", "oracle@native", "Linearised", "mertens"}
    assert {result.status for result in results} == {Status.OK}
    for scene in load_scenes(root, "test"):
        score = next(s for s in rows["Linearised"].scenes if s.scene_id == scene.scene_id)
        # The medium holds light up to a quarter of the scale; above, it says 2^-2.
        kept = np.minimum(to_float(scene.stack.encoded[1]) ** 2.2 / 4, 1)
        for convention, domain in (("psnr/linear", lambda h: h), ("psnr/mu5000", mu_law)):
            error = domain(kept.astype(np.float32)) - domain(np.clip(scene.ground_truth, 0, 1))
            expected = -10 * np.log10(np.mean(error.astype(np.float64) ** 2))
            assert score.scores[convention] == pytest.approx(expected, abs=1e-3)
    oracle = rows["oracle@native"].scenes[0].scores
    # The truth itself, through the display's gamma and back in float32.
    assert oracle["psnr/linear"] > 120


def test_one_folder_of_ones_own_is_enough(tmp_path) -> None:
    photo = data.coffee()[:96, :128]
    for name, with_truth in (("kitchen", True), ("street", False)):
        scene = tmp_path / "mine" / name
        scene.mkdir(parents=True)
        for index, ev in enumerate((-3.0, -1.0, 0.0, 1.0), 1):
            light = (photo / 255) ** 2.2
            codes = written.exposed(light, ev, bits=8)
            assert cv2.imwrite(str(scene / f"shot{index}.png"), codes[..., ::-1])
        if with_truth:
            assert cv2.imwrite(str(scene / "gt.png"), photo[..., ::-1])
    written.write_evs(tmp_path / "mine" / "kitchen" / "exposure.txt", (-3, -1, 0, 1))
    scenes = load_scenes(tmp_path / "mine", "test")
    assert scenes.dataset == "folders"
    assert scenes[0].stack.evs == (0.0, 2.0, 3.0, 4.0)
    # Nobody states the street's: ordered by brightness, no EVs.
    assert scenes[1].stack.evs is None
    means = [picture.mean() for picture in scenes[1].stack.encoded]
    assert means == sorted(means)
    # The middle between 0 and 4 is 2: whose motion is kept.
    assert scenes[0].stack.reference == 1


def test_exif_tells_the_stops_of_ones_own_pictures(tmp_path) -> None:
    scene = tmp_path / "mine" / "window"
    scene.mkdir(parents=True)
    for index, seconds in enumerate((1 / 60, 1 / 15, 1 / 240)):
        codes = written.exposed((data.coffee()[:96, :128] / 255) ** 2.2, np.log2(seconds * 60), 8)
        exif = PillowImage.Exif()
        exif.get_ifd(0x8769).update({0x829A: seconds, 0x8827: 100, 0x829D: 2.0})
        PillowImage.fromarray(codes).save(scene / f"IMG_{index}.jpg", exif=exif, quality=95)
    stack = load_scenes(tmp_path / "mine", "test")[0].stack
    np.testing.assert_allclose(stack.evs, (0, 2, 4), atol=0.01)


def test_scenes_without_truth_are_scored_by_what_needs_none(tmp_path) -> None:
    scene = tmp_path / "mine" / "street"
    scene.mkdir(parents=True)
    for index, ev in enumerate((-3.0, -1.0, 0.0, 1.0), 1):
        codes = written.exposed((data.coffee()[:96, :128] / 255) ** 2.2, ev, bits=8)
        assert cv2.imwrite(str(scene / f"{index}.png"), codes[..., ::-1])
    results = bench(
        tmp_path / "mine", ["mertens", "ahdrnet@checkpoint=random,in_channels=3"],
        tmp_path / "runs", plan=Plan(timing=False),
    )  # fmt: skip
    rows = {result.row: result for result in results}
    assert next(iter(rows)) == "reference"
    assert not any(name.startswith(("oracle", "tone")) for name in rows)
    score = rows["mertens"].scenes[0]
    assert set(score.scores) == {METRICS["mef-ssim"].convention, METRICS["mef-ssimd"].convention}
    assert all(0 < value <= 1 for value in score.scores.values())
    # A network of three exposures gets the darkest, the middle and the brightest of the four.
    assert list(rows.values())[-1].status is Status.OK


def test_the_patches_with_truth_are_one_scale(shared) -> None:
    root = shared("scenes/ntire21_adnet_patches")
    scenes = load_scenes(root, "test")
    assert (scenes.dataset, len(scenes)) == ("ntire", 4)
    for scene in scenes:
        assert scene.stack.evs == (0.0, 2.0, 4.0)
        medium = to_float(scene.stack.encoded[1])
        usable = (medium > 0.1) & (medium < 0.9)
        # The medium is two stops above the darkest exposure, whose saturation is 1.
        ratio = np.median(medium[usable] ** 2.24 / 4 / scene.ground_truth[usable])
        assert 0.9 < ratio < 1.1


def test_a_phone_stack_is_a_scene_of_ones_own(shared) -> None:
    path = shared("scenes/meflut_1").parent
    scene = Bracket("meflut", tuple(sorted((path / "meflut_1").glob("*.jpg"))), lambda: None)
    assert scene.size() == (3000, 4000)


def test_the_command_describes_every_set() -> None:
    told = CliRunner().invoke(main, ["datasets"])
    assert told.exit_code == 0
    for name, kind in PUBLIC_SETS.items():
        assert f"\n{name}\n" in told.output
        assert kind.where in told.output
    one = CliRunner().invoke(main, ["datasets", "tel"])
    assert "kalantari" not in one.output
    wrong = CliRunner().invoke(main, ["datasets", "telly"])
    assert wrong.exit_code == 2
    assert "tel" in wrong.output


def test_a_display_of_clipped_light_is_what_pictures_are_held_against() -> None:
    light = np.float32([[[0.0, 0.25, 4.0]]])
    np.testing.assert_allclose(to_display(light), [[[0, 0.25 ** (1 / 2.2), 1]]], rtol=1e-6)
