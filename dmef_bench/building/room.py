"""Room on the disk: how much is free, and what is said when there is none left."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dmef_bench.errors import UnavailableError

_NO_ROOM = (errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EFBIG)


class NoRoomError(UnavailableError):
    """The disk became full, or read-only, while a data set was being built."""

    exit_code = 4


def free_bytes(root: Path) -> int:
    """Bytes free where a folder is, or would be made."""
    place = next(place for place in (root, *root.parents) if place.exists())
    return shutil.disk_usage(place).free


@contextmanager
def keeping_room(root: Path, *, every: bool = False) -> Iterator[None]:
    """Turn the system's refusal to write below ``root`` into a `NoRoomError`.

    Parameters
    ----------
    root : Path
        Of the data set.
    every : bool
        Take any failure for one of writing; only those that mean a full disk otherwise.
    """
    try:
        yield
    except OSError as error:
        if not every and error.errno not in _NO_ROOM:
            raise
        raise NoRoomError(
            f"{root}: {error.strerror}, {free_bytes(root) / 1e9:.1f} GB free. Finished scenes are "
            "kept; make room (or use --store triple in another folder) and run the same command "
            "again."
        ) from error
