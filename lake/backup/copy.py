"""Copies a lake to another folder or store: data files first, then one commit for each table.

The finished copy is an independent lake with the same rows and batches. Copying again transfers
what is new, and resumes a copy that was killed.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow.fs as pafs

from lake.backup.overlap import check_apart
from lake.batches import newest_batch
from lake.carry_tables import RAW_CARRY
from lake.commit import set_properties
from lake.counted_words import counted
from lake.errors import ConflictError, DamagedError, LakeError
from lake.files import parquet
from lake.files.parquet import DataFile
from lake.history.fingerprint import Fingerprint, fingerprint
from lake.lake import Lake
from lake.library_errors import explained
from lake.location.conditional_put import BY_RENAME, has_links
from lake.properties.origin import check_origin, set_origin
from lake.snapshot import Snapshot
from lake.state import BUILD, COPIED
from lake.table import BATCH, Table
from lake.tables import (
    ASKS,
    BUILDS,
    COVERAGE,
    CURATED,
    INSTRUMENTS,
    RAW,
    RAW_CANDLES,
    RECORDS,
)

# Each table is copied after its source tables; the row of a build comes last.
_ORDER = (RAW_CANDLES, *RAW_CARRY, RECORDS, INSTRUMENTS, ASKS, COVERAGE, *CURATED, BUILDS)
# Each thread has one file in memory, 40 MB for the largest.
_COPIES_AT_ONCE = 4
_DOCUMENTS = "runs"
_CHANGING_DOCUMENTS = 20


@dataclass(slots=True)
class Copied:
    """Result of a copy, with the check that source and copy have the same rows.

    Attributes:
        batch: the newest complete one in both lakes.
        files: data files that were copied.
        bytes: in them.
        held: data files that the copy already had at the start.
        is_equal: whether the fingerprint of the copy, with all rows read again, is the source's.
        fingerprint: of the source.
        mended: damaged files of the copy that were copied again.
        damaged: files of the copy, as `table/path`, whose rows do not match the digest in their
            name or cannot be read, and that could not be repaired.
        damaged_source: the same for the source; checked if the copy differs.
    """

    batch: int = 0
    files: int = 0
    bytes: int = 0
    held: int = 0
    is_equal: bool = False
    fingerprint: str = ""
    mended: int = 0
    damaged: tuple[str, ...] = ()
    damaged_source: tuple[str, ...] = ()


def copy(
    source: Lake,
    target: Lake,
    program: str,
    threads: int,
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> Copied:
    """Copy a lake, or its new files to an earlier copy, and verify the copy by its fingerprint. A
    damaged file of the copy is copied again if the source's file is sound.

    Others may write to the source meanwhile; the next copy transfers their commits.

    Args:
        source: to copy from.
        target: an empty place, or an earlier copy.
        program: name and version, for the log.
        threads: partitions that are read at once to verify.
        report: called with the number of copied files and of all files to copy.

    Raises:
        UsageError: the places overlap (`lake.backup.overlap`), or hold data of two exchanges.
        ConflictError: another writer committed to the target meanwhile; its commit stays.
        LakeError: a lake cannot be read or written, or the target has other content. Files already
            copied stay, and copying again resumes.
    """
    check_apart(source, target)
    if target.is_local and not has_links(Path(target.uri)):
        target = Lake(target.uri, {**target.options, **BY_RENAME})
    still = source.state()
    still.snapshots()
    origin = still.snapshot(INSTRUMENTS).origin
    if origin:
        check_origin(target, origin)
    for table in (*RAW, BUILDS):
        _check_copy(still, target, table)
    steps = [_step(still.snapshot(table), target) for table in _ORDER]
    done = Copied(batch=newest_batch(still))
    done.held = sum(len(step.snapshot.files) - len(step.lacking) for step in steps)
    # Files that the target should have, but lacks or has only in part.
    done.mended = sum(len({*step.lacking} & {*step.base.files}) for step in steps)
    total = sum(len(step.snapshot.files) for step in steps)
    if origin:
        set_origin(target, origin, program)
    for step in steps:
        _data(step, done, lambda: report(done.held + done.files, total))
        _commit(step, target, program)
    _copy_properties(still, target, program)
    _copy_documents(source, target)
    _verify(still, target, done, threads)
    return done


@dataclass(frozen=True, slots=True)
class _Step:
    """A table to copy, its state in the target, and the files that the target lacks."""

    snapshot: Snapshot
    base: Snapshot
    lacking: tuple[DataFile, ...]


def _check_copy(source: Lake, target: Lake, table: Table) -> None:
    """Refuse a target that is not an earlier copy: its last rows differ from the source's."""
    ours, held, column = source.snapshot(table), target.snapshot(table), _counter(table)
    newest = held.counter(column)
    if not newest:
        return
    if newest > ours.counter(column) or not _last(held, newest).equals(_last(ours, newest)):
        raise LakeError(
            f"{target.uri} is another lake, or somebody wrote to it after the last copy: the last "
            f"rows of its table {table.name} are not in {source.uri}. Nothing was changed there. "
            "Choose an empty place or an earlier copy."
        )


def _last(snapshot: Snapshot, newest: int) -> pl.DataFrame:
    """The rows of a batch, or of a build, in order."""
    table, of_it = snapshot.table, pl.col(_counter(snapshot.table)) == newest
    rows = snapshot.read(of_it) if table is BUILDS else snapshot.since(newest - 1, of_it)
    return rows.select(table.names).sort(table.key)


def _counter(table: Table) -> str:
    return BUILD if table in (*CURATED, BUILDS) else BATCH


def _step(snapshot: Snapshot, target: Lake) -> _Step:
    base = target.snapshot(snapshot.table)
    if not snapshot.files:
        return _Step(snapshot, base, ())
    with explained(f"the files of {snapshot.table.name} to be copied cannot be listed"):
        held = {info.path: info.size for info in parquet.below(_store(base))}
    lacking = tuple(file for file in snapshot.files if held.get(file.path) != file.bytes)
    return _Step(snapshot, base, lacking)


def _data(step: _Step, done: Copied, report: Callable[[], None]) -> None:
    """Copy the files of a table that the target lacks."""
    if not step.lacking:
        return
    at = step.snapshot
    with (
        explained(f"{at.table.name} cannot be copied from {at.uri} to {step.base.uri}"),
        ThreadPoolExecutor(_COPIES_AT_ONCE) as pool,
    ):
        own, other = map(_store, (at, step.base))
        for file in pool.map(lambda file: _copied(at.table, own, other, file), step.lacking):
            done.files += 1
            done.bytes += file.bytes
            report()


def _store(side: Lake | Snapshot) -> pafs.FileSystem:
    return parquet.filesystem(side.uri, side.options)


def _copied(table: Table, own: pafs.FileSystem, other: pafs.FileSystem, file: DataFile) -> DataFile:
    try:
        data = parquet.get(own, file.path)
    except FileNotFoundError as exc:
        raise LakeError(
            f"{table.name}/{file.path} no longer exists: the source is damaged, or maintenance "
            "deleted the file meanwhile. Files already copied stay. Run the command again."
        ) from exc
    if len(data) != file.bytes:
        raise LakeError(
            f"{table.name}/{file.path} has {counted(len(data), 'byte')}, but its commit "
            f"recorded {file.bytes:,}: the source is damaged. Files already copied stay."
        )
    parquet.put(other, file.path, data)
    return file


def _commit(step: _Step, target: Lake, program: str) -> None:
    """Commit the target's table so that it has exactly the files of the source's."""
    at, base, name = step.snapshot, step.base, _counter(step.snapshot.table)
    wanted, held = ({file.path: file for file in side.files} for side in (at, base))
    added = [file for path, file in wanted.items() if path not in held]
    removed = [file for path, file in held.items() if path not in wanted]
    number = at.counter(name)
    counters = {name: number} | ({COPIED: number} if at.table in CURATED else {})
    if at.version is None or (not added and not removed and base.counter(name) == number):
        return
    try:
        info = {"program": program}
        target.commit(base, added, info, removing=removed, counters=counters, is_whole=True)
    except ConflictError as exc:
        raise ConflictError(
            f"Another writer committed to {at.table.name} at {base.uri} during the copy. That "
            "commit is kept, and the rest was not copied. Choose an empty place to which nothing "
            "else writes."
        ) from exc


def _copy_properties(source: Lake, target: Lake, program: str) -> None:
    """Properties of the whole lake, such as its scope."""
    ours, base = source.snapshot(INSTRUMENTS).properties, target.snapshot(INSTRUMENTS)
    changed = {name: text for name, text in ours.items() if base.properties.get(name) != text}
    if changed:
        set_properties(base, changed, {"program": program})


def _copy_documents(source: Lake, target: Lake) -> None:
    """The records of runs, which `explain` names; records of finished runs do not change."""
    if source.is_local and not Path(source.uri).exists():
        return
    with explained(f"{_DOCUMENTS} cannot be copied from {source.uri} to {target.uri}"):
        own, other = map(_store, (source, target))
        held = set(parquet.listed(other, _DOCUMENTS))
        paths = sorted(parquet.listed(own, _DOCUMENTS), key=_age, reverse=True)
        for place, path in enumerate(paths):
            if place < _CHANGING_DOCUMENTS or path not in held:
                parquet.put(other, path, parquet.get(own, path))


def _age(path: str) -> tuple[bool, str]:
    """Sort key of documents: those of runs, whose names begin with a year, change and come last."""
    return path.rpartition("/")[2][:1].isdigit(), path


def _verify(source: Lake, target: Lake, done: Copied, threads: int) -> None:
    """Compare the copy with its source, and copy damaged files of the copy again if the source's
    are sound.
    """
    expected = _expected(source, threads)
    found = fingerprint(target.state(), threads, verify=True)
    if found.damaged or expected is None or found.tables != expected.tables:
        done.damaged_source = fingerprint(source, threads, verify=True).damaged
    again = [path for path in found.damaged if path not in done.damaged_source]
    if again:
        _mend(source, target, again)
        done.mended += len(again)
        found = fingerprint(target.state(), threads, verify=True)
    if expected is None and _are_named(source):
        # The names of the files are the source's, and contain the digests of their rows.
        expected = found
    done.damaged = found.damaged
    done.fingerprint = expected.lake if expected else ""
    done.is_equal = expected is not None and found.tables == expected.tables and not found.damaged


def _expected(source: Lake, threads: int) -> Fingerprint | None:
    """The fingerprint of the source; None if computing it needs a damaged file."""
    try:
        return fingerprint(source, threads)
    except DamagedError:
        return None


def _are_named(source: Lake) -> bool:
    """Whether the name of each file contains the digest of its rows."""
    return all(file.digest for at in source.snapshots().values() for file in at.files)


def _mend(source: Lake, target: Lake, damaged: Iterable[str]) -> None:
    """Copy files, named as `table/path`, again."""
    with explained(f"damaged files of {target.uri} cannot be copied again from {source.uri}"):
        own, other = map(_store, (source, target))
        for path in damaged:
            parquet.put(other, path, parquet.get(own, path))
