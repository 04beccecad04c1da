"""The load: copies the lake's curated tables to PostgreSQL, partition by partition."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from threading import Lock

from lake import Lake
from lake.errors import LoadError
from load.connections import Connections, connected, settle
from load.database_address import DEFAULT_SCHEMA, LOCK_WAIT_S
from load.ledger import Key
from load.lock import lock
from load.plan import Fill, LoadPlan, PartitionJob
from load.postgres import Database
from load.prepare import check_schema_name, planned, prepare, summarize
from load.results import LoadProgress, LoadResult, TableCounts, silent
from load.source import Partition, partitions
from load.write import Sent, Writer


def load(
    lake: Lake,
    uri: str,
    *,
    schema: str = DEFAULT_SCHEMA,
    full: bool = False,
    lock_wait_s: float = LOCK_WAIT_S,
    report: Callable[[LoadProgress], None] = silent,
) -> LoadResult:
    """Load partitions whose content changed, and delete those that the lake no longer has.

    A missing table is one transaction: created, filled, given its keys, verified, committed. In
    existing tables a partition is one, or some that only have new rows: the load changes rows that
    are new, changed or deleted, verifies whole partitions by figures that the database computes,
    and commits. A failure undoes only its own transaction; loading again continues from there.

    Args:
        lake: to load from; missing curated tables count as empty.
        uri: libpq URI of the database.
        schema: created if it is missing.
        full: send every partition, whatever the ledger says, e.g. after rows were changed by hand.
        lock_wait_s: seconds to wait for a lock of another session.
        report: called after every sent partition, by one thread at a time.

    Raises:
        UsageError: the URI or the schema's name cannot be used.
        LakeError: the lake cannot be read.
        LoadError: the database cannot be reached or written, a table has other columns or keys, or
            its content differs from what was sent; the message names table and partition.
    """
    started = time.perf_counter()
    check_schema_name(schema)
    wanted: Future[list[Partition]] = Future()

    def read() -> None:
        settle(wanted, lambda: partitions(lake))
        wanted.result()

    def work(connections: Connections) -> LoadResult:
        lock(connections.open(), schema)
        database = connections.open()
        state, todo = planned(database, schema, lake, wanted.result, full=full)
        meter = _Meter(todo, report)
        if todo.is_needed or state.absent or state.stale:
            prepare(database, schema, state, [fill.table.name for fill in todo.fills], full=full)
            _change(connections, database, schema, todo, meter)
        return meter.result(state.loaded_since(todo.kept))

    return replace(connected(uri, work, lock_wait_s, read), seconds=time.perf_counter() - started)


def _change(
    connections: Connections, database: Database, schema: str, todo: LoadPlan, meter: "_Meter"
) -> None:
    """Carry out the plan, in an order that satisfies foreign keys on `instruments`."""

    def work(database: Database, piece: Fill | tuple[PartitionJob, ...]) -> None:
        writer = Writer(database, schema)
        if isinstance(piece, Fill):
            writer.fill(piece, lambda job: meter.count(job, Sent(job.partition.rows)))
        else:
            for job, sent in writer.send(*piece):
                meter.count(job, sent)

    for key in todo.removed:
        Writer(database, schema).remove(key)
        meter.count_removed(key)
    for job in todo.whole:
        work(database, (job,))
    pieces: list[Fill | tuple[PartitionJob, ...]] = [*todo.fills, *todo.groups]
    for _ in connections.each(database, work, pieces):
        pass
    if todo.jobs:
        with suppress(LoadError):  # all rows are committed already
            summarize(database, schema)


class _Meter:
    """Counts finished partitions by table, and reports them; thread-safe."""

    def __init__(self, todo: LoadPlan, report: Callable[[LoadProgress], None]) -> None:
        self._total = len(todo.all_jobs)
        self._tables = {name: TableCounts(unchanged=n) for name, n in todo.unchanged.items()}
        self._report = report
        self._done = self._rows = 0
        self._lock = Lock()

    def count(self, job: PartitionJob, sent: Sent) -> None:
        with self._lock:
            counts = self._tables[job.partition.key[0]]
            counts.loaded += 1
            counts.appended += sent.appended
            counts.rows += sent.rows
            self._done += 1
            self._rows += sent.rows
            self._report(LoadProgress(self._done, self._total, self._rows, *job.partition.key))

    def count_removed(self, key: Key) -> None:
        self._tables[key[0]].removed += 1

    def result(self, unchanged_since: datetime | None) -> LoadResult:
        counts = self._tables.values()
        loaded = sum(table.loaded for table in counts)
        return LoadResult(
            partitions_loaded=loaded,
            partitions_appended=sum(table.appended for table in counts),
            partitions_unchanged=sum(table.unchanged for table in counts),
            partitions_removed=sum(table.removed for table in counts),
            rows_loaded=sum(table.rows for table in counts),
            verified=True if loaded else None,
            unchanged_since=unchanged_since,
            tables=self._tables,
        )
