"""Any bracket of picture files to one fused picture."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from dmef_bench.errors import MethodNotFoundError, UnavailableError, UsageError
from dmef_bench.harness.bands import PictureSink, Scratch
from dmef_bench.harness.bracket import Bracket, read_bracket
from dmef_bench.harness.fit import fuse_at
from dmef_bench.harness.foresight import Foresight
from dmef_bench.harness.showing import write_sheet
from dmef_bench.method import Method, StreamingMethod, traits
from dmef_bench.photo.saving import bits_in, saving
from dmef_bench.protocol import FITS, Fit, parse_size
from dmef_bench.registry import accepts, load_method
from dmef_bench.scene import ExposureStack, Image, size_text

BEST, WITH_EVS, WITHOUT_EVS = "ipl", "response-fill", "mertens"
"""Which method is used when none is named: the first whose weights and EVs are there."""

STREAMING = ("auto", "yes", "no")

_SHARE_OF_MEMORY = 0.6
_METHODS_OWN = 2
"""Times the float32 pictures that a method is taken to need for itself and them."""

_BAND_ROWS = 256


@dataclass(frozen=True)
class How:
    """How a bracket is fused and written.

    Parameters
    ----------
    fit : {"full", "downsample", "tile"}
        See `dmef_bench.harness.fit.fuse_at`.
    mr : str or None
        ``"WxH"``: the size to shrink to, or of a tile.
    overlap, blend
        Of tiles.
    streaming : {"auto", "yes", "no"}
        Band by band in bounded memory, by methods that can: ``auto`` where the full frame would
        take more than 60 % of free memory.
    quality : int
        Of a JPEG, 1 to 100.
    forecast : bool
        Refuse what would not find the memory it needs (`Foresight`), before it is tried.

    Raises
    ------
    UsageError
        Choices that do not exist or contradict one another.
    """

    fit: Fit = "full"
    mr: str | None = None
    overlap: int = 64
    blend: str = "cosine"
    streaming: str = "auto"
    quality: int = 95
    forecast: bool = True

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise UsageError(f"fit is {self.fit!r}; choose one of {', '.join(FITS)}.")
        if (self.mr is None) != (self.fit == "full"):
            raise UsageError(
                "A size goes with fit downsample (to shrink to) and tile (of a tile), and with "
                "no other: give --fit and --mr WIDTHxHEIGHT together."
            )
        if self.mr is not None:
            parse_size(self.mr)
        if self.streaming not in STREAMING:
            raise UsageError(
                f"streaming is {self.streaming!r}; choose one of {', '.join(STREAMING)}."
            )
        if self.streaming == "yes" and self.fit != "full":
            raise UsageError(f"fit {self.fit} makes pictures small enough; streaming fuses full.")
        if not 1 <= self.quality <= 100:
            raise UsageError(f"quality is {self.quality}; a JPEG's is 1 to 100.")


@dataclass(frozen=True)
class Fused:
    """What became of a bracket.

    Parameters
    ----------
    path : Path
        The fused picture.
    method : str
        Name of the method.
    exposures : tuple of str
        File names of the exposures fused, darkest first.
    order : str
        What their order is taken from.
    evs : tuple of float or None
        Relative to the fused picture.
    reference : str
        File name of the exposure whose motion was kept.
    size : (height, width)
        Of the picture.
    bits : int
        Of a channel, as written.
    streamed : bool
        Whether it was fused band by band.
    seconds : mapping
        Wall time to ``read`` and to ``fuse`` (writing included).
    remarks : tuple of str
        What a person should know.
    """

    path: Path
    method: str
    exposures: tuple[str, ...]
    order: str
    evs: tuple[float, ...] | None
    reference: str
    size: tuple[int, int]
    bits: int
    streamed: bool
    seconds: Mapping[str, float]
    remarks: tuple[str, ...]

    def to_record(self) -> dict[str, Any]:
        """The fields as JSON has them: the size as ``"WxH"``, the path as text."""
        return asdict(self) | {"path": str(self.path), "size": size_text(self.size)}

    def lines(self) -> tuple[str, ...]:
        """The same for people."""
        order = " < ".join(self.exposures)
        streamed = ", band by band" if self.streamed else ""
        return (
            f"{order}  (by {self.order}; reference {self.reference})",
            *self.remarks,
            f"{self.path}: {self.method}, {size_text(self.size)}, {self.bits} bits{streamed}, "
            f"{sum(self.seconds.values()):.1f} s",
        )


def fuse_files(
    method_name: str | None,
    options: Mapping[str, Any],
    exposures: Sequence[Path],
    out: Path,
    *,
    evs: Sequence[float] | None = None,
    how: How | None = None,
    overwrite: bool = False,
    on_fused: Callable[[Fused], None] | None = None,
    sheet: Path | None = None,
) -> Path:
    """Fuse two to nine picture files into one.

    Parameters
    ----------
    method_name : str or None
        As `load_method` takes it. None takes the best there is: `BEST` if its weights are here,
        else `WITH_EVS` or `WITHOUT_EVS`.
    options : mapping
        For the method's constructor.
    exposures : sequence of Path
        JPEG, PNG or TIFF of 8 or 16 bits, of one size, in any order (`read_bracket`).
    out : Path
        .png, .tif or .jpg; 16 bits if any exposure has them, 8 in a JPEG. The picture stands
        upright and carries the reference's colour profile, and no EXIF.
    evs : sequence of float, optional
        One for each exposure.
    how : How, optional
        Fit, streaming, quality.
    overwrite : bool
        Replace ``out`` where it exists; an exposure is never replaced.
    on_fused : callable, optional
        Gets the `Fused`.
    sheet : Path, optional
        Where to draw what was fused (`write_sheet`); .png, .tif or .jpg.

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    DmefError
        Files that cannot be read or written, no such method, too little memory, or a method that
        returned no picture; ``out`` is then as it was.
    """
    how = how or How()
    check_target(out, exposures, overwrite=overwrite)
    if sheet:
        check_target(sheet, [*exposures, out], overwrite=overwrite)
        if sheet.resolve() == out.resolve():
            raise UsageError(f"{out}: picture and sheet need names of their own.")
    bracket = read_bracket(exposures, evs)
    method, remarks = choose_method(method_name, options, evs_known=bracket.stops is not None)
    fused = fuse_bracket(method, bracket, out, how, remarks)
    if sheet:
        write_sheet(sheet, bracket.read(len(fused.exposures)), out, method=fused.method)
    if on_fused:
        on_fused(fused)
    return fused.path


def check_target(out: Path, exposures: Sequence[Path], *, overwrite: bool) -> None:
    """Refuse, before anything is read, a file that must not or cannot be written.

    Raises
    ------
    UsageError
        It is an exposure, exists, has another ending, or its folder is missing.
    """
    bits_in(out, 8)
    if out.exists() and any(path.exists() and out.samefile(path) for path in exposures):
        raise UsageError(f"{out} is one of the exposures; write the fused picture elsewhere.")
    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists; choose another name, or --overwrite.")
    if not out.parent.is_dir():
        raise UsageError(f"{out}: the folder {out.parent} does not exist; make it first.")


def choose_method(
    name: str | None, options: Mapping[str, Any], *, evs_known: bool
) -> tuple[Method, tuple[str, ...]]:
    """The method named, or the best that weights and EVs allow, with a word on the choice.

    Raises
    ------
    UsageError
        A bound, which needs the ground truth.
    """
    if name is not None:
        method, remarks = _loaded(name, options)
        if traits(method).sees_ground_truth:
            raise UsageError(f"{name} is a bound and needs the ground truth; it fuses nothing.")
        if traits(method).untrained:
            remarks = (*remarks, "untrained weights: the picture tells nothing of the method")
        return method, remarks
    try:
        method, remarks = _loaded(BEST, options)
        return method, (f"no method was named: {BEST}", *remarks)
    except (MethodNotFoundError, UnavailableError):
        fallback, known = (WITH_EVS, "known") if evs_known else (WITHOUT_EVS, "unknown")
        method, remarks = _loaded(fallback, options)
        why = f"{BEST} has no weights here and EVs are {known}"
        return method, (f"no method was named: {fallback}, as {why}", *remarks)


def _loaded(name: str, options: Mapping[str, Any]) -> tuple[Method, tuple[str, ...]]:
    """The method; a device or precision that it knows nothing of is left out with a word."""
    idle = [key for key in ("device", "dtype") if key in options and not accepts(name, key)]
    method = load_method(name, **{key: options[key] for key in options if key not in idle})
    return method, tuple(f"{name} has no choice of {key}: left out" for key in idle)


def fuse_bracket(
    method: Method, bracket: Bracket, out: Path, how: How, remarks: Sequence[str] = ()
) -> Fused:
    """Read, fuse and write one bracket.

    Raises
    ------
    DmefError
        See `fuse_files`.
    """
    check_evs_known(method, bracket.stops is not None)
    streamed = _streams(method, bracket, how)
    if not streamed:
        check_room(method, bracket.size, how)
    begin = time.perf_counter()
    with enough_memory(method):
        scratch = Scratch(out.parent) if streamed else None
        exposures = bracket.read(traits(method).exposures, scratch)
        read_s = time.perf_counter() - begin
        bits = bits_in(out, bracket.bits)
        with saving(out, bracket.size, bits, icc=exposures.icc, quality=how.quality) as write:
            sink = PictureSink(write, bracket.size, bits, method.name)
            if scratch is not None and isinstance(method, StreamingMethod):
                method.fuse_rows(exposures.rows(scratch), sink)
            else:
                pour(fuse_stack(method, exposures.stack(), how), sink)
            sink.close()
        fuse_s = time.perf_counter() - begin - read_s
    return Fused(
        path=out,
        method=method.name,
        exposures=exposures.names,
        order=bracket.rule,
        evs=exposures.evs,
        reference=exposures.names[exposures.reference],
        size=bracket.size,
        bits=bits,
        streamed=streamed,
        seconds={"read": round(read_s, 4), "fuse": round(fuse_s, 4)},
        remarks=(*bracket.remarks, *remarks),
    )


def check_evs_known(method: Method, known: bool) -> None:
    """Refuse exposures of unknown EVs to a method that needs them.

    Raises
    ------
    UsageError
        With the ways to state them.
    """
    if traits(method).needs_evs and not known:
        raise UsageError(
            f"{method.name} needs the exposures' EVs, and their files state none; "
            "give --ev A,B,C, one for each picture, or choose another method."
        )


def check_room(method: Method, size: tuple[int, int], how: How) -> None:
    """Refuse pictures of ``size`` (height, width) whose fusion would not find enough memory.

    Raises
    ------
    UnavailableError
        With the ways out.
    """
    fused_size = parse_size(how.mr) if how.mr else size
    shortage = Foresight(method).shortage(fused_size) if how.forecast else None
    if shortage:
        raise UnavailableError(shortage.text(auto=False))


def fuse_stack(method: Method, stack: ExposureStack, how: How) -> Image:
    """Fuse pictures that are in memory, float32 (H, W, 3) in [0, 1]."""
    size = parse_size(how.mr) if how.mr else stack.size
    return fuse_at(method, stack, fit=how.fit, size=size, overlap=how.overlap, blend=how.blend)


def pour(picture: Image, sink: PictureSink) -> None:
    """A whole picture into a sink, so that its codes never exist as a whole beside it."""
    for top in range(0, len(picture), _BAND_ROWS):
        sink.write(top, picture[top : top + _BAND_ROWS])


def _streams(method: Method, bracket: Bracket, how: How) -> bool:
    able = isinstance(method, StreamingMethod)
    if how.streaming == "yes" and not able:
        raise UsageError(
            f"{method.name} cannot fuse band by band (it has no fuse_rows); leave --streaming out, "
            "or shrink with --fit downsample --mr WIDTHxHEIGHT."
        )
    if not able or how.streaming == "no" or how.fit != "full":
        return False
    return how.streaming == "yes" or _full_frame_bytes(bracket) > (
        _SHARE_OF_MEMORY * psutil.virtual_memory().available
    )


def _full_frame_bytes(bracket: Bracket) -> int:
    """The exposures as stored, as float32, and the fused picture, with room for the method."""
    count = len(bracket.headers)
    a_pixel = count * 3 * bracket.bits // 8 + _METHODS_OWN * 12 * (count + 1)
    return a_pixel * math.prod(bracket.size)


@contextmanager
def enough_memory(method: Method) -> Iterator[None]:
    """Turn running out of memory, of the machine or of the device, into advice."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch says so by type name; importing torch to ask would cost every method seconds.
        if not isinstance(error, MemoryError) and type(error).__name__ != "OutOfMemoryError":
            raise
        raise UnavailableError(
            f"{method.name} ran out of memory; try --fit downsample or --fit tile with "
            "--mr WIDTHxHEIGHT, --streaming yes, or --device cpu."
        ) from error
