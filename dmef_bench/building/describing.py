"""What people say of a data set after its build: licence, contact, answers, and papers anew."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dmef_bench import strict_json
from dmef_bench.building.card import blanks
from dmef_bench.building.derived import CARD, DATASHEET, write_derived
from dmef_bench.building.layout import SCRATCH
from dmef_bench.building.lock import build_lock
from dmef_bench.building.publish import STATEMENTS
from dmef_bench.building.room import keeping_room
from dmef_bench.errors import UsageError
from dmef_bench.imagefile import write_atomic
from dmef_bench.manifest import DATASET_FILE, Manifest


def describe_dataset(root: Path | str, statements: Mapping[str, str]) -> tuple[str, ...]:
    """Note statements in ``dataset.json`` and write all papers and checksums again.

    Answers in ``DATASHEET.md`` are kept; pictures and manifest are not touched.

    Parameters
    ----------
    root : Path or str
        Of the data set.
    statements : mapping
        Any of `STATEMENTS` to its text.

    Returns
    -------
    tuple of str
        The blanks that are left, ``FILE: TODO: …``.

    Raises
    ------
    UsageError
        Another statement.
    ManifestError
        The data set is damaged.
    UnavailableError
        A build is at work on it.
    """
    root = Path(root)
    for name in statements:
        if name not in STATEMENTS:
            raise UsageError(f"Nothing to say about {name!r}; there are {', '.join(STATEMENTS)}.")
    dataset = Manifest.load(root).dataset | dict(statements)
    with build_lock(root / SCRATCH), keeping_room(root):
        write_atomic(root / DATASET_FILE, (strict_json.dumps(dataset, indent=2) + "\n").encode())
        write_derived(root)
    return blanks_left(root)


def blanks_left(root: Path) -> tuple[str, ...]:
    """Every line of the data set's papers that a person has still to fill in."""
    return tuple(
        f"{name}: {line}"
        for name in (CARD, DATASHEET)
        if (root / name).is_file()
        for line in blanks((root / name).read_text(encoding="utf-8", errors="replace"))
    )
