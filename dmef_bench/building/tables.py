"""What the user writes down beside the videos: triples, groups, rights, sides of the split."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, TypeVar

from dmef_bench.building.picking import Pick
from dmef_bench.errors import UsageError
from dmef_bench.manifest import SPLITS

CONSENTS = ("given", "public-licence", "no-people", "not-recorded")
"""What may stand in the column ``consent``."""

Known = Mapping[str, PurePath]
"""SHA-256 of every source to its path, or only its name."""

_SHORTEST_HASH = 8

T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """One line of a table: where it stands, and its cells by column."""

    where: str
    cells: Mapping[str, str]

    def number(self, column: str, kind: Callable[[str], T]) -> T:
        """A cell as a number."""
        try:
            return kind(self.cells[column])
        except ValueError as error:
            raise UsageError(
                f"{self.where}: {column} is {self.cells[column]!r}, which is no "
                f"{'whole number' if kind is int else 'number'}."
            ) from error

    def names(self, sha256: str, path: PurePath) -> bool:
        """Whether its ``video`` is this one: file name, end of the path, or start of the hash."""
        text = self.cells["video"]
        parts = PurePath(text).parts
        by_hash = len(text) >= _SHORTEST_HASH and sha256.startswith(text.lower())
        return by_hash or (bool(parts) and path.parts[-len(parts) :] == parts)


def read_rows(path: Path, *columns: tuple[str, ...]) -> tuple[Row, ...]:
    """Read a CSV file with a header line.

    Parameters
    ----------
    path : Path
        UTF-8; ``,`` between cells.
    *columns : tuple of str
        The headers it may have, in any order of columns.

    Returns
    -------
    tuple of Row
        Without the empty ones.

    Raises
    ------
    UsageError
        Not readable, another header, a row with too few or too many cells.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.reader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: cannot be read ({error}).") from error
    header = [cell.strip() for cell in lines[0]] if lines else []
    if sorted(header) not in map(sorted, columns):
        wanted = " or ".join(",".join(form) for form in columns)
        raise UsageError(f"{path}: its first line is {','.join(header)!r}; it has to be {wanted}.")
    rows = []
    for number, cells in enumerate(lines[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        where = f"{path.name} line {number}"
        if len(cells) != len(header):
            raise UsageError(f"{where}: {len(cells)} cells under {len(header)} columns.")
        rows.append(Row(where, {k: v.strip() for k, v in zip(header, cells, strict=True)}))
    return tuple(rows)


def by_source(rows: Iterable[Row], known: Known) -> tuple[dict[str, list[Row]], tuple[str, ...]]:
    """Rows of every source, and a note for each row that belongs to none.

    Raises
    ------
    UsageError
        A row that may mean two videos.
    """
    found: dict[str, list[Row]] = {}
    notes = []
    named: dict[str, list[str]] = {}
    for sha, path in known.items():
        named.setdefault(path.name, []).append(sha)
    for row in rows:
        # Few share a name, so that ten thousand rows need not be held against as many videos.
        likely = named.get(PurePath(row.cells["video"]).name) or known
        matches = [sha for sha in likely if row.names(sha, known[sha])]
        if len(matches) > 1:
            paths = " and ".join(str(known[sha]) for sha in matches)
            raise UsageError(
                f"{row.where}: {row.cells['video']!r} may be {paths}; give more of the path, or "
                "the start of its SHA-256."
            )
        if matches:
            found.setdefault(matches[0], []).append(row)
        else:
            notes.append(f"{row.where}: no video called {row.cells['video']!r} was given.")
    return found, tuple(notes)


@dataclass(frozen=True)
class Tables:
    """The user's tables, read but not yet held against the videos.

    Parameters
    ----------
    picks, groups, rights, sides : tuple of Row
        Of ``--pick``, ``--groups``, ``--sources`` and ``--split``.
    """

    picks: tuple[Row, ...] = ()
    groups: tuple[Row, ...] = ()
    rights: tuple[Row, ...] = ()
    sides: tuple[Row, ...] = ()

    @classmethod
    def read(
        cls,
        *,
        picks: Path | None = None,
        groups: Path | None = None,
        sources: Path | None = None,
        split: Path | None = None,
    ) -> Tables:
        """Read and check the files that are given.

        Parameters
        ----------
        picks : Path, optional
            ``video,pts1,pts2,pts3`` in ticks, or ``video,seconds1,seconds2,seconds3``.
        groups : Path, optional
            ``video,group``: videos of one group stay on one side of the split.
        sources : Path, optional
            ``video,licence,consent,url``; consent is one of `CONSENTS`.
        split : Path, optional
            ``video,split`` or ``scene,split``.

        Raises
        ------
        UsageError
            See `read_rows`; or a cell that makes no sense.
        """
        tables = cls(
            picks=_rows(picks, ("video", "pts1", "pts2", "pts3"),
                        ("video", "seconds1", "seconds2", "seconds3")),
            groups=_rows(groups, ("video", "group")),
            rights=_rows(sources, ("video", "licence", "consent", "url")),
            sides=_rows(split, ("video", "split"), ("scene", "split")),
        )  # fmt: skip
        for row in tables.picks:
            _pick(row)
        for row in tables.rights:
            _check_word(row, "consent", CONSENTS)
        for row in tables.sides:
            _check_word(row, "split", SPLITS)
        for row in tables.groups:
            if not row.cells["group"]:
                raise UsageError(f"{row.where}: names no group.")
        return tables

    def picked(self, known: Known) -> tuple[dict[str, tuple[Pick, ...]], tuple[str, ...]]:
        """Listed triples of every source, and notes."""
        found, notes = by_source(self.picks, known)
        return {sha: tuple(map(_pick, rows)) for sha, rows in found.items()}, notes

    def labels(self, known: Known) -> tuple[dict[str, str], tuple[str, ...]]:
        """The group that the user put every source in, and notes."""
        found, notes = by_source(self.groups, known)
        for rows in found.values():
            if len({row.cells["group"] for row in rows}) > 1:
                raise UsageError(
                    f"{rows[1].where}: {rows[1].cells['video']!r} stands in two groups."
                )
        return {sha: rows[0].cells["group"] for sha, rows in found.items()}, notes

    def rights_of(self, known: Known) -> tuple[dict[str, dict[str, Any]], tuple[str, ...]]:
        """Licence, consent and url of every source, and notes; empty cells become None."""
        found, notes = by_source(self.rights, known)
        return {
            sha: {
                "licence": rows[-1].cells["licence"] or None,
                "consent": rows[-1].cells["consent"],
                "url": rows[-1].cells["url"] or None,
            }
            for sha, rows in found.items()
        }, notes

    def sides_of(
        self, known: Known, scenes: Mapping[str, str]
    ) -> tuple[dict[str, str], tuple[str, ...]]:
        """The side that the user gave each scene (scene id to source), and notes."""
        if self.sides and "scene" in self.sides[0].cells:
            stated = {row.cells["scene"]: row for row in self.sides}
            notes = tuple(
                f"{row.where}: no scene is called {name!r}."
                for name, row in stated.items()
                if name not in scenes
            )
            return {n: row.cells["split"] for n, row in stated.items() if n in scenes}, notes
        found, notes = by_source(self.sides, known)
        sides = {sha: rows[-1].cells["split"] for sha, rows in found.items()}
        return {name: sides[sha] for name, sha in scenes.items() if sha in sides}, notes


def _rows(path: Path | None, *columns: tuple[str, ...]) -> tuple[Row, ...]:
    return () if path is None else read_rows(path, *columns)


def _pick(row: Row) -> Pick:
    unit = "pts" if "pts1" in row.cells else "seconds"
    kind: Callable[[str], float] = int if unit == "pts" else float
    first, second, third = (row.number(f"{unit}{number}", kind) for number in (1, 2, 3))
    if not first < second < third:
        raise UsageError(f"{row.where}: {first:g}, {second:g}, {third:g} do not rise.")
    return Pick((first, second, third), unit)


def _check_word(row: Row, column: str, words: tuple[str, ...]) -> None:
    if row.cells[column] not in words:
        raise UsageError(
            f"{row.where}: {column} is {row.cells[column]!r}; it is one of {', '.join(words)}."
        )
