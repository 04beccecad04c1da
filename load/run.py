"""The load: makes PostgreSQL hold what the lake's curated tables hold, partition by partition."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import NamedTuple

from lake import Lake
from lake.errors import LoadError
from load.ddl import qualified
from load.ledger import Entry, Key
from load.postgres import Database
from load.prepare import existing, lock, prepare
from load.source import Partition, partitions
from load.tables import FEEDS, TABLES
from load.write import Writer

# Each connection holds one partition in memory: 0.4 GB for the largest, a perpetual of 4 M minutes.
# On 2 cores two send 1.4 times what one sends, and more send no faster.
CONNECTIONS = 2


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a load is, told after every partition that was sent.

    Attributes:
        done: partitions sent so far.
        total: partitions to send.
        rows: sent so far.
        table: of the partition just sent.
        partition: just sent.
    """

    done: int
    total: int
    rows: int
    table: str
    partition: str


@dataclass(slots=True)
class TableCounts:
    """What a load did to one table.

    Attributes:
        loaded: partitions sent.
        unchanged: partitions that the database held already.
        removed: partitions that the lake no longer holds.
        rows: sent.
    """

    loaded: int = 0
    unchanged: int = 0
    removed: int = 0
    rows: int = 0


@dataclass(slots=True)
class LoadResult:
    """What a load did.

    Attributes:
        partitions_loaded: sent, because their content was new or changed.
        partitions_unchanged: not sent, because the database held their content already.
        partitions_removed: deleted, because the lake no longer holds them.
        rows_loaded: rows of the partitions sent.
        verified: whether the database's own figures of all that was sent equal the lake's; a load
            where they do not ends in an error instead.
        seconds: from start to the last commit.
        tables: the same counts, by table.
    """

    partitions_loaded: int = 0
    partitions_unchanged: int = 0
    partitions_removed: int = 0
    rows_loaded: int = 0
    verified: bool = False
    seconds: float = 0.0
    tables: dict[str, TableCounts] = field(default_factory=dict)


class Parity(NamedTuple):
    """A table's rows on both sides.

    Attributes:
        table: of PostgreSQL.
        lake_rows: that it should hold.
        database_rows: that it holds; 0 where it does not exist.
    """

    table: str
    lake_rows: int
    database_rows: int


def _silent(_: Progress) -> None:
    """Tell nobody."""


def load(
    lake: Lake,
    uri: str,
    *,
    schema: str = "public",
    full: bool = False,
    report: Callable[[Progress], None] = _silent,
) -> LoadResult:
    """Load the partitions whose content changed, and delete those that the lake no longer holds.

    Each partition is one transaction: deleted, sent, verified by figures that the database
    computes, committed. A failure leaves the partitions before it loaded and all others as they
    were; loading again goes on from there.

    Args:
        lake: to load from; curated tables that do not exist yet count as empty.
        uri: libpq URI of the database.
        schema: made where it is absent.
        full: send every partition, whatever the ledger says, e.g. after rows were changed by hand.
        report: called after every partition sent.

    Raises:
        UsageError: the URI cannot be read.
        LakeError: the lake cannot be read.
        LoadError: the database cannot be reached or written, has a table of ours in another shape,
            or does not hold what was sent; the message names the table and the partition.
    """
    started = time.perf_counter()
    wanted = {partition.key: partition for partition in partitions(lake)}
    result = LoadResult(tables={feed.table.name: TableCounts() for feed in FEEDS})
    with Database(uri) as database:
        lock(database, schema)
        entries = prepare(database, schema)
        if entries and not wanted:
            raise LoadError(
                f"The lake at {lake.uri} holds no curated rows, but {len(entries)} partitions were "
                f"loaded into {database.shown} before. Nothing was changed. Check the lake's "
                "address; to empty the database, drop its tables."
            )
        _remove_withdrawn(database, schema, sorted(entries.keys() - wanted.keys()), result)
        jobs = [_Job(partition, partition.digest()) for partition in wanted.values()]
        changed = [job for job in jobs if full or not _is_held(job, entries)]
        _send(uri, schema, changed, result, report)
    for name, counts in result.tables.items():
        counts.unchanged = sum(key[0] == name for key in wanted) - counts.loaded
    _total(result)
    result.seconds = time.perf_counter() - started
    return result


def parity(lake: Lake, uri: str, schema: str = "public") -> list[Parity]:
    """Return how many rows each table should hold and holds; changes nothing.

    Raises:
        UsageError: the URI cannot be read.
        LakeError: the lake cannot be read.
        LoadError: the database cannot be reached, or has a table of ours in another shape.
    """
    rows = dict.fromkeys((feed.table.name for feed in FEEDS), 0)
    for partition in partitions(lake):
        rows[partition.feed.table.name] += partition.rows
    with Database(uri) as database:
        there = existing(database, schema)
        return [Parity(name, rows[name], _count(database, schema, name, there)) for name in rows]


def _count(database: Database, schema: str, name: str, there: set[str]) -> int:
    if name not in there:
        return 0
    return int(database.query(f"SELECT count(*) FROM {qualified(TABLES[name], schema)}")[0][0])


class _Job(NamedTuple):
    partition: Partition
    digest: str


def _remove_withdrawn(database: Database, schema: str, keys: list[Key], result: LoadResult) -> None:
    writer = Writer(database, schema)
    for key in keys:
        if key[0] in result.tables:
            writer.remove(key)
            result.tables[key[0]].removed += 1


def _send(
    uri: str, schema: str, jobs: list[_Job], result: LoadResult, report: Callable[[Progress], None]
) -> None:
    """Replace the partitions over a few connections; the first failure ends it."""
    if not jobs:
        return
    sent = 0
    with ExitStack() as stack, ThreadPoolExecutor(min(CONNECTIONS, len(jobs))) as pool:
        writers: SimpleQueue[Writer] = SimpleQueue()
        for _ in range(min(CONNECTIONS, len(jobs))):
            writers.put(Writer(stack.enter_context(Database(uri)), schema))
        futures = {pool.submit(_replace, writers, job): job.partition for job in jobs}
        try:
            for done, future in enumerate(as_completed(futures), 1):
                partition, rows = futures[future], future.result()
                counts = result.tables[partition.feed.table.name]
                counts.loaded += 1
                counts.rows += rows
                sent += rows
                report(Progress(done, len(jobs), sent, *partition.key))
        finally:
            pool.shutdown(cancel_futures=True)


def _replace(writers: SimpleQueue[Writer], job: _Job) -> int:
    writer = writers.get()
    try:
        return writer.replace(*job)
    finally:
        writers.put(writer)


def _is_held(job: _Job, entries: Mapping[Key, Entry]) -> bool:
    entry = entries.get(job.partition.key)
    return entry is not None and entry.digest == job.digest


def _total(result: LoadResult) -> None:
    counts = result.tables.values()
    result.partitions_loaded = sum(table.loaded for table in counts)
    result.partitions_unchanged = sum(table.unchanged for table in counts)
    result.partitions_removed = sum(table.removed for table in counts)
    result.rows_loaded = sum(table.rows for table in counts)
    result.verified = True
