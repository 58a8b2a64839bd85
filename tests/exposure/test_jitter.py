"""Drawn cameras follow their distribution, and depend on seed and scene alone."""

from __future__ import annotations

import numpy as np
import pytest

from dmef_bench.exposure.jitter import SIGMA, STEEPNESS, drawn_response

MANY = [drawn_response(0, f"scene-{number:04d}") for number in range(2000)]


def test_constants_lie_within_their_bounds_and_reach_them() -> None:
    for drawn, values in ((STEEPNESS, [c.n for c in MANY]), (SIGMA, [c.sigma for c in MANY])):
        assert drawn.lowest <= min(values) <= max(values) <= drawn.highest
        # σ is cut at two deviations: 2.3 % of the draws lie on each bound; n at 2.5.
        assert min(values) == drawn.lowest
        assert max(values) == drawn.highest


def test_constants_are_normal_around_their_means() -> None:
    for drawn, values in ((STEEPNESS, [c.n for c in MANY]), (SIGMA, [c.sigma for c in MANY])):
        # Four standard errors of 2000 draws: 4 · 0.1 / √2000.
        assert np.mean(values) == pytest.approx(drawn.mean, abs=0.009)
        assert np.std(values) == pytest.approx(drawn.deviation, abs=0.01)


def test_a_scene_keeps_its_camera_and_shares_it_with_none() -> None:
    assert drawn_response(0, "scene-0007") == MANY[7]
    assert drawn_response(1, "scene-0007") != MANY[7]
    assert len({(camera.n, camera.sigma) for camera in MANY}) > 1900
