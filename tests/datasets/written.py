"""Public sets at small size in their real formats, of known radiance: truth is a formula."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import tifffile

HEIGHT, WIDTH = 24, 32
EVS = (0.0, 2.0, 4.0)


def radiance(seed: int = 0) -> np.ndarray:
    """Smooth linear light in [0, 1], RGB; dark enough that the brightest exposure keeps some."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / max(HEIGHT, WIDTH)
    phase = 0.3 * seed
    channels = [0.02 + 0.9 * (0.5 + 0.5 * np.sin(3 * x + 2 * y + k + phase)) ** 3 for k in range(3)]
    return np.stack(channels, -1).astype(np.float32)


def exposed(light: np.ndarray, ev: float, bits: int = 16) -> np.ndarray:
    """A camera of gamma 2.2: what an exposure of so many stops stores."""
    full = 2**bits - 1
    codes = np.floor(np.clip(light * 2.0**ev, 0, 1) ** (1 / 2.2) * full + 0.5)
    return codes.astype(np.uint16 if bits == 16 else np.uint8)


def write_hdr(path: Path, light: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), light[..., ::-1])


def write_tif(path: Path, codes: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, codes, photometric="rgb")


def write_evs(path: Path, evs=EVS, end: str = "\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{ev}{end}" for ev in evs).encode())


def authors_scene(folder: Path, seed: int = 0, evs=EVS) -> None:
    light = radiance(seed)
    for index, ev in enumerate(sorted(evs)):
        write_tif(folder / f"262A{2615 + index}.tif", exposed(light, ev - min(evs)))
    write_evs(folder / "exposure.txt", sorted(evs))
    write_hdr(folder / "HDRImg.hdr", light)


def kalantari(root: Path) -> Path:
    for seed in range(3):
        authors_scene(root / "Training" / f"{seed + 1:03}", seed)
    authors_scene(root / "Test" / "PAPER" / "BarbequeDay", 5)
    authors_scene(root / "Test" / "EXTRA" / "001", 6)
    return root


def repackaged(root: Path) -> Path:
    for split, seed in (("train", 0), ("test", 5)):
        scene, light = root / split / "ManStanding", radiance(seed)
        for index, ev in enumerate(EVS, 1):
            write_tif(scene / f"input_{index}_aligned.tif", exposed(light, ev))
            write_tif(scene / f"ref_{index}_aligned.tif", exposed(light, ev))
        write_evs(scene / "input_exp.txt", end="\r\n")
        write_evs(scene / "ref_exp.txt")
        write_hdr(scene / "ref_hdr_aligned.hdr", light)
    return root


def sig17(root: Path) -> Path:
    for split, seed in (("train", 0), ("val", 5)):
        scene, light = root / "SIG17" / split / "007", radiance(seed)
        for level, ev in zip(("le", "me", "he"), EVS, strict=True):
            write_tif(scene / "dynamic" / f"{level}.tif", exposed(light, ev))
            write_tif(scene / "static" / f"{level}.tif", exposed(light, ev))
        write_evs(scene / "input_exp.txt")
        write_hdr(scene / "hdr_gt.hdr", light)
    return root


def tel(root: Path) -> Path:
    for split, seed in (("Training", 0), ("Test", 5)):
        scene, light = root / split / "scene_1", radiance(seed)
        for index, ev in enumerate(EVS, 1):
            write_tif(scene / f"input_{index}.TIF", exposed(light, ev))
        write_evs(scene / "exposure.txt")
        write_hdr(scene / "HDRImg.hdr", light)
    return root


def hu(root: Path) -> Path:
    scene, light = root / "012", radiance(5)
    for index, ev in enumerate(EVS):
        write_tif(scene / f"input_{index}_aligned.tif", exposed(light, ev))
        write_tif(scene / f"ref_{index}_aligned.tif", exposed(light, ev))
    write_evs(scene / "input_exp.txt")
    write_evs(scene / "ref_exp.txt")
    write_hdr(scene / "ref_hdr_aligned_linear.hdr", light)
    return root


def challenge123(root: Path) -> Path:
    for split, seed in (("Training", 0), ("Test", 5)):
        for moment in (1, 2, 3):
            scene = root / split / f"044_{moment}"
            # Something moves: each moment has a light of its own.
            light = radiance(seed) if moment == 2 else np.roll(radiance(seed), moment, axis=1)
            for index, ev in enumerate(EVS, 1):
                write_tif(scene / f"ldr_img_{index}.tif", exposed(light, ev))
            write_evs(scene / "exposure.txt")
            write_hdr(scene / "hdr_img.hdr", light)
    return root


def ntire(root: Path) -> Path:
    scene, light = root / "000007", radiance(5)
    scene.mkdir(parents=True)
    for index, ev in enumerate((-3.0, -1.0, 1.0)):
        codes = exposed(light, ev + 3, bits=8)
        assert cv2.imwrite(str(scene / f"{index}.png"), codes[..., ::-1])
    # Stored like the frames, on the medium's scale, two stops above the darkest exposure's.
    truth = np.floor((light * 4) ** (1 / 2.24) * 6000 + 0.5).astype(np.uint16)
    assert cv2.imwrite(str(scene / "gt.png"), truth[..., ::-1])
    np.save(scene / "exposures.npy", np.array([-3.0, -1.0, 1.0]))
    np.save(scene / "alignratio.npy", np.float64(6000.0))
    return root


def mobile_hdr(root: Path) -> Path:
    for split, name, with_truth in (
        ("training_npz", "dynamic/a", True),
        ("test_npz", "test_withGT/b", True),
        ("test_npz", "test_withoutGT/c", False),
    ):
        path = root / "NPZ_data" / split / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        light = radiance(5)
        # Red is half as sensitive and blue a third: what white balance must undo.
        planes = np.stack([light[..., 2] / 3, light[..., 1], light[..., 1], light[..., 0] / 2])
        arrays = {}
        for key, ratio in (("sht", 2.0), ("mid", 8.0), ("lng", 32.0)):
            direct = np.clip(planes * ratio / 2, 0, 1)
            arrays[key] = np.concatenate([direct, direct / ratio])
        if with_truth:
            arrays["hdr"] = planes / 2
        np.savez(path, **arrays)
    return root


ALL = {
    "kalantari": kalantari,
    "tel": tel,
    "hu": hu,
    "challenge123": challenge123,
    "ntire": ntire,
    "mobile-hdr": mobile_hdr,
}
