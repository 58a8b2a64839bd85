"""What a data set is built from: videos and folders of pictures, each content once."""

from __future__ import annotations

import glob
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dmef_bench.building.picking import Pick
from dmef_bench.building.sequence import PICTURES_OF_A_CLIP, pictures_in, sequence_sha256
from dmef_bench.errors import UsageError, VideoError
from dmef_bench.imagefile import bytes_sha256

VIDEO_ENDINGS = frozenset({".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi"})
"""Of files that are taken from a folder; a file that is named is taken whatever its ending."""


@dataclass(frozen=True)
class Source:
    """One video to be worked on, wherever that may be.

    Parameters
    ----------
    path : Path
        The file, or the folder of a sequence; absolute.
    sha256 : str
        Of its bytes (`sequence_sha256` of a folder).
    host : str
        Machine that hashed it.
    stamp : tuple of int
        Size and time of change then.
    fps : int or None
        Pictures a second of a sequence; None for a video.
    picks : tuple of Pick
        Triples that somebody chose.
    repeats : tuple of str
        Manifest lines of scenes to be made again exactly.
    """

    path: Path
    sha256: str
    host: str
    stamp: tuple[int, int]
    fps: int | None = None
    picks: tuple[Pick, ...] = ()
    repeats: tuple[str, ...] = ()

    @classmethod
    def of(cls, path: Path, fps: int | None) -> Source:
        """Hash a video, or a folder as a sequence of ``fps`` pictures a second."""
        path = path.resolve()
        is_folder = path.is_dir()
        try:
            stamp = _stamp(path)
            sha256 = sequence_sha256(path) if is_folder else bytes_sha256(path)
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
        return cls(path, sha256, socket.gethostname(), stamp, fps if is_folder else None)

    def check_unchanged(self) -> None:
        """Raise `VideoError` if the file is not the one any more that was hashed."""
        if _stamp(self.path) != self.stamp:
            raise VideoError(
                f"{self.path.name}: was changed while the data set was being built. "
                "Let it be finished, then run the same command again."
            )


def _stamp(path: Path) -> tuple[int, int]:
    files = pictures_in(path) if path.is_dir() else (path,)
    stats = [file.stat() for file in files]
    return sum(stat.st_size for stat in stats), max((stat.st_mtime_ns for stat in stats), default=0)


def find_videos(
    paths: Iterable[Path | str], fps: int | None = None, *, apart_from: Path | None = None
) -> tuple[Path, ...]:
    """Videos among files, folders (searched through) and patterns, in a fixed order.

    Files are taken whatever their ending, so that a wrong one gets its own message.

    Parameters
    ----------
    paths : iterable of Path or str
        ``*``, ``?`` and ``[…]`` are patterns where no file bears the name itself.
    fps : int, optional
        Folders that hold pictures count as videos of so many frames a second.
    apart_from : Path, optional
        A folder that is not searched: the data set, whose scenes are folders of pictures too.

    Raises
    ------
    UsageError
        A path that does not exist, or no video at all.
    """
    given = [Path(path) for path in paths]
    found: dict[Path, None] = {}
    for path in given:
        for match in _expanded(path):
            found.update(dict.fromkeys(_inside(match, fps) if match.is_dir() else [match]))
    if apart_from is not None:
        place = apart_from.resolve()
        found = {path: None for path in found if not path.resolve().is_relative_to(place)}
    if not found:
        raise UsageError(
            f"No videos in {', '.join(map(str, given)) or 'nothing'}. "
            f"Looked for {' '.join(sorted(VIDEO_ENDINGS))}; give files, or a folder of images "
            "with --fps."
        )
    return tuple(found)


def _expanded(path: Path) -> Sequence[Path]:
    if path.exists():
        return [path]
    if re.search(r"[*?\[]", str(path)):
        return [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207 - Path.glob takes no absolute pattern
    raise UsageError(f"{path} does not exist; give video files or folders of them.")


def _inside(folder: Path, fps: int | None) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.suffix.lower() in VIDEO_ENDINGS)
    videos = [path for path in files if path.is_file()]
    if fps is not None:
        folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
        videos += [each for each in folders if len(pictures_in(each)) >= PICTURES_OF_A_CLIP]
    return sorted(videos)


def hash_sources(
    paths: Sequence[Path], fps: int | None = None
) -> tuple[dict[str, Source], tuple[str, ...]]:
    """SHA-256 to source, each content once; a copy of a video is a note, not an error."""
    unique: dict[str, Source] = {}
    notes = []
    for path in paths:
        source = Source.of(path, fps)
        if source.sha256 in unique:
            first = unique[source.sha256].path.name
            notes.append(f"{path.name}: the same bytes as {first}; skipped.")
        else:
            unique[source.sha256] = source
    return unique, tuple(notes)
