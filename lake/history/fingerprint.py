"""The fingerprint of a lake: one sha256 of its content and one for each table. Lakes with the same
rows have the same fingerprint, however and wherever they are stored.

The digest of a slice covers its rows in order (`lake.files.content_hash`); a slice is one
instrument's month (UTC), or a whole table without partitions. A table's digest is the sha256 of the
lines `slice digest`, a lake's that of the lines `table digest`, each sorted by name and ended by a
line feed. Batches, versions, files, folders, tables without rows, and logs of actions have no
influence.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import polars as pl

from lake.errors import DamagedError, GoneError
from lake.files.content_hash import frame_digest
from lake.files.parquet import DataFile
from lake.files.slices import by_month, slices
from lake.files.sorted_rows import read_rows
from lake.lake import Lake
from lake.snapshot import Snapshot
from lake.table import Table
from lake.tables import CONTENT


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The digests of a lake's content.

    Attributes:
        lake: sha256 of all tables, as hexadecimal.
        tables: sha256 by table, including tables without rows.
        rows: by table.
        damaged: files, as `table/path`, whose rows do not match the digest in their name, or that
            are missing or cannot be read and so count as without rows; checked only if all rows
            are read.
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


def fingerprint(
    lake: Lake,
    threads: int,
    *,
    verify: bool = False,
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> Fingerprint:
    """Return the fingerprint of a lake.

    If a slice is one file that basislake wrote, it is not read: its name begins with the digest of
    its content. Each thread reads the others of one instrument at a time.

    Args:
        lake: at present, or as of a batch (`lake.history.as_of`).
        threads: partitions read at once; the largest, a perpetual of 4 M minutes, takes about
            0.4 GB.
        verify: read every file, and compare it with its name; an unreadable file is listed and does
            not end the check.
        report: called with the number of finished partitions and of all partitions.

    Raises:
        LakeError: there is no such lake, or it cannot be read.
    """
    still = lake.state()
    still.check_exists()
    snapshots = [still.snapshot(table) for table in CONTENT]
    parts = [part for snapshot in snapshots for part in _parts(snapshot)]
    lines: dict[str, list[str]] = {table.name: [] for table in CONTENT}
    damaged: list[str] = []
    with ThreadPoolExecutor(threads, thread_name_prefix="fingerprint") as pool:
        reads = pool.map(lambda part: _read(part, verify=verify), parts)
        for done, (part, (own, broken)) in enumerate(zip(parts, reads, strict=True), 1):
            lines[part.snapshot.table.name] += own
            damaged += broken
            report(done, len(parts))
    tables = {name: _sha256(own) for name, own in lines.items()}
    full = [f"{name} {tables[name]}" for name, own in lines.items() if own]
    rows = {snapshot.table.name: snapshot.rows for snapshot in snapshots}
    return Fingerprint(_sha256(full), tables, rows, tuple(damaged))


def rows_of(snapshot: Snapshot, files: tuple[DataFile, ...]) -> pl.DataFrame:
    """Return the rows in some files of one partition, without the partition's own column.

    Raises:
        LakeError: a file cannot be read.
    """
    rows = snapshot.rows_of(files)
    return rows.drop(snapshot.table.partition) if snapshot.table.partition else rows


def verified_rows(snapshot: Snapshot, files: tuple[DataFile, ...]) -> pl.DataFrame:
    """Return the rows in some files of one partition of the newest version, file after file,
    without the partition's own column.

    Raises:
        DamagedError: a file cannot be read, or its rows do not match the digest in its name.
        LakeError: the store does not answer, or refuses.
    """
    table, start = snapshot.table, 0
    rows = read_rows(table, snapshot.uri, files, snapshot.options, table.stored.names)
    for file in files:
        if not _is_as_named(snapshot, file, rows.slice(start, file.rows)):
            raise DamagedError(
                f"{table.name}/{file.path} is damaged: its rows do not match the digest in its "
                "name. No candle was removed. Restore the file from a backup; "
                "`basislake fingerprint --verify` lists all damaged files."
            )
        start += file.rows
    return rows


def _is_as_named(snapshot: Snapshot, file: DataFile, rows: pl.DataFrame) -> bool:
    """Whether a file's rows match the digest in its name, as far as it has one and all count."""
    is_whole = file.is_until(snapshot.until)
    return not is_whole or file.digest in (None, frame_digest(snapshot.table, rows))


def _parts(snapshot: Snapshot) -> Iterator[_Part]:
    if snapshot.gone:
        raise GoneError(snapshot.gone)
    if snapshot.held is not None:
        yield _Part(snapshot, "", ())
        return
    for name, files in snapshot.by_partition().items():
        if any(file.rows for file in files):
            yield _Part(snapshot, name, files)


def _read(part: _Part, *, verify: bool) -> tuple[list[str], list[str]]:
    """The lines of the slices of a part, and its damaged files."""
    table = part.snapshot.table
    if part.snapshot.held is not None:
        return _lines(table, "", part.snapshot.held), []
    return _verified(part) if verify else (_known_lines(part), [])


def _known_lines(part: _Part) -> list[str]:
    table = part.snapshot.table
    if table.partition is None:
        known = part.files[0].digest if len(part.files) == 1 else None
        if known and part.files[0].is_until(part.snapshot.until):
            return [f" {known}"]
        return _lines(table, "", rows_of(part.snapshot, part.files))
    own = slices(part.snapshot, [part.name])
    lines = [f"{slice_.name} {known}" for slice_ in own if (known := slice_.known_digest)]
    left = dict.fromkeys(file for s in own if not s.known_digest for file in s.files)
    if left:
        lines += _lines(table, part.name, rows_of(part.snapshot, tuple(left)))
    return lines


def _lines(table: Table, name: str, rows: pl.DataFrame) -> list[str]:
    """The lines of the slices of one instrument, or of a table without partitions."""
    if rows.is_empty():
        return []
    if table.partition is None:
        return [f" {frame_digest(table, rows)}"]
    return [f"{name}/{month:%Y-%m} {frame_digest(table, own)}" for month, own in by_month(rows)]


def _verified(part: _Part) -> tuple[list[str], list[str]]:
    table, at = part.snapshot.table, part.snapshot
    frames, damaged = [table.stored.empty()], []
    for file in part.files:
        try:
            rows = rows_of(at, (file,))
        except DamagedError:
            # No written file has the digest of no rows.
            rows = frames[0]
        frames.append(rows)
        if not _is_as_named(at, file, rows):
            damaged.append(f"{table.name}/{file.path}")
    return _lines(table, part.name, pl.concat(frames)), damaged


def _sha256(lines: list[str]) -> str:
    return hashlib.sha256("".join(f"{line}\n" for line in sorted(lines)).encode()).hexdigest()
