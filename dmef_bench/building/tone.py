"""HLG and PQ video as an 8-bit display shows it: documented transfer functions, one fixed white."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dmef_bench.building.clip import SmallFrame, VideoInfo
from dmef_bench.building.colour import FrameU8
from dmef_bench.building.primaries import CHROMATICITIES, codes_of, to_bt709, xyz_matrix
from dmef_bench.building.video import VideoReader
from dmef_bench.errors import VideoError

Light = npt.NDArray[np.float64]
"""Light that a display emits, 1 being `DIFFUSE_WHITE` cd/m²; linear."""
Signal = npt.NDArray[np.uint16]
"""(H, W, 3), RGB as coded; 65535 is a signal of 1."""

DIFFUSE_WHITE = 203.0
"""cd/m² of a white sheet of paper: Report ITU-R BT.2408, table 1."""
HLG_PEAK = 1000.0
"""cd/m² of the display for which HLG has its nominal gamma 1.2: Rec. ITU-R BT.2100, table 5."""
WHITE_PERCENTILE = 99.5
"""Luminance of the reference that becomes white."""

_STRIP_ROWS = 64
_HLG_A = 0.17883277
_HLG_B = 1 - 4 * _HLG_A
_HLG_C = 0.5 - _HLG_A * np.log(4 * _HLG_A)
_M1, _M2 = 2610 / 16384, 2523 / 32
_C1, _C2, _C3 = 3424 / 4096, 2413 / 128, 2392 / 128


def hlg_scene_light(signal: npt.ArrayLike) -> Light:
    """Inverse OETF of HLG: E = E'²/3 up to E' = ½, else (exp((E' − c)/a) + b)/12.

    Rec. ITU-R BT.2100, table 5. Scene light in [0, 1], before the display's own gamma.

    Examples
    --------
    >>> np.round(hlg_scene_light([0, 0.5, 0.75, 1]), 4).tolist()
    [0.0, 0.0833, 0.265, 1.0]
    """
    v = np.asarray(signal, np.float64)
    return np.where(v <= 0.5, v**2 / 3, (np.exp((v - _HLG_C) / _HLG_A) + _HLG_B) / 12)


def hlg_light(scene: Light, luminance: npt.NDArray[np.float64]) -> Light:
    """OOTF of HLG: every channel times Y^0.2, on a display of `HLG_PEAK`.

    Parameters
    ----------
    scene : ndarray, shape (..., 3)
        Scene light in [0, 1].
    luminance : ndarray, shape (3,)
        Weights of Y in the signal's primaries.

    Examples
    --------
    The signal 0.75 of HLG's reference white is paper:

    >>> grey = np.full(3, hlg_scene_light(0.75))
    >>> np.round(hlg_light(grey, np.array([0.2627, 0.678, 0.0593])), 2).tolist()
    [1.0, 1.0, 1.0]
    """
    return scene * (scene @ luminance)[..., None] ** 0.2 * (HLG_PEAK / DIFFUSE_WHITE)


def pq_light(signal: npt.ArrayLike) -> Light:
    """EOTF of PQ: 10000 (max(E'^(1/m₂) − c₁, 0) / (c₂ − c₃ E'^(1/m₂)))^(1/m₁) cd/m².

    Rec. ITU-R BT.2100, table 4.

    Examples
    --------
    The signal 0.58 of PQ's reference white is paper, 1 is 10000 cd/m²:

    >>> np.round(pq_light([0, 0.58, 1]), 1).tolist()
    [0.0, 1.0, 49.3]
    """
    p = np.asarray(signal, np.float64) ** (1 / _M2)
    return (np.maximum(p - _C1, 0) / (_C2 - _C3 * p)) ** (1 / _M1) * (10000 / DIFFUSE_WHITE)


class ToneCurve:
    """How one clip's HDR signal becomes 8-bit sRGB.

    Parameters
    ----------
    transfer : {"hlg", "pq"}
        Of the signal.
    primaries : str
        A key of `CHROMATICITIES`.
    """

    def __init__(self, transfer: str, primaries: str) -> None:
        self._is_hlg = transfer == "hlg"
        codes = np.arange(65536) / 65535
        self._light = hlg_scene_light(codes) if self._is_hlg else pq_light(codes)
        self._luminance = xyz_matrix(primaries)[1]
        self._matrix = to_bt709(primaries).T
        self._luminance_709 = xyz_matrix("bt709")[1]

    def white(self, signal: Signal) -> float:
        """Luminance of a picture's `WHITE_PERCENTILE`, 1 being paper; above 0."""
        strips = [light @ self._luminance_709 for light in self._strips(signal)]
        return max(float(np.percentile(np.concatenate(strips), WHITE_PERCENTILE)), 1e-3)

    def mapped(self, signal: Signal, white: float) -> FrameU8:
        """The picture with ``white`` as its white.

        Luminance goes through the extended curve of Reinhard et al., "Photographic tone
        reproduction for digital images", SIGGRAPH 2002, eq. 4: L (1 + L / white²) / (1 + L);
        the channels follow in proportion. What exceeds white clips.
        """
        frame = np.empty(signal.shape, np.uint8)
        top = 0
        for light in self._strips(signal):
            luminance = (light @ self._luminance_709)[..., None]
            frame[top : top + len(light)] = codes_of(
                light * (1 + luminance / white**2) / (1 + luminance)
            )
            top += len(light)
        return frame

    def _strips(self, signal: Signal) -> Iterator[Light]:
        """Light in BT.709 primaries, a few rows at a time: float64 of a 4K picture is 200 MB."""
        for top in range(0, len(signal), _STRIP_ROWS):
            light = self._light[signal[top : top + _STRIP_ROWS]]
            if self._is_hlg:
                light = hlg_light(light, self._luminance)
            yield np.maximum(light @ self._matrix, 0)


class ToneMapped:
    """An HDR video as a `Clip` of 8-bit frames.

    Parameters
    ----------
    reader : VideoReader
        Opened with ``allow_hdr``.

    Raises
    ------
    VideoError
        Neither HLG nor PQ, or primaries that are not known.
    """

    def __init__(self, reader: VideoReader) -> None:
        self.path: Path = reader.path
        self._white: float | None = None
        self._reader = reader
        info = reader.info
        transfer, primaries = info.colour.transfer, info.colour.primaries
        if transfer not in ("hlg", "pq") or primaries not in CHROMATICITIES:
            raise VideoError(
                f"{self.path.name}: {info.hdr} with transfer {transfer} and primaries "
                f"{primaries}; only HLG and PQ in named primaries can be tone-mapped. "
                "Convert it to SDR first."
            )
        self._curve = ToneCurve(transfer, primaries)

    @property
    def pts(self) -> tuple[int, ...]:
        """As of the video."""
        return self._reader.pts

    @property
    def info(self) -> VideoInfo:
        """As of the video, with what was converted."""
        info = self._reader.info
        return replace(info, colour=replace(info.colour, converted="tone-mapped"))

    def __len__(self) -> int:
        return len(self._reader)

    def time(self, index: int) -> Fraction:
        """As of the video."""
        return self._reader.time(index)

    def frames(self, indices: Iterable[int]) -> Iterator[FrameU8]:
        """Frames of one scene, all with the white of the middle one."""
        signals: Sequence[Signal] = list(self._reader.signals(indices))
        white = self._white = self._curve.white(signals[len(signals) // 2])
        return (self._curve.mapped(signal, white) for signal in signals)

    def small_frames(self, indices: Iterable[int], long_side: int = 480) -> Iterator[SmallFrame]:
        """Frames for analysis, all with the white of the first: only changes matter there."""
        white: float | None = None
        for small in self._reader.small_frames(indices, long_side, deep=True):
            signal: Signal = small.rgb.astype(np.uint16, copy=False)
            white = self._curve.white(signal) if white is None else white
            yield replace(small, rgb=self._curve.mapped(signal, white))

    def curve_record(self) -> dict[str, Any]:
        """What was done to the frames that `frames` gave last."""
        return {
            "name": "reinhard-extended",
            "white": self._white,
            "diffuse_white_cd_m2": DIFFUSE_WHITE,
        }

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
