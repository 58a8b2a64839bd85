"""Where a number was measured: versions, processor, threads; no names of hosts or people."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cv2
import psutil

from dmef_bench import __version__

_PACKAGES = ("numpy", "opencv-python-headless", "torch", "lpips", "scikit-image", "av")


def describe_environment() -> dict[str, Any]:
    """Versions, processor and memory of this machine, for a record.

    Returns
    -------
    dict
        JSON's types only; no user name, host name or path.
    """
    return {
        "dmef": __version__,
        "git": _git_state(),
        "python": platform.python_version(),
        "platform": f"{platform.system()}-{platform.machine()}",
        "cpu": f"{os.cpu_count()} cores, {_processor()}",
        "ram_bytes": psutil.virtual_memory().total,
        "device": "cpu",
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def describe_device(method: object) -> dict[str, Any]:
    """Where a method computes, and the switches that change its speed, read back from it.

    Parameters
    ----------
    method : object
        Built already, so that what it switched on by itself is seen.

    Returns
    -------
    dict
        ``device``, ``device_memory_bytes``, ``dtype``, ``threads`` and, where torch is loaded,
        its version and flags.
    """
    device = str(getattr(method, "device", "cpu"))
    torch = sys.modules.get("torch")
    facts: dict[str, Any] = {
        "device": _processor() if device.startswith("cpu") else f"{device} of {_processor()}",
        "device_memory_bytes": psutil.virtual_memory().total,
        "dtype": str(getattr(method, "dtype", "float32")),
        "threads": cv2.getNumThreads(),
    }
    if torch is None:
        return facts
    facts |= {
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "tf32": {
            "matmul": torch.backends.cuda.matmul.allow_tf32,
            "conv": torch.backends.cudnn.allow_tf32,
        },
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
    }
    if device.startswith("cuda"):
        card = torch.cuda.get_device_properties(torch.device(device))
        facts |= {
            "device": card.name,
            "device_memory_bytes": card.total_memory,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    return facts


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git_state() -> dict[str, Any] | None:
    """Commit of the clone that dmef runs from; None where it was installed without one."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return None
    try:
        commit = _git(here, "rev-parse", "--short=12", "HEAD")
        dirty = bool(_git(here, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "dirty": dirty}


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout.strip()
