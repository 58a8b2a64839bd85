"""dmef: an honest benchmark for ultra-high-definition dynamic multi-exposure fusion.

The names below are handed on from where they live; each is imported when first asked for, so that
``import dmef_bench`` costs numpy and nothing more.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "ExposureStack": "dmef_bench.scene",
    "Scene": "dmef_bench.scene",
    "Triplet": "dmef_bench.scene",
    "Method": "dmef_bench.method",
    "Protocol": "dmef_bench.protocol",
    "available_methods": "dmef_bench.registry",
    "build_dataset": "dmef_bench.building.build",
    "evaluate": "dmef_bench.harness.evaluate",
    "leaderboard_frame": "dmef_bench.leaderboard",
    "load_method": "dmef_bench.registry",
    "load_results": "dmef_bench.leaderboard",
    "load_scenes": "dmef_bench.datasets",
    "lpips": "dmef_bench.metrics.lpips",
    "psnr": "dmef_bench.metrics.psnr",
    "ssim": "dmef_bench.metrics.ssim",
    "synthesize_stack": "dmef_bench.exposure.synthesis",
    "verify_dataset": "dmef_bench.building.verify",
}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'dmef_bench' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
