"""Small files of a table with a row a minute become few large ones; no row changes.

A commit that compacts says which files its new ones stand for; see `lake.pieces`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from lake import log, pieces
from lake.errors import ConflictError, LakeError
from lake.files import DataFile
from lake.fingerprint import proven_rows
from lake.snapshot import Snapshot
from lake.store import Lake
from lake.tables import Table

# Two years of minutes, about 10 MB; a file with as many rows is left alone.
MOST_ROWS = 1_048_576
# So many rows are rewritten before they are committed, which a kill would lose.
_ROWS_PER_COMMIT = 5_000_000
# A backfill may commit to the same partition at any time; it makes progress each time.
_TRIES = 5


@dataclass(slots=True)
class Compacted:
    """What a compaction did.

    Attributes:
        files_before: files that were read and are in newer versions no more.
        files_after: files that stand for them.
        rows: in them.
    """

    files_before: int = 0
    files_after: int = 0
    rows: int = 0


def groups(files: Iterable[DataFile], most_rows: int = MOST_ROWS) -> list[tuple[DataFile, ...]]:
    """Choose which files of one partition should become one; pure.

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
    chosen = [group for own in snapshot.by_partition().values() for group in groups(own)]
    return Compacted(
        files_before=sum(len(group) for group in chosen),
        files_after=len(chosen),
        rows=sum(file.rows for group in chosen for file in group),
    )


def compact(
    lake: Lake,
    table: Table,
    program: str,
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> Compacted:
    """Compact the small files of a partitioned table, partition by partition.

    A kill leaves whole commits only. Readers and past versions keep the files they have.

    Args:
        lake: that holds it.
        table: one that no build makes.
        program: name and version, for the lineage.
        report: told how many of how many groups of files are done.

    Raises:
        LakeError: the lake cannot be read or written, a file is damaged, or the files of a group
            hold a row twice.
        ConflictError: others kept committing to the same partitions.
    """
    done = Compacted()
    total = planned(lake.snapshot(table)).files_after
    for attempt in range(_TRIES):
        try:
            _all(lake, table, program, done, lambda count: report(count, total))
        except ConflictError:
            if attempt == _TRIES - 1:
                raise
            continue
        break
    return done


def _all(
    lake: Lake, table: Table, program: str, done: Compacted, report: Callable[[int], None]
) -> None:
    base = lake.snapshot(table)
    swaps: list[tuple[tuple[DataFile, ...], DataFile]] = []
    for name, own in base.by_partition().items():
        for group in groups(own):
            swaps.append((group, _merged(lake, base, name, group)))
            report(done.files_after + len(swaps))
            if sum(file.rows for _, file in swaps) >= _ROWS_PER_COMMIT:
                _commit(lake, base, swaps, program, done)
                base, swaps = lake.snapshot(table), []
    if swaps:
        _commit(lake, base, swaps, program, done)


def _merged(lake: Lake, base: Snapshot, name: str, group: tuple[DataFile, ...]) -> DataFile:
    rows = proven_rows(base, group).sort("ts")
    expected = sum(file.rows for file in group)
    if rows.height != expected or rows["ts"].n_unique() != expected:
        raise LakeError(
            f"{base.table.name} of {name} should hold {expected:,} rows of as many minutes in "
            f"{len(group)} files, but holds {rows['ts'].n_unique():,} minutes in {rows.height:,} "
            "rows. Nothing was changed; `basislake fingerprint --verify` names damaged files."
        )
    return lake.write(base.table, rows, name)


def _commit(
    lake: Lake,
    base: Snapshot,
    swaps: list[tuple[tuple[DataFile, ...], DataFile]],
    program: str,
    done: Compacted,
) -> None:
    removed = [file for group, _ in swaps for file in group]
    added = [file for _, file in swaps]
    lineage: dict[str, Any] = {
        "program": program,
        log.UPKEEP: "compaction",
        pieces.LISTED: pieces.listed(swaps),
    }
    lake.swap(base, removed, added, lineage)
    done.files_before += len(removed)
    done.files_after += len(added)
    done.rows += sum(file.rows for file in added)


def _runs(files: Iterable[DataFile], most_rows: int) -> Iterator[list[DataFile]]:
    """Files that are neighbours in time, as many as stay within so many rows."""
    run: list[DataFile] = []
    for file in sorted(files, key=lambda file: (str(file.first), file.path)):
        if file.rows >= most_rows:
            continue
        if run and sum(f.rows for f in run) + file.rows > most_rows:
            yield run
            run = []
        run.append(file)
    yield run
