"""What compacted files of an append-only table stand for: the files as they were appended.

Their rows are where they were, in other files, so what was made from those can be seen to be made
from these. It is told by the commits that compacted.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from lake.files import DataFile
from lake.log import Commit

# What a compaction's commit calls its list, in the lineage.
LISTED = "compacted"


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
    """Return what a compaction's commit says of its files; pure.

    Args:
        swaps: files, and the one that stands for them.
    """
    return {file.path: [_listed(old) for old in group] for group, file in swaps}


def pieces_of(commits: Iterable[Commit]) -> Pieces:
    """Return what each compacted file stands for, down to files as they were appended; pure.

    Args:
        commits: of the table, all of them, in any order.
    """
    found: dict[str, tuple[Piece, ...]] = {}
    for commit in sorted(commits, key=lambda commit: commit.version):
        for path, group in commit.lineage.get(LISTED, {}).items():
            parts = [Piece(own, _time(first), _time(last)) for own, first, last in group]
            found[path] = tuple(p for part in parts for p in found.get(part.path, (part,)))
    return found


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


def _listed(file: DataFile) -> list[str | None]:
    times = (time.isoformat() if time else None for time in (file.first, file.last))
    return [file.path, *times]


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
