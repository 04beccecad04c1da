"""Compaction: merges small files of tables with a row a minute into few large ones; no row changes.

Files of a partitioned table stay within their month, and every file keeps a digest in its name.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from lake.carry_tables import CARRY, REJECTED
from lake.commit import retrying
from lake.errors import LakeError
from lake.files.parquet import DataFile
from lake.files.slices import file_month
from lake.files.sorted_rows import in_runs
from lake.history.fingerprint import verified_rows
from lake.lake import Lake
from lake.snapshot import Snapshot
from lake.table import Table
from lake.tables import BUILDS, CURATED, RAW

# About 10 MB; files with as many rows are left alone.
MOST_ROWS = 1_048_576
# Rows rewritten between two commits; a kill loses at most the work for these.
_ROWS_PER_COMMIT = 5_000_000
_TRIES = 5
# Tables that grow by small files; a build or a batch replaces the other tables as a whole.
GROWING = (
    *RAW,
    *(table for table in CURATED if table.partition),
    *(c for c in CARRY if c != REJECTED),
    BUILDS,
)


@dataclass(slots=True)
class Compacted:
    """Result of a compaction.

    Attributes:
        files_before: files that were read and that newer versions no longer use.
        files_after: files that replace them.
        rows: in those files.
    """

    files_before: int = 0
    files_after: int = 0
    rows: int = 0


def groups(files: Iterable[DataFile], most_rows: int = MOST_ROWS) -> list[tuple[DataFile, ...]]:
    """Choose which files to merge into one; pure.

    A group is adjacent in time and has up to `most_rows` rows. Each file is at most half of its
    group, so a row is rewritten at most once for each doubling of its file.
    """
    found: list[tuple[DataFile, ...]] = []
    small = [file for file in files if file.rows < most_rows]
    # Adjacent in time, or by their batches.
    small.sort(key=lambda file: (str(file.first), file.batches or (0, 0), file.path))
    for chosen in in_runs(small, lambda file: file.rows, most_rows):
        while len(chosen) > 1 and 2 * max(f.rows for f in chosen) > sum(f.rows for f in chosen):
            chosen.remove(max(chosen, key=lambda file: file.rows))
        if len(chosen) > 1:
            found.append(tuple(chosen))
    return found


def planned(lake: Lake) -> Compacted:
    """Return what a compaction would do.

    Raises:
        LakeError: the lake cannot be read.
    """
    chosen = [group for table in GROWING for group in _groups(lake.snapshot(table))]
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

    A kill leaves only complete commits. Readers keep the files they have opened.

    Args:
        lake: to compact.
        program: name and version, for the log.
        report: called with the number of finished groups and of all groups.

    Raises:
        LakeError: the lake cannot be read or written, or a file is damaged.
        ConflictError: other writers kept replacing the same files.
    """
    done, total = Compacted(), planned(lake).files_after
    for table in GROWING:
        # A concurrent build may replace some of the files; each try makes progress.
        retrying(_TRIES)(_all, lake, table, program, done, lambda count: report(count, total))
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
    rows = verified_rows(base, group)
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
    info = {"program": program, "maintenance": "compaction"}
    lake.commit(base, added, info, removing=removed, is_change=False)
    done.files_before += len(removed)
    done.files_after += len(added)
    done.rows += sum(file.rows for file in added)
