"""A folder of brackets: which pictures belong together, and each of them fused."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dmef_bench import strict_json
from dmef_bench.errors import DmefError, UsageError
from dmef_bench.harness.bracket import MOST, read_bracket
from dmef_bench.harness.fuse import Fused, How, choose_method, fuse_bracket
from dmef_bench.imagefile import write_atomic
from dmef_bench.method import Method, StatefulMethod
from dmef_bench.photo.header import SUFFIXES

logger = logging.getLogger(__name__)

LOG = "fuse.jsonl"
"""One line a bracket: what became of it, and how it was asked for."""

STREAM_LOG = "stream.jsonl"
"""The log of a stream (`dmef_bench.harness.stream`)."""

_TRUTHS = {"gt", "ground_truth", "groundtruth", "truth"}
_LAST_PART = re.compile(
    r"[ _.-]*(?:(?:ev|exp)?[ _]?[+-]?\d+(?:[.,]\d+)?(?:ev)?"
    r"|low|medium|mid|high|under|normal|over|dark|bright|short|long)$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Outcome:
    """What became of one bracket of a folder.

    Parameters
    ----------
    name : str
        Of the bracket, and of its picture.
    status : {"fused", "failed", "skipped", "left out"}
        Skipped: its picture is there, from an earlier run that asked for the same. Left out: no
        bracket, having too few or too many pictures.
    fused : Fused or None
        Of one that was fused now.
    reason : str
        Why it failed or was left out.
    """

    name: str
    status: str
    fused: Fused | None = None
    reason: str = ""

    def to_record(self) -> dict[str, Any]:
        """The fields as JSON has them."""
        record = {"name": self.name, "status": self.status, "reason": self.reason}
        return record | (self.fused.to_record() if self.fused else {})

    def lines(self) -> tuple[str, ...]:
        """The same for people."""
        told = (self.fused.lines() if self.fused else ()) or (self.reason,)
        return (f"{self.name}: {self.status}", *(f"  {line}" for line in told if line))


@dataclass(frozen=True)
class Found:
    """What a folder holds.

    Parameters
    ----------
    brackets : mapping
        Name to pictures, in the order people count: 2 before 10.
    left_out : mapping
        Name to the number of pictures of what is no bracket.
    """

    brackets: Mapping[str, tuple[Path, ...]]
    left_out: Mapping[str, int]

    @classmethod
    def among(cls, groups: Mapping[str, Sequence[Path]]) -> Found:
        """Part groups of pictures by their number."""
        names = sorted((name for name in groups if groups[name]), key=counted)
        named = [(name, tuple(groups[name])) for name in names]
        return cls(
            brackets={name: paths for name, paths in named if 2 <= len(paths) <= MOST},
            left_out={name: len(paths) for name, paths in named if not 2 <= len(paths) <= MOST},
        )


def find_brackets(folder: Path) -> Found:
    """The brackets of a folder, by name.

    Every sub-folder of two to nine pictures is a bracket of the sub-folder's name. Where there is
    none, the pictures of the folder itself are grouped by what their names share before the last
    part, a number, an EV or a word such as ``low``: ``room_1.jpg room_2.jpg`` are the bracket
    ``room``. Pictures called ``gt`` or ``ground_truth`` are no exposures.

    Parameters
    ----------
    folder : Path
        Holds sub-folders, or pictures. What dmef fused into a sub-folder is no bracket.

    Raises
    ------
    UsageError
        No folder, or no bracket in it.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; give one with a sub-folder for each bracket.")
    inside = [
        entry
        for entry in folder.iterdir()
        if entry.is_dir() and not entry.name.startswith(".") and not _fused_here(entry)
    ]
    found = Found.among({entry.name: _pictures(entry) for entry in inside})
    if not found.brackets:
        found = Found.among(_by_stem(folder))
    if not found.brackets:
        raise UsageError(
            f"{folder} holds no bracket: put the two to {MOST} pictures of each into a folder of "
            "their own, or name them room_1.jpg, room_2.jpg, ..."
        )
    return found


def counted(name: str) -> list[tuple[int, str]]:
    """A key that sorts names as people count.

    Examples
    --------
    >>> sorted(["b10", "b2", "a"], key=counted)
    ['a', 'b2', 'b10']
    """
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def fuse_folder(
    method_name: str | None,
    options: Mapping[str, Any],
    folder: Path,
    out: Path,
    *,
    evs: Sequence[float] | None = None,
    how: How | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> tuple[Outcome, ...]:
    """Fuse every bracket of a folder into ``out/NAME.png``; a bad one never stops the rest.

    What is there already, asked for in the same way, is skipped: an interrupted run goes on where
    it stopped.

    Parameters
    ----------
    method_name, options, how
        See `fuse_files`.
    folder : Path
        See `find_brackets`.
    out : Path
        Folder of the fused pictures, made if it is missing, and of their `LOG`.
    evs : sequence of float, optional
        Stops of each bracket's pictures, in the order of their names.
    overwrite : bool
        Fuse again what is there.
    progress : callable, optional
        Told how many brackets are done, of how many, and the last one's name.

    Returns
    -------
    tuple of Outcome
        One a bracket.

    Raises
    ------
    UsageError
        No bracket, or pictures in ``out`` that were asked for in another way.
    """
    how = how or How()
    check_apart(folder, out)
    found = find_brackets(folder)
    asked = _asked(method_name, options, how, evs)
    log = _Log(out / LOG)
    done = set() if overwrite else _finished(found.brackets, out, log, asked)
    fuser = _Fuser(method_name, options, how, evs)
    out.mkdir(parents=True, exist_ok=True)
    log.save()
    outcomes = [_left_out(name, count) for name, count in found.left_out.items()]
    for number, (name, paths) in enumerate(found.brackets.items(), start=1):
        if name in done:
            outcomes.append(Outcome(name, "skipped"))
        else:
            outcomes.append(fuser.fuse(name, paths, out))
            log.note(outcomes[-1], asked)
        if progress:
            progress(number, len(found.brackets), name)
    return tuple(outcomes)


def _left_out(name: str, count: int) -> Outcome:
    return Outcome(name, "left out", reason=f"pictures: {count}; a bracket has two to {MOST}")


class _Fuser:
    """Loads a method once, however many brackets it fuses: one that is named at once."""

    def __init__(
        self,
        method_name: str | None,
        options: Mapping[str, Any],
        how: How,
        evs: Sequence[float] | None,
    ) -> None:
        self._name, self._options, self._how, self._evs = method_name, options, how, evs
        self._loaded: dict[bool, tuple[Method, tuple[str, ...]]] = {}
        if method_name is not None:
            # Known EVs or not: a method that cannot be had fails the run and not each bracket.
            self._loaded[True] = self._loaded[False] = self._choose(evs_known=True)

    def _choose(self, *, evs_known: bool) -> tuple[Method, tuple[str, ...]]:
        return choose_method(self._name, self._options, evs_known=evs_known)

    def fuse(self, name: str, paths: Sequence[Path], out: Path) -> Outcome:
        try:
            bracket = read_bracket(paths, self._evs)
            known = bracket.stops is not None
            if known not in self._loaded:
                self._loaded[known] = self._choose(evs_known=known)
            method, remarks = self._loaded[known]
            if isinstance(method, StatefulMethod):
                method.reset()
            fused = fuse_bracket(method, bracket, out / f"{name}.png", self._how, remarks)
        except Exception as error:
            # The one place where a bracket is isolated: whatever a method raises is a record.
            expected = isinstance(error, DmefError)
            logger.log(logging.INFO if expected else logging.ERROR, name, exc_info=error)
            told = str(error) if expected else f"{type(error).__name__}: {error}"
            return Outcome(name, "failed", reason=told)
        return Outcome(name, "fused", fused)


class _Log:
    """The lines of `LOG`, by bracket."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.lines = {line["name"]: line for line in self._read()}

    def _read(self) -> Iterator[dict[str, Any]]:
        if not self._path.exists():
            return
        try:
            for text in self._path.read_text(encoding="utf-8").splitlines():
                line = strict_json.loads(text)
                if not isinstance(line["name"], str) or "asked" not in line:
                    raise ValueError("a line says not which bracket it is of")
                yield line
        except (ValueError, LookupError, TypeError) as error:
            raise UsageError(
                f"{self._path} is no log of dmef ({error}); choose another folder for the pictures."
            ) from error

    def note(self, outcome: Outcome, asked: Mapping[str, Any]) -> None:
        self.lines[outcome.name] = outcome.to_record() | {"asked": dict(asked)}
        self.save()

    def save(self) -> None:
        text = "".join(f"{strict_json.dumps(line)}\n" for line in self.lines.values())
        write_atomic(self._path, text.encode())


def _asked(
    method_name: str | None, options: Mapping[str, Any], how: How, evs: Sequence[float] | None
) -> dict[str, Any]:
    """What a run asks for, as it comes back from JSON."""
    asked = {
        "method": method_name,
        "options": {key: str(value) for key, value in options.items()},
        "how": asdict(how),
        "evs": None if evs is None else [float(ev) for ev in evs],
    }
    return dict(strict_json.encodable(asked))


def check_apart(folder: Path, out: Path) -> None:
    """Keep exposures and fused pictures apart: next time they would be taken for one another.

    Raises
    ------
    UsageError
        ``out`` is ``folder``, or a folder in it, and holds pictures that dmef did not put there.
    """
    if not (folder.is_dir() and out.is_dir()):
        return
    inside = folder.resolve() in (out.resolve(), *out.resolve().parents)
    if inside and not _fused_here(out) and _pictures(out):
        raise UsageError(f"{out} holds exposures; choose another folder for the fused pictures.")


def _fused_here(folder: Path) -> bool:
    return (folder / LOG).exists() or (folder / STREAM_LOG).exists()


def _finished(
    brackets: Mapping[str, Sequence[Path]], out: Path, log: _Log, asked: Mapping[str, Any]
) -> set[str]:
    there = {name for name in brackets if (out / f"{name}.png").exists()}
    fused = {name for name, line in log.lines.items() if line.get("status") == "fused"}
    other = sorted(name for name in there if name not in fused or log.lines[name]["asked"] != asked)
    if other:
        raise UsageError(
            f"{out} holds {other[0]}.png, which was not fused in the way now asked for; "
            "choose another folder, or --overwrite."
        )
    return there


def _by_stem(folder: Path) -> dict[str, list[Path]]:
    groups: dict[str, list[Path]] = {}
    for path in _pictures(folder):
        if last := _LAST_PART.search(path.stem):
            groups.setdefault(path.stem[: last.start()] or folder.resolve().name, []).append(path)
    return groups


def _pictures(folder: Path) -> list[Path]:
    pictures = [
        entry
        for entry in folder.iterdir()
        if entry.suffix.lower() in SUFFIXES
        and entry.is_file()
        and entry.stem.lower() not in _TRUTHS
        and not entry.name.startswith(".")
    ]
    return sorted(pictures, key=lambda path: counted(path.name))
