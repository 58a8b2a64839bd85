"""Damaged videos end in a reason, never in a crash, and not in pictures that were never filmed."""

from __future__ import annotations

import pytest

from dmef_bench.building.build import build_dataset
from dmef_bench.building.recipe import Recipe
from dmef_bench.building.verify import verify_dataset
from dmef_bench.building.video import VideoReader
from dmef_bench.errors import VideoError
from dmef_bench.imagefile import pixels_sha256

from .clips import CLOSED_GOP, OPEN_GOP, numbered, subject_moves, write_clip
from .mutations import KINDS, mutated

FASTSTART = {"movflags": "faststart"}
HEVC = {"x265-params": "keyint=10:min-keyint=10:bframes=3:log-level=none"}
# Entropy-coded data has no check sum. A decoder notices damage only where it leads to something
# that cannot be; what it takes for another valid picture is wrong unseen. With H.264 that was 3 %
# of all mutations of these clips, which are as small as clips can be, and none of 40 flipped bits
# in a real one; twice as much is tolerated. HEVC hides far more, and no test can ask it not to.
UNSEEN = 0.06
SAMPLE = range(48)
MANY = pytest.param(range(48, 348), marks=pytest.mark.slow, id="many")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One clip of each container, and one of another codec."""
    folder = tmp_path_factory.mktemp("whole")
    return [
        write_clip(folder / "closed.mp4", numbered(48), codec_options=CLOSED_GOP),
        write_clip(
            folder / "open.mp4", numbered(48), codec_options=OPEN_GOP, container_options=FASTSTART
        ),
        write_clip(folder / "subject.mov", subject_moves(36), codec_options={"g": "12"}),
        write_clip(folder / "closed.mkv", numbered(48), codec_options=CLOSED_GOP),
        write_clip(folder / "closed.avi", numbered(40), codec_options=CLOSED_GOP),
        write_clip(folder / "hevc.mp4", numbered(33), codec="libx265", codec_options=HEVC),
    ]


def pictures_of(path) -> list[str]:
    with VideoReader(path) as reader:
        return [pixels_sha256(frame) for frame in reader.frames(range(len(reader)))]


def sound_pictures(path) -> tuple[int, list[tuple[int, str]]]:
    """How many frames a damaged clip claims, and those it gives out as good, by their number."""
    with VideoReader(path) as reader:
        given = []
        for index in [frame.index for frame in reader.small_frames(range(len(reader)))]:
            try:
                given.append((index, pixels_sha256(reader.frame(index))))
            except VideoError:
                continue
        return len(reader), given


@pytest.mark.parametrize("seeds", [pytest.param(SAMPLE, id="sample"), MANY])
def test_what_is_given_out_as_good_was_filmed(whole, tmp_path, seeds) -> None:
    filmed = {clip: pictures_of(clip) for clip in whole}
    unseen, looked_at = [], 0
    for seed in seeds:
        clip = whole[seed // len(KINDS) % len(whole)]
        kind, content = mutated(clip.read_bytes(), seed)
        path = tmp_path / f"{seed}{clip.suffix}"
        path.write_bytes(content)
        try:
            count, given = sound_pictures(path)
        except VideoError:
            continue
        strange = [index for index, picture in given if picture not in filmed[clip]]
        if kind == "cut":
            # Whatever is missing of the pictures was noticed; the end of a file may hold none.
            assert count == len(filmed[clip]), f"{seed}: {clip.name} {kind}"
        if kind in ("cut", "swap"):
            assert not strange, f"{seed}: {clip.name} {kind}"
        if clip.name != "hevc.mp4":
            looked_at += 1
            unseen += [f"{seed}: {clip.name} {kind}"] if strange else []
    assert len(unseen) <= max(1, UNSEEN * looked_at), unseen


@pytest.mark.parametrize("seeds", [pytest.param(SAMPLE, id="sample"), MANY])
def test_a_folder_of_damaged_videos_is_built_as_far_as_it_goes(whole, tmp_path, seeds) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    for seed in seeds:
        clip = whole[seed // len(KINDS) % len(whole)]
        _, content = mutated(clip.read_bytes(), seed)
        (folder / f"{seed}{clip.suffix}").write_bytes(content)
    report = build_dataset([folder], tmp_path / "out", Recipe(pick="uniform", store="triple"))
    copies = sum("the same bytes" in note for note in report.notes)
    assert len(report.scenes) + len(report.refused) + copies == len(seeds)
    assert report.scenes
    for name, reason in report.refused.items():
        assert reason.startswith(f"{name}: "), reason
        assert "Error" not in reason, f"nobody foresaw: {reason}"
    assert verify_dataset(tmp_path / "out").ok
