"""Tiles cover the picture, blend without a trace where they may, and show seams where they must."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import data

from dmef_bench.errors import ImageContractError, UsageError
from dmef_bench.harness.fit import fuse_at
from dmef_bench.harness.tiles import TileMemo, Tiling, fuse_tiles, grid, origins, seam_score
from dmef_bench.scene import ExposureStack, to_float

PHOTO = data.coffee()
STACK = ExposureStack((PHOTO // 3, PHOTO // 2, PHOTO), (-1.0, 1.0, 3.0))
HEIGHT, WIDTH = PHOTO.shape[:2]


class Pointwise:
    """Looks at single pixels only, so tiles must not show."""

    name, paper = "pointwise", "none"
    calls = 0

    def fuse(self, stack):
        self.calls += 1
        return np.sqrt(stack.images[0] * stack.images[2])


class MeanOfTile(Pointwise):
    """Global: every tile comes out in its own grey."""

    name, is_global = "mean", True

    def fuse(self, stack):
        self.calls += 1
        return np.full(stack.images[1].shape, stack.images[1].mean(), np.float32)


class Haloed(Pointwise):
    halo = 40


@given(
    length=st.integers(1, 5000),
    tile=st.integers(2, 700),
    share=st.floats(0, 0.95),
    stride=st.sampled_from([1, 2, 8, 16]),
)
def test_tiles_cover_the_side_and_overlap_enough(length, tile, share, stride) -> None:
    overlap = min(int(share * tile), tile - 1)
    starts = origins(length, tile, overlap, stride)
    if length <= tile:
        assert starts == (0,)
        return
    assert (starts[0], starts[-1]) == (0, length - tile)
    room = tile - overlap
    assert room < stride or all(start % stride == 0 for start in starts[:-1])
    assert all(0 < after - before <= room for before, after in pairwise(starts))


@pytest.mark.parametrize("blend", ["cosine", "linear", "none"])
@pytest.mark.parametrize(
    ("tile", "overlap"), [((128, 128), 32), ((100, 333), 0), ((64, 4000), 63), ((399, 599), 64)]
)
def test_a_pointwise_method_comes_out_unchanged(blend, tile, overlap) -> None:
    whole = Pointwise().fuse(STACK)
    tiled = fuse_tiles(Pointwise(), STACK, Tiling(tile, overlap, blend))
    # Weights sum up to one within float32's rounding.
    np.testing.assert_allclose(tiled, whole, atol=1e-6)


def test_float_stacks_are_cut_like_stored_ones() -> None:
    floats = ExposureStack.from_images([to_float(codes) for codes in STACK.encoded], STACK.evs)
    tiling = Tiling((150, 150), 32)
    np.testing.assert_array_equal(
        fuse_tiles(Pointwise(), floats, tiling), fuse_tiles(Pointwise(), STACK, tiling)
    )


def test_blending_takes_the_steps_out_of_a_global_method() -> None:
    def step(blend, overlap):
        fused = fuse_tiles(MeanOfTile(), STACK, Tiling((200, 200), overlap, blend))
        return np.abs(np.diff(fused[..., 0], axis=1)).max()

    assert step("none", 0) > 0.05
    assert step("linear", 64) < step("none", 0) / 20
    assert step("cosine", 64) < step("none", 0) / 20


def test_the_later_tile_wins_without_blending() -> None:
    fused = fuse_tiles(MeanOfTile(), STACK, Tiling((HEIGHT, 400), 100, "none"))
    right = to_float(STACK.encoded[1])[:, 200:].mean(dtype=np.float32)
    np.testing.assert_allclose(fused[:, 200:], right, rtol=1e-5)


def test_a_halo_raises_the_overlap() -> None:
    assert grid((HEIGHT, WIDTH), Tiling((100, 100), 0), Pointwise()) != grid(
        (HEIGHT, WIDTH), Tiling((100, 100), 0), Haloed()
    )
    with pytest.raises(UsageError, match="halo of 40 px"):
        grid((HEIGHT, WIDTH), Tiling((40, 40), 0), Haloed())


def test_a_picture_smaller_than_a_tile_is_one_tile() -> None:
    method = Pointwise()
    np.testing.assert_array_equal(
        fuse_at(method, STACK, fit="tile", size=(4000, 4000)), Pointwise().fuse(STACK)
    )
    assert method.calls == 1


def test_the_memo_changes_the_work_and_not_the_picture() -> None:
    flat = np.full((256, 256, 3), 90, np.uint8)
    flat[:64, :64] = PHOTO[:64, :64]
    stack = ExposureStack((flat, flat, flat), (-1.0, 1.0, 3.0))
    tiling = Tiling((64, 64), 0, "none")
    method, memo = MeanOfTile(), TileMemo()
    remembered = fuse_tiles(method, stack, tiling, memo)
    np.testing.assert_array_equal(remembered, fuse_tiles(MeanOfTile(), stack, tiling))
    assert (method.calls, memo.misses, memo.hits) == (2, 2, 14)
    assert memo.bytes == 2 * 64 * 64 * 3 * 4


def test_seams_are_seen_where_tiles_disagree_and_not_where_they_agree() -> None:
    tiling = Tiling((100, 100), 0, "none")
    blocks = fuse_tiles(MeanOfTile(), STACK, tiling)
    black = np.zeros_like(blocks)
    # Flat tiles bend nowhere but at their seams: there is nothing to compare with.
    assert seam_score(blocks, black, tiling, MeanOfTile()) is None
    noise = np.random.default_rng(0).normal(0, 0.01, blocks.shape).astype(np.float32)
    assert seam_score(blocks + noise, black, tiling, MeanOfTile()) > 2
    blended = Tiling((100, 100), 32, "cosine")
    soft = fuse_tiles(MeanOfTile(), STACK, blended)
    assert seam_score(soft + noise, black, blended, MeanOfTile()) == pytest.approx(1, abs=0.05)
    # A pointwise method has no seams: its error bends as it does anywhere in this picture.
    whole = fuse_tiles(Pointwise(), STACK, tiling)
    truth = to_float(PHOTO)
    assert seam_score(whole, truth, tiling, Pointwise()) == pytest.approx(1, abs=0.15)
    assert seam_score(whole, truth, Tiling((HEIGHT, WIDTH)), Pointwise()) is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"overlap": 128}, "larger tiles"),
        ({"overlap": -1}, "larger tiles"),
        ({"blend": "hanning"}, "cosine, linear, none"),
    ],
)
def test_impossible_tilings_are_refused(change, told) -> None:
    with pytest.raises(UsageError, match=told):
        Tiling(**{"tile": (128, 128), **change})


def test_a_tile_that_is_no_picture_is_refused() -> None:
    class Wrong(Pointwise):
        def fuse(self, stack):
            return stack.images[0][1:]

    with pytest.raises(ImageContractError, match="the tile fused by pointwise"):
        fuse_tiles(Wrong(), STACK, Tiling((128, 128), 16))
