"""From the primaries of a recording to those of BT.709, which sRGB shares."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dmef_bench.building.colour import FrameU8

Matrix = npt.NDArray[np.float64]
"""(3, 3): linear RGB to linear RGB."""

_D65 = (0.3127, 0.3290)
# x, y of red, green and blue: Rec. ITU-T H.273, table 2. Those with another white than D65
# (bt470m, film, smpte431) would need chromatic adaptation and are left as they are.
CHROMATICITIES = {
    "bt709": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    "bt470bg": ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060)),
    "smpte170m": ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    "smpte240m": ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    "bt2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    "smpte432": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    "ebu3213": ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077)),
}
"""Primaries that can be converted, by their names in `Colour.primaries`."""

_STRIP_ROWS = 128


def xyz_matrix(primaries: str) -> Matrix:
    """Linear RGB to CIE XYZ with Y = 1 for white (SMPTE RP 177).

    Parameters
    ----------
    primaries : str
        A key of `CHROMATICITIES`.

    Examples
    --------
    The middle row is the luminance of BT.709:

    >>> np.round(xyz_matrix("bt709")[1], 4).tolist()
    [0.2126, 0.7152, 0.0722]
    """
    columns = np.array([_xyz(*xy) for xy in CHROMATICITIES[primaries]]).T
    return (columns * np.linalg.solve(columns, _xyz(*_D65))).astype(np.float64)


def _xyz(x: float, y: float) -> npt.NDArray[np.float64]:
    return np.array([x / y, 1.0, (1 - x - y) / y])


def to_bt709(primaries: str) -> Matrix:
    """Linear RGB of some primaries to linear RGB of BT.709.

    Parameters
    ----------
    primaries : str
        A key of `CHROMATICITIES`.

    Returns
    -------
    ndarray, shape (3, 3), float64
        Rows sum to 1: white stays white. Colours outside BT.709 become negative.

    Examples
    --------
    >>> np.round(to_bt709("bt2020"), 4).tolist()
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
    """
    return np.linalg.solve(xyz_matrix("bt709"), xyz_matrix(primaries)).astype(np.float64)


def srgb_light(encoded: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Linear light in [0, 1] of sRGB values in [0, 1] (IEC 61966-2-1)."""
    v = np.asarray(encoded, np.float64)
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def srgb_encoded(light: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """sRGB values in [0, 1] of linear light in [0, 1] (IEC 61966-2-1)."""
    e = np.asarray(light, np.float64)
    return np.where(
        e <= 0.0031308, 12.92 * e, 1.055 * np.maximum(e, 0.0031308) ** (1 / 2.4) - 0.055
    )


def codes_of(light: npt.NDArray[np.float64]) -> FrameU8:
    """Linear light as sRGB codes, clipped and rounded half up."""
    return np.floor(srgb_encoded(np.clip(light, 0, 1)) * 255 + 0.5).astype(np.uint8)


def in_bt709(frame: FrameU8, primaries: str) -> FrameU8:
    """The picture with its colours expressed in BT.709 primaries.

    The transfer is taken for that of sRGB on both ways, as displays show camera video; what lies
    outside BT.709 is clipped.

    Parameters
    ----------
    frame : ndarray, shape (H, W, 3), uint8
        RGB in the given primaries.
    primaries : str
        A name of `Colour.primaries`; untagged ones, BT.709, and those without a row in
        `CHROMATICITIES` change nothing.

    Returns
    -------
    ndarray, shape (H, W, 3), uint8
    """
    if primaries not in CHROMATICITIES or primaries == "bt709":
        return frame
    light, matrix = srgb_light(np.arange(256) / 255), to_bt709(primaries).T
    converted = np.empty_like(frame)
    for top in range(0, len(frame), _STRIP_ROWS):
        rows = slice(top, top + _STRIP_ROWS)
        converted[rows] = codes_of(light[frame[rows]] @ matrix)
    return converted
