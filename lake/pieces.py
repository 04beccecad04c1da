"""What files of a table that were written again hold: the rows of which files, as those were first
written.

A build made from the old files is still current where only compaction came since, or where the rows
that differ are in files of their own. The commits that wrote files again list both.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from lake.files import DataFile
from lake.log import Commit

# What a compaction's commit calls its list, in the lineage.
LISTED = "compacted"
# The list of a commit that replaced some rows: new files, and the old file whose other rows each
# holds. The rows that replace those left out are in further files.
REPLACED = "replaced"


class Piece(NamedTuple):
    """A file as it was appended, wherever its rows are now.

    Attributes:
        path: relative to the table's folder.
        first: smallest time in it, None where it holds no times.
        last: largest time, inclusive.
    """

    path: str
    first: datetime | None
    last: datetime | None


# What each compacted file stands for, by its path.
Pieces = Mapping[str, tuple[Piece, ...]]


def listed(swaps: Iterable[tuple[tuple[DataFile, ...], DataFile]]) -> dict[str, Any]:
    """Return what a commit says of the files that it wrote again; pure.

    Args:
        swaps: files, and the one that stands for them.
    """
    return {file.path: [_listed(old) for old in group] for group, file in swaps}


def pieces_of(commits: Iterable[Commit]) -> Pieces:
    """Return what each file that was written again stands for, down to files as they were appended;
    pure.

    The commits since a version tell it down to files that were appended since, and files that the
    version has: of versions from that one on, those that hold the same rows are still told to.

    Args:
        commits: of the table, all of them or all since a version, in any order.
    """
    found: dict[str, tuple[Piece, ...]] = {}
    for commit in sorted(commits, key=lambda commit: commit.version):
        groups = _groups(commit.lineage, LISTED) | _groups(commit.lineage, REPLACED)
        for path, parts in groups.items():
            found[path] = tuple(p for part in parts for p in found.get(part.path, (part,)))
    return found


def stands_for(commit: Commit, path: str) -> bool:
    """Whether a commit brought a file only to write rows of older ones again; pure."""
    return any(path in _groups(commit.lineage, key) for key in (LISTED, REPLACED))


def expand(files: Iterable[DataFile], known: Pieces) -> tuple[Piece, ...]:
    """Return the files as they were appended, by path; pure.

    Args:
        files: of one partition at one version.
        known: see `pieces_of`.
    """
    found = (
        piece
        for file in files
        for piece in known.get(file.path, (Piece(file.path, file.first, file.last),))
    )
    return tuple(sorted(found))


def holders(lineages: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return which file holds the rows of files that need not be there any more; pure.

    Those are the files whose times no other file of their compaction shares: their rows are what
    the compacted file has between their first time and their last. Where that file need not be
    there either, the one that holds its rows is told; where a file was put together twice, since
    another program had brought it back, the one of the last time.

    Args:
        lineages: of the commits that compacted, oldest first.
    """
    direct = {
        part.path: path
        for lineage in lineages
        for path, group in _groups(lineage, LISTED).items()
        for part in _apart(group)
    }
    return {path: _last(direct, path) for path in direct}


def _last(direct: Mapping[str, str], path: str) -> str:
    while path in direct:
        path = direct[path]
    return path


def _groups(lineage: Mapping[str, Any], key: str) -> dict[str, list[Piece]]:
    """The files that each file of a commit stands for, by one of its lists."""
    return {
        path: [Piece(own, _time(first), _time(last)) for own, first, last in group]
        for path, group in lineage.get(key, {}).items()
    }


def _apart(group: list[Piece]) -> Iterator[Piece]:
    """The files of a compaction that share no time with another of it."""
    known = [(piece.first, piece.last, piece) for piece in group if piece.first and piece.last]
    if len(known) < len(group):
        return
    latest: datetime | None = None
    ordered = sorted(known, key=lambda known: known[:2])
    for place, (first, last, piece) in enumerate(ordered):
        following = ordered[place + 1][0] if place + 1 < len(ordered) else None
        if (latest is None or latest < first) and (following is None or last < following):
            yield piece
        latest = max(last, latest) if latest else last


def _listed(file: DataFile) -> list[str | None]:
    times = (time.isoformat() if time else None for time in (file.first, file.last))
    return [file.path, *times]


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
