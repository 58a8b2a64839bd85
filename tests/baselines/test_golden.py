"""The recipe behind the goldens makes the numbers that its authors wrote down."""

from __future__ import annotations

import numpy as np
import pytest

from tests.baselines.golden import golden_inputs, golden_tensor


@pytest.mark.parametrize(
    ("key", "shape", "first", "total"),
    [
        ("conv1.weight", (64, 6, 3, 3), (0.0312685, -0.4758278, -0.0647411), -4.26128),
        ("conv1.bias", (64,), (0.1814564, 0.1647549, 0.0574972), 1.85925),
        (
            "layers.0.residual_group.blocks.0.attn.relative_position_bias_table",
            (225, 6),
            (0.4097903, 0.7890481, 0.4703448),
            -4.31468,
        ),
        (
            "channel_layers_lm.0.attn.temperature",
            (4, 1, 1),
            (1.0152378, 2.7997186, 1.2038089),
            6.05267,
        ),
        ("norm.weight", (60,), (1.0067959, 1.1642958, 1.0924609), 59.75194),
    ],
)
def test_the_golden_recipe_makes_the_values_it_is_known_by(key, shape, first, total):
    value = golden_tensor(key, shape)
    assert (value.shape, value.dtype) == (shape, np.float32)
    np.testing.assert_allclose(value.ravel()[:3], first, atol=5e-8)  # as printed
    assert value.sum(dtype=np.float64) == pytest.approx(total, abs=1e-5)


def test_the_golden_exposures_are_the_values_they_are_known_by():
    drawn = golden_inputs(6, 48, 40)
    first = [x.ravel()[:3] for x in drawn]
    printed = [
        (0.9959682, 0.1520719, 0.3994678),
        (0.2941749, 0.8497928, 0.1737925),
        (0.0878324, 0.8838739, 0.8783718),
    ]
    np.testing.assert_allclose(first, printed, atol=5e-8)
    sums = [x.sum(dtype=np.float64) for x in drawn]
    np.testing.assert_allclose(sums, (5707.3756, 5767.5052, 5766.3084), atol=1e-4)
