"""`dmef fuse`: files in, one picture out, and every mistake told before it costs anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageCms
from skimage import data

from dmef_bench.cli import main
from dmef_bench.errors import ImageContractError, UnavailableError, UsageError
from dmef_bench.exposure.camera_response import Sigmoid
from dmef_bench.exposure.synthesis import expose
from dmef_bench.harness.fuse import How, fuse_files
from dmef_bench.imagefile import read_image, write_image
from dmef_bench.photo.header import read_header
from dmef_bench.photo.saving import saving
from dmef_bench.registry import load_method
from dmef_bench.scene import ExposureStack, to_float, to_uint8

PHOTO = data.coffee()[100:300, 150:400]
EVS = (-1.0, 1.0, 3.0)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

METHODS = '''
"""Small methods for tests."""
import numpy as np

class Average:
    name, paper = "average", "none"

    def fuse(self, stack):
        return np.mean(stack.images, axis=0, dtype=np.float32)

    def fuse_rows(self, rows, sink):
        height = rows.size[0]
        for top in range(0, height, 50):
            bottom = min(top + 50, height)
            sink.write(top, np.mean(rows.read(top, bottom), axis=0, dtype=np.float32))

class Three(Average):
    name = "three"
    exposures = 3

    def fuse(self, stack):
        low, medium, high = stack.images
        return medium.copy()

class NotANumber(Average):
    name = "not-a-number"

    def fuse(self, stack):
        return stack.images[0] * np.float32("nan")

class Greedy(Average):
    name = "greedy"

    def fuse(self, stack):
        raise MemoryError

class Lazy(Average):
    name = "lazy"

    def fuse_rows(self, rows, sink):
        pass
'''


@pytest.fixture
def methods(tmp_path):
    path = tmp_path / "methods.py"
    path.write_text(METHODS)
    return lambda name: f"{path}:{name}"


@pytest.fixture
def bracket(tmp_path):
    """Three PNGs of 8 bits, darkest first."""
    return [png(tmp_path / f"{ev:g}.png", exposure(ev)) for ev in EVS]


def exposure(ev):
    return expose(PHOTO, ev, Sigmoid())


def png(path, picture, **options):
    Image.fromarray(picture).save(path, **options)
    return path


def fuse(method, exposures, out, **options):
    told = []
    path = fuse_files(method, {}, exposures, out, on_fused=told.append, **options)
    assert path == out
    return told[0]


def dmef(*words):
    return CliRunner().invoke(main, ["fuse", *map(str, words)])


@pytest.mark.parametrize("name", ["mertens", "gdc", "response-fill"])
def test_a_file_holds_what_the_method_makes_of_the_stack(tmp_path, bracket, name) -> None:
    fuse(name, bracket[::-1], tmp_path / "out.png", evs=EVS[::-1])
    stack = ExposureStack(tuple(map(exposure, EVS)), EVS)
    expected = to_uint8(load_method(name).fuse(stack))
    assert np.array_equal(read_image(tmp_path / "out.png"), expected)


def test_band_by_band_is_the_full_frame_code_for_code(tmp_path, bracket, methods) -> None:
    one = fuse(methods("Average"), bracket, tmp_path / "a.png", how=How(streaming="yes"))
    other = fuse(methods("Average"), bracket, tmp_path / "b.png", how=How(streaming="no"))
    assert (one.streamed, other.streamed) == (True, False)
    assert np.array_equal(read_image(tmp_path / "a.png"), read_image(tmp_path / "b.png"))


def test_small_pictures_are_fused_in_memory_and_huge_ones_band_by_band(
    tmp_path, bracket, methods, monkeypatch
) -> None:
    from dmef_bench.harness import fuse as module

    assert not fuse(methods("Average"), bracket, tmp_path / "a.png").streamed
    # As if 60 % of free memory were less than these pictures take.
    monkeypatch.setattr(module, "_SHARE_OF_MEMORY", 1e-9)
    assert fuse(methods("Average"), bracket, tmp_path / "b.png").streamed
    # A method without fuse_rows has no choice.
    assert not fuse("mertens", bracket, tmp_path / "c.png").streamed


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_16_bits_stay_16_where_the_format_has_them(tmp_path, methods, suffix) -> None:
    deep = [exposure(ev).astype(np.uint16) * 257 + 5 for ev in EVS]
    for number, picture in enumerate(deep):
        write_image(tmp_path / f"{number}.tif", np.minimum(picture, 65535))
    paths = [tmp_path / f"{number}.tif" for number in range(3)]
    told = fuse(methods("Average"), paths, tmp_path / f"out{suffix}")
    fused = read_image(tmp_path / f"out{suffix}")
    assert told.bits == 8 * fused.itemsize == (8 if suffix == ".jpg" else 16)
    if suffix != ".jpg":
        mean = np.mean([to_float(read_image(path)) for path in paths], axis=0)
        # Half a code of rounding, and float32 holds 65535 with 1/256 of a code to spare.
        assert np.abs(fused - mean * 65535).max() < 0.51


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_picture_stands_upright_and_needs_no_tag(tmp_path, methods, orientation) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    paths = [png(tmp_path / f"{ev:g}.jpg", exposure(ev), exif=exif, quality=95) for ev in EVS]
    seen = [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in paths]
    for out in (tmp_path / "out.png", tmp_path / "out.jpg", tmp_path / "out.tif"):
        fuse(methods("Average"), paths, out, how=How(quality=100))
        fused = read_image(out)
        assert fused.shape == seen[0].shape
        assert Image.open(out).getexif().get(0x0112, 1) == 1
        # OpenCV turns by the tag as well; two JPEG decoders may differ by a code.
        assert np.abs(fused - np.mean(seen, axis=0)).mean() < 1


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_the_profile_is_kept_and_the_place_is_not(tmp_path, methods, suffix) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Camera maker"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 30.0)})
    paths = [png(tmp_path / f"{ev:g}.jpg", exposure(ev), exif=exif, icc_profile=SRGB) for ev in EVS]
    assert b"Camera maker" in paths[0].read_bytes()
    out = tmp_path / f"out{suffix}"
    fuse(methods("Average"), paths, out)
    image = Image.open(out)
    assert image.info["icc_profile"] == SRGB
    assert not image.getexif().get_ifd(0x8825)
    assert b"Camera maker" not in out.read_bytes()
    assert b"Exif" not in out.read_bytes()


def test_times_of_exif_reach_the_method_as_evs(tmp_path) -> None:
    paths = []
    for ev, time_s in ((1, 1 / 30), (-1, 1 / 120), (3, 1 / 7.5)):
        exif = Image.Exif()
        exif.get_ifd(0x8769).update({0x829A: time_s, 0x8827: 100})
        paths.append(png(tmp_path / f"{ev}.jpg", exposure(ev), exif=exif, quality=95))
    told = fuse(None, paths, tmp_path / "out.png")
    assert told.method == "response-fill"
    assert told.evs == pytest.approx(EVS)
    assert told.order == "EXIF"


def test_without_evs_the_default_is_mertens_and_it_says_so(tmp_path, bracket) -> None:
    told = fuse(None, bracket, tmp_path / "out.png")
    assert told.method == "mertens"
    assert any("no method was named: mertens" in remark for remark in told.remarks)


def test_a_method_of_three_gets_three_of_five(tmp_path, methods) -> None:
    paths = [png(tmp_path / f"{ev}.png", exposure(ev)) for ev in (-3, -2, 0, 2, 3)]
    told = fuse(methods("Three"), paths, tmp_path / "out.png")
    assert told.exposures == ("-3.png", told.reference, "3.png")
    assert np.array_equal(read_image(tmp_path / "out.png"), read_image(tmp_path / told.reference))


@pytest.mark.parametrize("fit", ["downsample", "tile"])
def test_a_size_is_handed_to_the_fit(tmp_path, bracket, methods, fit) -> None:
    fuse(
        methods("Average"), bracket, tmp_path / "out.png", how=How(fit=fit, mr="100x80", overlap=8)
    )
    whole = np.mean([to_float(exposure(ev)) for ev in EVS], axis=0)
    error = np.abs(to_float(read_image(tmp_path / "out.png")) - whole).mean()
    # Tiles of a pointwise method are the full frame, but for half a code of rounding; a picture
    # shrunk to 0.4 of its side is not.
    assert (error < 0.5 / 255) == (fit == "tile")


def test_an_exposure_is_never_replaced_not_even_through_a_link(tmp_path, bracket) -> None:
    (tmp_path / "link.png").symlink_to(bracket[1])
    os.link(bracket[2], tmp_path / "hard.png")
    before = [path.read_bytes() for path in bracket]
    for out in (bracket[0], tmp_path / "link.png", tmp_path / "hard.png"):
        with pytest.raises(UsageError, match="is one of the exposures"):
            fuse_files("mertens", {}, bracket, out, overwrite=True)
    assert [path.read_bytes() for path in bracket] == before


def test_what_exists_is_replaced_only_when_asked(tmp_path, bracket) -> None:
    (tmp_path / "out.png").write_bytes(b"dear")
    with pytest.raises(UsageError, match="--overwrite"):
        fuse_files("mertens", {}, bracket, tmp_path / "out.png")
    assert (tmp_path / "out.png").read_bytes() == b"dear"
    fuse_files("mertens", {}, bracket, tmp_path / "out.png", overwrite=True)
    assert read_image(tmp_path / "out.png").shape == PHOTO.shape


@pytest.mark.parametrize(
    ("kind", "streaming", "error", "told"),
    [
        ("NotANumber", "no", ImageContractError, "not-a-number holds NaN"),
        ("Greedy", "no", UnavailableError, "greedy ran out of memory; try"),
        ("Lazy", "yes", ImageContractError, "lazy wrote 0 of 200 rows"),
    ],
)
def test_a_bad_method_leaves_no_file(
    tmp_path, bracket, methods, kind, streaming, error, told
) -> None:
    (tmp_path / "to").mkdir()
    how = How(streaming=streaming)
    with pytest.raises(error, match=told):
        fuse_files(methods(kind), {}, bracket, tmp_path / "to" / "x.png", how=how)
    assert not list((tmp_path / "to").iterdir())


@pytest.mark.parametrize(
    "choices",
    [
        {"fit": "downsample"},
        {"mr": "10x10"},
        {"fit": "tile", "mr": "ten"},
        {"fit": "shrink"},
        {"streaming": "maybe"},
        {"fit": "tile", "mr": "99x99", "streaming": "yes"},
        {"quality": 0},
    ],
)
def test_choices_that_contradict_one_another_are_refused(choices) -> None:
    with pytest.raises(UsageError):
        How(**choices)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["A", "B", "-o", "out.png", "--ev=1"], 2, "one for each of the 2 pictures"),
        (["A", "B", "-o", "out.png", "--ev=low,high"], 2, "--ev=-2,0,2"),
        (["A", "-o", "out.png"], 2, "1 picture given"),
        (["A", "B", "-o", "out.gif"], 2, ".png, .tif or .jpg"),
        (["A", "B", "-o", "gone/out.png"], 2, "make it first"),
        (["A", "GONE", "-o", "out.png"], 4, "cannot be read"),
        (["A", "B", "-o", "out.png", "-m", "mertensen"], 2, "did you mean mertens?"),
        (["A", "B", "-o", "out.png", "-m", "oracle"], 2, "needs the ground truth"),
        (["A", "B", "-o", "out.png", "-m", "ahdrnet@checkpoint=random", "--ev=-1,1"], 2, "fuses 3"),
        (["A", "B", "-o", "out.png", "-m", "response-fill"], 2, "give --ev A,B,C"),
        (["A", "B", "-o", "out.png", "--mr", "9x9"], 2, "--fit and --mr"),
        (["A", "B", "-o", "out.png", "-m", "mertens", "--streaming", "yes"], 2, "no fuse_rows"),
        (["A", "B", "-o", "out.png", "--limit", "3"], 2, "go with --stream"),
        (["EMPTY", "-o", "to"], 2, "holds no bracket"),
        (["A", "B", "-o", "to", "--stream"], 2, "one source"),
        (["GONE", "-o", "to", "--stream"], 2, "no folder"),
        (["A", "-o", "to", "--stream"], 4, "a.png"),
    ],
)
def test_mistakes_are_told_with_their_exit_code(tmp_path, monkeypatch, words, code, told) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    places = {"A": "a.png", "B": "b.png", "GONE": "gone.png", "EMPTY": "empty"}
    png(tmp_path / "a.png", exposure(-1))
    png(tmp_path / "b.png", exposure(1))
    result = dmef(*[places.get(word, word) for word in words])
    assert told in result.output
    assert result.exit_code == code
    assert not (tmp_path / "out.png").exists()
    assert not (tmp_path / "to").exists()


def test_the_command_tells_people_and_programs_the_same(tmp_path, bracket) -> None:
    people = dmef(*bracket, "-o", tmp_path / "a.png", "-m", "mertens", "--device", "cpu")
    assert people.exit_code == 0
    assert "-1.png < 1.png < 3.png" in people.output
    assert "mertens has no choice of device" in people.output
    programs = dmef(*bracket, "-o", tmp_path / "b.tif", "-m", "gdc@window=5", "--json")
    record = json.loads(programs.output)
    assert record["exposures"] == ["-1.png", "1.png", "3.png"]
    assert record["reference"] == "1.png"
    assert record["size"] == "250x200"
    assert record["order"] == "mean brightness"


HUGE = """
import resource, sys
from pathlib import Path
from dmef_bench.harness.fuse import How, fuse_files
# What importing takes is not what pictures take.
import dmef_bench.photo.pixels, tifffile, cv2
folder, method = Path(sys.argv[1]), sys.argv[2]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
names = sorted(path for path in folder.iterdir() if path.suffix in (".tif", ".png"))
fuse_files(method, {}, names, folder / "fused" / sys.argv[3], how=How(streaming="yes"))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("out", ["out.png", "out.tif"])
def test_200_megapixels_are_fused_in_a_fiftieth_of_their_memory(tmp_path, methods, out) -> None:
    height, width = 10_000, 20_000
    ramp = np.linspace(0, 60_000, width).astype(np.uint16)[None, :, None].repeat(3, axis=2)
    makers = {"low.tif": 1, "medium.png": 2, "high.tif": 3}
    for name, level in makers.items():
        bits = 16 if name == "low.tif" else 8
        band = (ramp // 3 * level) if bits == 16 else (ramp // 3 * level >> 8).astype(np.uint8)
        with saving(tmp_path / name, (height, width), bits) as write:
            for _ in range(0, height, 100):
                write(band.repeat(100, axis=0))
    (tmp_path / "fused").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", HUGE, str(tmp_path), methods("Average"), out],
        capture_output=True,
        text=True,
        check=True,
    )
    extra = int(done.stdout) * 1024
    # The three exposures and the result as float32 are 9.6 GB, one picture as stored 600 MB to
    # 1.2 GB. Measured: 54 MB, bands of 8 MB and their copies; the rest is slack.
    assert extra < 9.6e9 / 50
    assert read_header(tmp_path / "fused" / out).size == (height, width)


def test_a_sheet_shows_exposures_motion_and_the_fused_picture(bracket, tmp_path) -> None:
    sheet = tmp_path / "sheet.png"
    words = ["fuse", *map(str, bracket), "-o", str(tmp_path / "out.png"), "-m", "mertens"]
    done = CliRunner().invoke(main, [*words, "--ev", "-1,1,3", "--sheet", str(sheet)])
    assert done.exit_code == 0, done.output
    drawn = read_image(sheet)
    # Two lines of tiles 480 pixels wide: three exposures; what moves, and what became of it.
    assert drawn.shape[1] == 3 * (480 + 8) + 8
    assert drawn.shape[0] == 2 * (480 * PHOTO.shape[0] // PHOTO.shape[1] + 30 + 8) + 8
    brightest = drawn[30:400, 2 * 488 :].reshape(-1, 3)
    assert (brightest == (213, 94, 0)).all(axis=1).mean() > 0.05, "burnt-out pixels are marked"


@pytest.mark.parametrize(
    ("sheet", "message"),
    [("out.png", "names of their own"), ("-1.png", "is one of the exposures"), ("s.gif", ".png")],
)
def test_a_sheet_replaces_nothing(bracket, tmp_path, sheet, message) -> None:
    target = bracket[0] if sheet == "-1.png" else tmp_path / sheet
    with pytest.raises(UsageError, match=message):
        fuse_files("mertens", {}, bracket, tmp_path / "out.png", evs=EVS, sheet=target)
    assert not (tmp_path / "out.png").exists()
