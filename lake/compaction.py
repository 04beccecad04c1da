"""Small files, of a table with a row a minute, become few large ones; no row changes.

Files of a table with partitions stay within their month, and every file keeps a digest in its
name.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from lake.carry_tables import CARRY, REJECTED
from lake.errors import ConflictError, LakeError
from lake.files import DataFile
from lake.fingerprint import proven_rows
from lake.slices import file_month
from lake.snapshot import Snapshot
from lake.store import Lake
from lake.table import Table
from lake.tables import CURATED, RAW

# About 10 MB; a file with as many rows is left alone.
MOST_ROWS = 1_048_576
# So many rows are rewritten before they are committed, which a kill would lose.
_ROWS_PER_COMMIT = 5_000_000
# A build may replace some of the files at any time; it makes progress each time.
_TRIES = 5
# Tables that grow by small files; a build or a batch replaces the others as a whole.
GROWING = (
    *RAW,
    *(table for table in CURATED if table.partition),
    *(c for c in CARRY if c != REJECTED),
)


@dataclass(slots=True)
class Compacted:
    """What a compaction did.

    Attributes:
        files_before: files that were read and are in newer versions no more.
        files_after: files that replace them.
        rows: in them.
    """

    files_before: int = 0
    files_after: int = 0
    rows: int = 0


def groups(files: Iterable[DataFile], most_rows: int = MOST_ROWS) -> list[tuple[DataFile, ...]]:
    """Choose which of some files should become one; pure.

    Neighbours in time, up to `most_rows` together. Each file is at most half of its group, so a row
    is rewritten at most about as often as its file's rows can double.
    """
    found: list[tuple[DataFile, ...]] = []
    for run in _runs(files, most_rows):
        chosen = list(run)
        while len(chosen) > 1 and 2 * max(f.rows for f in chosen) > sum(f.rows for f in chosen):
            chosen.remove(max(chosen, key=lambda file: file.rows))
        if len(chosen) > 1:
            found.append(tuple(chosen))
    return found


def planned(snapshot: Snapshot) -> Compacted:
    """Return what a compaction of a table would do."""
    chosen = list(_groups(snapshot))
    return Compacted(
        files_before=sum(len(group) for group in chosen),
        files_after=len(chosen),
        rows=sum(file.rows for group in chosen for file in group),
    )


def compact(
    lake: Lake,
    program: str,
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> Compacted:
    """Compact the small files of the tables that grow.

    A kill leaves whole commits only. Readers keep the files they have.

    Args:
        lake: that holds them.
        program: name and version, for the log.
        report: called with how many of how many groups of files are done.

    Raises:
        LakeError: the lake cannot be read or written, or a file is damaged.
        ConflictError: others kept replacing the same files.
    """
    done = Compacted()
    total = sum(planned(lake.snapshot(table)).files_after for table in GROWING)
    for table in GROWING:
        for attempt in range(_TRIES):
            try:
                _all(lake, table, program, done, lambda count: report(count, total))
            except ConflictError:
                if attempt == _TRIES - 1:
                    raise
                continue
            break
    return done


def _groups(snapshot: Snapshot) -> Iterator[tuple[DataFile, ...]]:
    for files in snapshot.by_partition().values():
        if snapshot.table.partition is None:
            yield from groups(files)
            continue
        months: dict[datetime | None, list[DataFile]] = {}
        for file in files:
            months.setdefault(file_month(file), []).append(file)
        for own in months.values():
            yield from groups(own)


def _all(
    lake: Lake, table: Table, program: str, done: Compacted, report: Callable[[int], None]
) -> None:
    base = lake.snapshot(table)
    swaps: list[tuple[tuple[DataFile, ...], DataFile]] = []
    for group in _groups(base):
        swaps.append((group, _merged(lake, base, group)))
        report(done.files_after + len(swaps))
        if sum(file.rows for _, file in swaps) >= _ROWS_PER_COMMIT:
            _commit(lake, base, swaps, program, done)
            base, swaps = lake.snapshot(table), []
    if swaps:
        _commit(lake, base, swaps, program, done)


def _merged(lake: Lake, base: Snapshot, group: tuple[DataFile, ...]) -> DataFile:
    rows = proven_rows(base, group)
    expected = sum(file.rows for file in group)
    if rows.height != expected:
        raise LakeError(
            f"{base.table.name} should hold {expected:,} rows in {len(group)} files, but holds "
            f"{rows.height:,}. Nothing was changed; `basislake fingerprint --verify` names damaged "
            "files."
        )
    return lake.write(base.table, rows, group[0].partition)


def _commit(
    lake: Lake,
    base: Snapshot,
    swaps: list[tuple[tuple[DataFile, ...], DataFile]],
    program: str,
    done: Compacted,
) -> None:
    removed = [file for group, _ in swaps for file in group]
    added = [file for _, file in swaps]
    info = {"program": program, "upkeep": "compaction"}
    lake.commit(base, added, info, removing=removed, counters={}, is_change=False)
    done.files_before += len(removed)
    done.files_after += len(added)
    done.rows += sum(file.rows for file in added)


def _runs(files: Iterable[DataFile], most_rows: int) -> Iterator[list[DataFile]]:
    """Files that are neighbours in time, or by their batches, as many as stay within so many
    rows.
    """
    run: list[DataFile] = []
    for file in sorted(
        files, key=lambda file: (str(file.first), file.batches or (0, 0), file.path)
    ):
        if file.rows >= most_rows:
            continue
        if run and sum(f.rows for f in run) + file.rows > most_rows:
            yield run
            run = []
        run.append(file)
    yield run
