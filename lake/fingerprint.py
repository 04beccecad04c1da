"""One sha256 for a lake and one for each table, from content alone: the same for two lakes that
hold the same rows, however and wherever they are stored.

A partition's digest is that of its rows in order (`lake.digest`). A table's is the sha256 of the
lines `partition digest`, a lake's that of the lines `table digest`, each sorted by name and ended
by a line feed. Versions, files, folders and tables without rows leave no trace.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import polars as pl

from lake.digest import frame_digest
from lake.errors import DamagedError
from lake.files import DataFile
from lake.rows import read_rows
from lake.snapshot import Snapshot
from lake.store import Lake
from lake.tables import TABLES, Table

_PUT_BACK = (
    "No candle was removed; put the file back from a backup. "
    "`basislake fingerprint --verify` names all damaged files."
)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a lake's content comes to.

    Attributes:
        lake: sha256 of all tables, as hexadecimal.
        tables: sha256 by table, without rows too.
        rows: by table.
        damaged: files, as `table/path`, that hold other rows than the digest in their name says, or
            are absent or cannot be read, which then count as without rows; looked for only where
            all rows are read.
    """

    lake: str
    tables: Mapping[str, str]
    rows: Mapping[str, int]
    damaged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    snapshot: Snapshot
    name: str
    files: tuple[DataFile, ...]


@dataclass(frozen=True, slots=True)
class _Read:
    digest: str
    damaged: tuple[str, ...] = ()


def fingerprint(
    lake: Lake,
    threads: int,
    *,
    verify: bool = False,
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> Fingerprint:
    """Return the fingerprint of a lake.

    A partition that is one file written by us is not read: its name begins with the digest of its
    content. Others are read, one in each thread at a time.

    Args:
        lake: as it is, or as it was (`lake.versions`).
        threads: partitions read at once; the largest, a perpetual of 4 M minutes, takes about
            0.4 GB.
        verify: read every file, and compare it with its name; one that cannot be read is named, and
            ends nothing.
        report: told how many of how many partitions are done.

    Raises:
        LakeError: there is no such lake, or it cannot be read.
    """
    lake.check_exists()
    snapshots = lake.snapshots().values()
    parts = [part for snapshot in snapshots for part in _parts(snapshot)]
    lines: dict[str, list[str]] = {name: [] for name in TABLES}
    damaged: list[str] = []
    with ThreadPoolExecutor(threads, thread_name_prefix="fingerprint") as pool:
        reads = pool.map(lambda part: _read(part, verify=verify), parts)
        for done, (part, read) in enumerate(zip(parts, reads, strict=True), 1):
            lines[part.snapshot.table.name].append(f"{part.name} {read.digest}")
            damaged += read.damaged
            report(done, len(parts))
    tables = {name: _sha256(own) for name, own in lines.items()}
    full = [f"{name} {tables[name]}" for name, own in lines.items() if own]
    rows = {snapshot.table.name: snapshot.rows for snapshot in snapshots}
    return Fingerprint(_sha256(full), tables, rows, tuple(damaged))


def digest_of(snapshot: Snapshot, files: tuple[DataFile, ...]) -> str:
    """Return the digest of the rows in some files of one partition; one file that we wrote is not
    read.

    Args:
        snapshot: that the files are of.
        files: of one of its partitions.

    Raises:
        LakeError: a file cannot be read.
    """
    known = files[0].digest if len(files) == 1 else None
    if known:
        return known
    return frame_digest(snapshot.table, rows_of(snapshot, files))


def rows_of(snapshot: Snapshot, files: tuple[DataFile, ...]) -> pl.DataFrame:
    """Return the rows in some files of one partition, without the partition's own column.

    Raises:
        LakeError: a file cannot be read.
    """
    rows = snapshot.rows_of(files)
    return rows.drop(snapshot.table.partition) if snapshot.table.partition else rows


def proven_rows(snapshot: Snapshot, files: tuple[DataFile, ...]) -> pl.DataFrame:
    """Return the rows in some files of one partition of the newest version, file after file,
    without the partition's own column.

    Raises:
        DamagedError: a file cannot be read, or holds other rows than the digest in its name says.
        LakeError: the store does not answer, or refuses.
    """
    table, start = snapshot.table, 0
    rows = read_rows(table, snapshot.uri, files, snapshot.options, table.stored.names)
    for file in files:
        _check(table, file, rows.slice(start, file.rows))
        start += file.rows
    return rows


def prove(snapshot: Snapshot, path: str) -> None:
    """Refuse a file of a partitioned table that cannot be read, or that holds other rows than the
    digest in its name says.

    Args:
        snapshot: of the table.
        path: of the file, which need not be of this version.

    Raises:
        DamagedError: so it is.
        LakeError: the store does not answer, or refuses.
    """
    table, file = snapshot.table, DataFile(path, None, 0, 0)
    try:
        rows = read_rows(table, snapshot.uri, [file], snapshot.options, table.stored.names)
    except DamagedError as exc:
        raise DamagedError(f"{exc} No candle was removed.") from exc
    _check(table, file, rows)


def _check(table: Table, file: DataFile, rows: pl.DataFrame) -> None:
    if file.digest not in (None, frame_digest(table, rows)):
        raise DamagedError(
            f"{table.name}/{file.path} holds other rows than its name says: it is damaged. "
            f"{_PUT_BACK}"
        )


def _parts(snapshot: Snapshot) -> Iterator[_Part]:
    for name, files in snapshot.by_partition().items():
        if any(file.rows for file in files):
            yield _Part(snapshot, name, files)


def _read(part: _Part, *, verify: bool) -> _Read:
    if not verify:
        return _Read(digest_of(part.snapshot, part.files))
    table = part.snapshot.table
    frames = [_rows_left(part.snapshot, file) for file in part.files]
    found = [frame_digest(table, frame) for frame in frames]
    whole = found[0] if len(found) == 1 else frame_digest(table, pl.concat(frames))
    damaged = tuple(
        f"{table.name}/{file.path}"
        for file, digest in zip(part.files, found, strict=True)
        if file.digest not in (None, digest)
    )
    return _Read(whole, damaged)


def _rows_left(snapshot: Snapshot, file: DataFile) -> pl.DataFrame:
    """The rows of a file, none where it cannot be read: their digest is that of no written file."""
    try:
        return rows_of(snapshot, (file,))
    except DamagedError:
        return snapshot.table.stored.empty()


def _sha256(lines: list[str]) -> str:
    return hashlib.sha256("".join(f"{line}\n" for line in sorted(lines)).encode()).hexdigest()
