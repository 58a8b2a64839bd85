"""A sheet that shows what a fusion was given, what moves in it, and what became of it."""

from __future__ import annotations

from pathlib import Path

from dmef_bench.errors import ImageContractError
from dmef_bench.exposure.marks import black, burnt_out, mark_clipped, mark_motion
from dmef_bench.harness.bracket import Exposures
from dmef_bench.metrics.motion_mask import moving_mask
from dmef_bench.photo.header import read_header
from dmef_bench.photo.pixels import read_pixels
from dmef_bench.photo.saving import saving
from dmef_bench.report.contact_sheet import Sheet, Tile, contact_sheet

_COLUMNS = 3
_LETTERS = 24
_QUALITY = 90


def write_sheet(sheet: Path, exposures: Exposures, fused: Path, *, method: str) -> None:
    """Draw a bracket and its fused picture, and write the sheet.

    The exposures, darkest first, burnt-out pixels vermilion and black ones blue, with their shares;
    the reference, yellow where something moves; the fused picture.

    Parameters
    ----------
    sheet : Path
        .png, .tif or .jpg.
    exposures : Exposures
        What was fused.
    fused : Path
        What became of it.
    method : str
        By whom.

    Raises
    ------
    DmefError
        A picture that cannot be read, or a sheet that cannot be written.
    """
    tiles = [*_exposures(exposures), *_motion(exposures)]
    tiles.append(Tile(_ascii(f"fused: {method}"), read_pixels(read_header(fused))))
    drawn = _laid_out(tiles)
    with saving(sheet, drawn.shape[:2], 8, quality=_QUALITY) as write:
        write(drawn)


def _exposures(exposures: Exposures) -> list[Tile]:
    tiles = []
    for index, (name, picture) in enumerate(zip(exposures.names, exposures.pictures, strict=True)):
        ev = "" if exposures.evs is None else f" {exposures.evs[index]:+.2g} EV"
        shares = f"{burnt_out(picture).mean():.1%} burnt, {black(picture).mean():.1%} black"
        tiles.append(Tile(f"{_ascii(name)}{ev}: {shares}", mark_clipped(picture)))
    return tiles


def _motion(exposures: Exposures) -> list[Tile]:
    """The reference with what moves; nothing for pictures too small for optical flow."""
    try:
        moving = moving_mask(exposures.stack())
    except ImageContractError:
        return []
    reference = exposures.pictures[exposures.reference]
    name = _ascii(exposures.names[exposures.reference])
    return [Tile(f"reference {name}: {moving.mean():.1%} moves", mark_motion(reference, moving))]


def _laid_out(tiles: list[Tile]) -> Sheet:
    return contact_sheet([tiles[at : at + _COLUMNS] for at in range(0, len(tiles), _COLUMNS)])


def _ascii(text: str) -> str:
    """Text as the sheet's letters have it, and not too long for a tile."""
    plain = text.encode("ascii", "replace").decode()
    return plain if len(plain) <= _LETTERS else f"{plain[: _LETTERS - 3]}..."
