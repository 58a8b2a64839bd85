"""Dimensional attention: three forms of one computation, and bricks that know nothing of others."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from dmef_bench.errors import UsageError
from ipl import daem
from ipl.daem import AXES, DAEM, LocalFeatureExtractor

DIMS = ["".join(dims) for n in range(4) for dims in itertools.combinations("CWH", n)]
CHUNKS, HIDDEN = (16, 8, 4), (8, 3, 5)
"""Three different sizes, so that no axis can stand in for another."""


def module(**options: object) -> DAEM:
    torch.manual_seed(11)
    return DAEM(CHUNKS, HIDDEN, **options).requires_grad_(False)


def features(count: int = 1, channels: int = 32, height: int = 12, width: int = 24) -> Tensor:
    return torch.randn(count, channels, height, width, generator=torch.Generator().manual_seed(4))


def written_out(attention: DAEM, x: Tensor, dim: str) -> Tensor:
    """Weights of one dimension by Eqs. 1 and 2, element by element as matrices."""
    extractor = attention.extractors[dim]
    inner, outer = extractor.squeeze, extractor.excite
    turned = x.movedim(AXES[dim], -1).unflatten(-1, (-1, extractor.length))
    hidden = torch.relu(turned @ inner.weight[:, :, 0, 0].T + inner.bias)
    weights = torch.sigmoid(hidden @ outer.weight[:, :, 0, 0].T + outer.bias)
    return weights.flatten(-2).movedim(-1, AXES[dim])


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("lfe", ["input", "eq3", "hybrid"])
@pytest.mark.parametrize("dims", DIMS)
@pytest.mark.parametrize("shift", [False, True])
def test_three_forms_are_one_computation(dims: str, lfe: str, count: int, shift: bool) -> None:
    attention, x = module(dims=dims, lfe=lfe, shift=shift), features(count)
    by_the_paper = attention(x, "loop")
    assert by_the_paper.shape == x.shape
    # Sums of up to three products near 1, added in another order.
    assert torch.allclose(attention(x, "batched"), by_the_paper, rtol=0, atol=1e-5)
    assert torch.allclose(attention(x.clone(), "banded"), by_the_paper, rtol=0, atol=1e-5)


@pytest.mark.parametrize("slab", [1, 700, 4000, 10**6])
def test_the_size_of_a_slab_changes_nothing(slab: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daem, "SLAB_FEATURES", slab)
    for lfe in ("input", "hybrid"):
        attention, x = module(lfe=lfe), features(2, height=20, width=40)
        assert torch.allclose(attention(x.clone(), "banded"), attention(x), rtol=0, atol=1e-5)


def test_banded_works_in_place() -> None:
    x = features()
    assert module()(x, "banded").data_ptr() == x.data_ptr()
    assert not torch.equal(x, features())


def test_other_forms_leave_their_input_alone() -> None:
    x = features()
    for form in ("loop", "batched"):
        module(lfe="hybrid")(x, form)
    assert torch.equal(x, features())


@pytest.mark.parametrize("form", ["loop", "batched", "banded"])
def test_input_mode_is_one_product_with_the_sum_of_weights(form: str) -> None:
    attention, x = module(), features()
    weights = sum(written_out(attention, x, dim) for dim in "CWH")
    assert torch.allclose(attention(x.clone(), form), x * weights, rtol=0, atol=1e-6)


@pytest.mark.parametrize("form", ["loop", "batched", "banded"])
def test_eq3_weighs_the_mean_over_the_chunks_two_other_axes(form: str) -> None:
    for dim, others in {"C": (2, 3), "W": (1, 2), "H": (1, 3)}.items():
        attention, x = module(dims=dim, lfe="eq3"), features(2)
        expected = x.mean(others, keepdim=True) * written_out(attention, x, dim)
        assert torch.allclose(attention(x.clone(), form), expected, rtol=0, atol=1e-6)


def test_the_mean_is_taken_image_by_image() -> None:
    attention, x = module(lfe="eq3"), features(2)
    assert torch.allclose(attention(x)[:1], attention(x[:1]), rtol=0, atol=1e-6)


def test_hybrid_is_the_sum_of_the_two_others() -> None:
    x = features()
    # The seed gives all three the same weights.
    both = module(lfe="input")(x) + module(lfe="eq3")(x)
    assert torch.allclose(module(lfe="hybrid")(x), both, rtol=0, atol=1e-5)


def test_no_dimension_leaves_features_as_they_are() -> None:
    x = features()
    assert module(dims="")(x) is x


@pytest.mark.parametrize("form", ["batched", "banded"])
def test_a_changed_feature_stays_in_its_brick(form: str) -> None:
    torch.manual_seed(9)
    blocks = [DAEM((64, 16, 16), (32, 8, 8)).requires_grad_(False).double() for _ in range(3)]
    # In float32 the faintest changes, of third order, would be rounded away.
    x = features(channels=192, height=48, width=32).double()
    changed = x.clone()
    changed[0, 70, 20, 15] += 1.0
    for block in blocks:
        x, changed = block(x.clone(), form), block(changed.clone(), form)
    differs = (x != changed)[0]
    # Channels 64-127, rows 16-31, columns 0-15, and every feature of them.
    assert differs[64:128, 16:32, :16].all()
    assert differs.sum() == 64 * 16 * 16


def test_a_moved_grid_has_its_bricks_between_the_others() -> None:
    attention, x = module(dims="WH", shift=True), features()
    changed = x.clone()
    # Chunks of 8 columns and 4 rows, moved by 4 and 2: columns 4-11 and rows 2-5 belong together.
    changed[0, 3, 4, 6] += 1.0
    rows, columns = torch.nonzero((attention(x) != attention(changed))[0, 3], as_tuple=True)
    assert set(rows.tolist()) == {2, 3, 4, 5}
    assert set(columns.tolist()) == set(range(4, 12))


def test_one_set_of_weights_serves_all_chunks() -> None:
    attention, x = module(), features(channels=16, height=4, width=8)
    tiled = x.repeat(1, 2, 3, 2)
    assert torch.allclose(attention(tiled), attention(x).repeat(1, 2, 3, 2), rtol=0, atol=1e-6)


def test_weights_lie_between_zero_and_one() -> None:
    gates = module().gates(10 * features())
    assert list(gates) == ["C", "W", "H"]
    assert all(gate.shape == features().shape for gate in gates.values())
    assert all(gate.min() >= 0 and gate.max() <= 1 for gate in gates.values())


def test_an_extractor_has_two_layers_of_weights() -> None:
    count = sum(p.numel() for p in LocalFeatureExtractor(64, 32).parameters())
    assert count == 64 * 32 + 32 + 32 * 64 + 64 == 4192


@pytest.mark.parametrize("lfe", ["input", "eq3", "hybrid"])
def test_gradients_of_the_batched_form_are_those_of_the_loop(lfe: str) -> None:
    gradients = {}
    for form in ("loop", "batched"):
        attention, x = module(lfe=lfe).requires_grad_(True), features(2).requires_grad_(True)
        attention(x, form).square().mean().backward()
        gradients[form] = [x.grad, *(p.grad for p in attention.parameters())]
    for ours, theirs in zip(*gradients.values(), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4 * float(theirs.abs().max()))


@pytest.mark.parametrize(
    ("size", "message"),
    [((30, 12, 24), "30 along C"), ((32, 13, 24), "13 along H"), ((32, 12, 20), "20 along W")],
)
def test_features_that_chunks_do_not_fill_are_refused(size: tuple, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        module()(torch.zeros(1, *size))
