"""A folder of pictures is a clip: the same frames, in natural order, upright, or refused."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest
from PIL import Image

from dmef_bench.building.sequence import SequenceReader, pictures_in, sequence_sha256
from dmef_bench.building.sources import find_videos
from dmef_bench.errors import UsageError, VideoError
from dmef_bench.imagefile import write_image

from .clips import subject_moves


def write_pictures(folder, pictures, name="frame-{}.png"):
    folder.mkdir(parents=True)
    for number, picture in enumerate(pictures):
        write_image(folder / name.format(number), picture)
    return folder


@pytest.fixture(scope="module")
def pictures():
    return subject_moves(12, height=108, width=192)


def test_frames_are_the_pictures_in_natural_order(tmp_path, pictures) -> None:
    folder = write_pictures(tmp_path / "dance", pictures)
    assert [path.name for path in pictures_in(folder)][9:] == [
        "frame-9.png", "frame-10.png", "frame-11.png",
    ]  # fmt: skip
    reader = SequenceReader(folder, 25)
    assert len(reader) == 12
    assert reader.time(5) == Fraction(1, 5)
    for frame, picture in zip(reader.frames(range(12)), pictures, strict=True):
        np.testing.assert_array_equal(frame, picture)


def test_small_frames_are_the_pictures_shrunk(tmp_path, pictures) -> None:
    reader = SequenceReader(write_pictures(tmp_path / "dance", pictures), 30)
    (small,) = reader.small_frames([3], long_side=96)
    expected = cv2.resize(pictures[3], (96, 54), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(small.rgb, expected)
    assert small.half_luma.shape == (54, 96)


def test_the_hash_knows_pictures_names_and_order(tmp_path, pictures) -> None:
    one = write_pictures(tmp_path / "one", pictures[:3])
    same = write_pictures(tmp_path / "two", pictures[:3])
    other = write_pictures(tmp_path / "three", pictures[2::-1])
    renamed = write_pictures(tmp_path / "four", pictures[:3], name="picture-{}.png")
    hashes = [sequence_sha256(folder) for folder in (one, same, other, renamed)]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


def test_photographs_stand_upright(tmp_path, pictures) -> None:
    folder = tmp_path / "dance"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    for number in range(3):
        Image.fromarray(pictures[number]).save(folder / f"{number}.JPG", quality=95, exif=exif)
    reader = SequenceReader(folder, 30)
    assert (reader.info.height, reader.info.width) == (192, 108)
    # Lossy: some codes.
    turned = np.rot90(pictures[1], -1).astype(int)
    assert np.abs(next(reader.frames([1])) - turned).mean() < 4


def test_folders_count_as_videos_only_where_a_rate_is_given(tmp_path, pictures) -> None:
    write_pictures(tmp_path / "films" / "dance", pictures)
    write_pictures(tmp_path / "films" / "two", pictures[:2])
    assert find_videos([tmp_path], fps=30) == (tmp_path / "films" / "dance",)
    with pytest.raises(UsageError, match=r"No videos in .*or a folder of images with --fps\."):
        find_videos([tmp_path])


def test_pictures_of_two_sizes_are_no_clip(tmp_path, pictures) -> None:
    folder = write_pictures(tmp_path / "dance", [*pictures[:3], pictures[3][::2]])
    with pytest.raises(VideoError, match=r"dance: frame-3\.png is 192x54, the one before 192x108"):
        SequenceReader(folder, 30)


def test_sixteen_bits_are_refused(tmp_path, pictures) -> None:
    deep = [picture.astype(np.uint16) * 257 for picture in pictures[:3]]
    with pytest.raises(VideoError, match="16 bits a channel"):
        SequenceReader(write_pictures(tmp_path / "dance", deep), 30)


def test_too_few_and_damaged_pictures_are_named(tmp_path, pictures) -> None:
    with pytest.raises(VideoError, match="2 pictures; a folder needs 3"):
        SequenceReader(write_pictures(tmp_path / "two", pictures[:2]), 30)
    folder = write_pictures(tmp_path / "dance", pictures[:4])
    content = bytearray((folder / "frame-1.png").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    (folder / "frame-1.png").write_bytes(content)
    reader = SequenceReader(folder, 30)
    assert [small.index for small in reader.small_frames(range(4))] == [0, 2, 3]
    with pytest.raises(VideoError, match=r"^dance: frame-1\.png"):
        list(reader.frames([0, 1]))
    (folder / "frame-2.png").write_text("no picture")
    with pytest.raises(VideoError, match=r"^dance: frame-2\.png"):
        SequenceReader(folder, 30)
