"""The load: makes PostgreSQL hold what the lake's curated tables hold, partition by partition."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, suppress
from queue import SimpleQueue
from threading import Lock
from typing import NamedTuple, TypeVar

from lake import Lake
from lake.errors import LoadError
from load import withdrawal
from load.address import DEFAULT_SCHEMA, LOCK_WAIT_S
from load.ddl import qualified
from load.plan import Fill, Job, Plan, plan
from load.postgres import Database
from load.prepare import State, check_schema_name, lock, look, prepare, preparing_sqls, summarize
from load.results import LoadResult, Progress, TableCounts, silent
from load.source import Partition, digests, partitions
from load.tables import FEEDS, TABLES
from load.write import Sent, Writer

# Each connection holds one partition in memory: 0.4 GB for the largest, a perpetual of 4 M minutes.
# On 2 cores two send 1.4 times what one sends, and more send no faster.
CONNECTIONS = 2

W = TypeVar("W")
R = TypeVar("R")


class Parity(NamedTuple):
    """A table on both sides.

    Attributes:
        table: of PostgreSQL.
        lake_rows: that it should hold.
        database_rows: that it holds; 0 where it does not exist.
        behind: partitions whose content is not what the ledger says was loaded.
    """

    table: str
    lake_rows: int
    database_rows: int
    behind: int

    @property
    def is_equal(self) -> bool:
        """Whether both sides hold the same, by row counts and by the digests of what was loaded."""
        return self.lake_rows == self.database_rows and not self.behind


class Step(NamedTuple):
    """What a load would do with one partition.

    Attributes:
        table: of PostgreSQL.
        partition: the instrument, or `all`.
        action: `load` (there is nothing yet), `replace`, `append` or `remove`.
        rows: that would be sent.
    """

    table: str
    partition: str
    action: str
    rows: int


class Preview(NamedTuple):
    """What a load would do.

    Attributes:
        ddl: statements that make what is absent.
        steps: a step for each partition that it would change.
        unchanged: partitions that the database holds already.
    """

    ddl: list[str]
    steps: list[Step]
    unchanged: int


def load(
    lake: Lake,
    uri: str,
    *,
    schema: str = DEFAULT_SCHEMA,
    full: bool = False,
    lock_wait_s: float = LOCK_WAIT_S,
    report: Callable[[Progress], None] = silent,
) -> LoadResult:
    """Load the partitions whose content changed, and delete those that the lake no longer holds.

    A table that is not there is one transaction: made, filled, given its keys, verified,
    committed. Elsewhere each partition is one: deleted, or kept where only rows at its end are new,
    sent, verified by figures that the database computes, committed. A failure leaves the
    transactions before it done and all others undone; loading again goes on from there.

    Args:
        lake: to load from; curated tables that do not exist yet count as empty.
        uri: libpq URI of the database.
        schema: made where it is absent.
        full: send every partition, whatever the ledger says, e.g. after rows were changed by hand.
        lock_wait_s: seconds to wait for a lock of another session.
        report: called after every partition sent, by one thread at a time.

    Raises:
        UsageError: the URI or the schema's name cannot be used.
        LakeError: the lake cannot be read.
        LoadError: the database cannot be reached or written, has a table of ours in another shape,
            or does not hold what was sent; the message names the table and the partition.
    """
    started = time.perf_counter()
    check_schema_name(schema)
    wanted = partitions(lake)
    with Database(uri, lock_wait_s) as database:
        lock(database, schema)
        state, todo = _planned(database, schema, lake, wanted, full=full)
        prepare(database, schema, state, [fill.table.name for fill in todo.fills])
        tables = {name: TableCounts(unchanged=n) for name, n in todo.unchanged.items()}
        writer = Writer(database, schema)
        for key in todo.withdrawn:
            writer.remove(key)
            tables[key[0]].removed += 1
        _send(uri, schema, lock_wait_s, todo, _Meter(len(todo.all_jobs), tables, report))
        if todo.jobs:
            with suppress(LoadError):  # all rows are there, and committed
                summarize(database, schema)
    return _result(tables, time.perf_counter() - started)


def preview(
    lake: Lake, uri: str | None, *, schema: str = DEFAULT_SCHEMA, full: bool = False
) -> Preview:
    """Return what a load would do; changes nothing.

    Args:
        lake: to load from.
        uri: libpq URI of the database, None for one that is still to be made.
        schema: of the tables.
        full: as if every partition were to be sent.

    Raises:
        UsageError: the URI or the schema's name cannot be used.
        LakeError: the lake cannot be read.
        LoadError: the load would be refused.
    """
    check_schema_name(schema)
    wanted = partitions(lake)
    if uri is None:
        state = State(has_schema=schema == DEFAULT_SCHEMA)
        todo = plan(wanted, digests(wanted), {}, [table.name for table in state.absent])
    else:
        with Database(uri) as database:
            state, todo = _planned(database, schema, lake, wanted, full=full)
    jobs = [job for fill in todo.fills for job in fill.jobs]
    steps = [Step(*key, "remove", 0) for key in todo.withdrawn]
    steps += [Step(*job.partition.key, "load", job.partition.rows) for job in jobs]
    steps += [_step(job, is_there=job.partition.key in state.entries) for job in todo.jobs]
    return Preview(list(preparing_sqls(schema, state)), steps, sum(todo.unchanged.values()))


def parity(lake: Lake, uri: str, schema: str = DEFAULT_SCHEMA) -> list[Parity]:
    """Return how many rows each table should hold and holds, and how many of its partitions are not
    what was loaded last; changes nothing.

    Raises:
        UsageError: the URI or the schema's name cannot be used.
        LakeError: the lake cannot be read.
        LoadError: the database cannot be reached, or has a table of ours in another shape.
    """
    check_schema_name(schema)
    wanted = partitions(lake)
    rows = dict.fromkeys((feed.table.name for feed in FEEDS), 0)
    for partition in wanted:
        rows[partition.feed.table.name] += partition.rows
    with Database(uri) as database:
        state = look(database, schema)
        absent = {table.name for table in state.absent}
        todo = plan(wanted, digests(wanted), state.entries, absent)
        counts = {name: 0 if name in absent else _count(database, schema, name) for name in rows}
    behind = [key[0] for key in (*todo.withdrawn, *(job.partition.key for job in todo.all_jobs))]
    return [Parity(name, rows[name], counts[name], behind.count(name)) for name in rows]


def over_connections(
    uri: str, lock_wait_s: float, work: Callable[[Database, W], R], pieces: Iterable[W]
) -> Iterator[tuple[W, R]]:
    """Do pieces of work, each over one of a few connections, and yield them as they are done.

    A connection whose work failed is closed, which undoes what was not committed.

    Raises:
        BasislakeError: a piece failed; those that were not begun are left undone.
    """
    listed = list(pieces)
    count = min(CONNECTIONS, len(listed))
    if not count:
        return
    with ExitStack() as stack, ThreadPoolExecutor(count) as pool:
        free: SimpleQueue[Database | None] = SimpleQueue()
        for _ in range(count):
            free.put(stack.enter_context(Database(uri, lock_wait_s)))

        def do(piece: W) -> R:
            database = free.get()
            kept = None
            try:
                database = database or stack.enter_context(Database(uri, lock_wait_s))
                done = work(database, piece)
                kept = database
            finally:
                # What is still open in it would count from the next one's commit on.
                free.put(kept)
                if database and not kept:
                    database.close()
            return done

        futures = {pool.submit(do, piece): piece for piece in listed}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


class _Meter:
    """Counts what was sent, by table, and reports it; for several threads."""

    def __init__(
        self, total: int, tables: dict[str, TableCounts], report: Callable[[Progress], None]
    ) -> None:
        self._total = total
        self._tables = tables
        self._report = report
        self._done = self._rows = 0
        self._lock = Lock()

    def count(self, job: Job, sent: Sent) -> None:
        with self._lock:
            counts = self._tables[job.partition.key[0]]
            counts.loaded += 1
            counts.appended += sent.appended
            counts.rows += sent.rows
            self._done += 1
            self._rows += sent.rows
            self._report(Progress(self._done, self._total, self._rows, *job.partition.key))


def _planned(
    database: Database, schema: str, lake: Lake, wanted: list[Partition], *, full: bool
) -> tuple[State, Plan]:
    state = look(database, schema)
    absent = [table.name for table in state.absent]
    todo = plan(wanted, digests(wanted), state.entries, absent, full=full)
    withdrawal.check(lake, database.shown, todo.withdrawn)
    return state, todo


def _send(uri: str, schema: str, lock_wait_s: float, todo: Plan, meter: _Meter) -> None:
    def work(database: Database, piece: Fill | Job) -> None:
        writer = Writer(database, schema)
        if isinstance(piece, Fill):
            writer.fill(piece, lambda job: meter.count(job, Sent(job.partition.rows)))
        else:
            meter.count(piece, writer.send(piece))

    pieces: list[Fill | Job] = [*todo.fills, *todo.jobs]
    for _ in over_connections(uri, lock_wait_s, work, pieces):
        pass


def _step(job: Job, *, is_there: bool) -> Step:
    partition, held = job.partition, job.held
    if held and held.rows < partition.rows and partition.begins_with(partition.read(), held):
        return Step(*partition.key, "append", partition.rows - held.rows)
    return Step(*partition.key, "replace" if is_there else "load", partition.rows)


def _count(database: Database, schema: str, name: str) -> int:
    return int(database.query(f"SELECT count(*) FROM {qualified(TABLES[name], schema)}")[0][0])


def _result(tables: dict[str, TableCounts], seconds: float) -> LoadResult:
    counts = tables.values()
    return LoadResult(
        partitions_loaded=sum(table.loaded for table in counts),
        partitions_appended=sum(table.appended for table in counts),
        partitions_unchanged=sum(table.unchanged for table in counts),
        partitions_removed=sum(table.removed for table in counts),
        rows_loaded=sum(table.rows for table in counts),
        verified=True,
        seconds=seconds,
        tables=tables,
    )
