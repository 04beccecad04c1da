"""A preview of a load, and row counts of lake and database; nothing is changed."""

from datetime import datetime
from typing import NamedTuple

from lake import Lake
from lake.table import Table
from load.connections import Connections, connected
from load.database_address import DEFAULT_SCHEMA, LOCK_WAIT_S
from load.ddl import literal, qualified
from load.plan import PartitionJob, plan
from load.postgres import Database
from load.prepare import SchemaState, check_schema_name, look, planned, preparing_sqls
from load.source import as_loaded, partitions
from load.tables import FEEDS, TABLES


class Parity(NamedTuple):
    """A table in lake and database.

    Attributes:
        table: of PostgreSQL.
        lake_rows: rows that it should have.
        ledger_rows: rows loaded into it, by the ledger; 0 if the ledger is absent or empty.
        counted_rows: rows that it has; 0 if it does not exist, None if nobody counted them.
        behind: partitions whose content differs from the digest in the ledger.
        bytes: size in the database, with indexes.
        loaded_at: time of the last load of one of its partitions (UTC); None without any.
    """

    table: str
    lake_rows: int
    ledger_rows: int
    counted_rows: int | None
    behind: int
    bytes: int = 0
    loaded_at: datetime | None = None

    @property
    def database_rows(self) -> int:
        """Rows in the database: counted if somebody counted them, otherwise by the ledger."""
        return self.ledger_rows if self.counted_rows is None else self.counted_rows

    @property
    def is_equal(self) -> bool:
        """Whether row counts agree and no partition is behind."""
        return self.lake_rows == self.database_rows and not self.behind


class LoadStep(NamedTuple):
    """What a load would do with one partition.

    Attributes:
        table: of PostgreSQL.
        partition: the instrument and month, or `all`.
        action: `load` (it is new), `replace`, `append` or `remove`.
        rows: that would be sent.
    """

    table: str
    partition: str
    action: str
    rows: int


class Preview(NamedTuple):
    """The preview of a load.

    Attributes:
        ddl: statements that create missing tables.
        steps: a step for each partition that it would change.
        unchanged: partitions that the database has already.
    """

    ddl: list[str]
    steps: list[LoadStep]
    unchanged: int


def preview(
    lake: Lake,
    uri: str | None,
    *,
    schema: str = DEFAULT_SCHEMA,
    full: bool = False,
    lock_wait_s: float = LOCK_WAIT_S,
) -> Preview:
    """Return what a load would do; nothing is changed.

    Args:
        lake: to load from.
        uri: libpq URI of the database, None for one that does not exist yet.
        schema: of the tables.
        full: as if every partition were sent.
        lock_wait_s: seconds to wait for a lock of another session.

    Raises:
        UsageError: the URI or the schema's name cannot be used.
        LakeError: the lake cannot be read.
        LoadError: the load would be refused.
    """
    check_schema_name(schema)
    wanted = partitions(lake)
    if uri is None:
        state = SchemaState(has_schema=schema == DEFAULT_SCHEMA)
        todo = plan(wanted, (), {}, [table.name for table in state.absent])
    else:
        state, todo = connected(
            uri,
            lambda connections: planned(
                connections.open(), schema, lake, lambda: wanted, full=full
            ),
            lock_wait_s,
        )
    steps = [LoadStep(*key, "remove", 0) for key in todo.removed]
    steps += [_step(job, is_there=job.partition.key in state.entries) for job in todo.all_jobs]
    return Preview(list(preparing_sqls(schema, state)), steps, sum(todo.unchanged.values()))


def parity(
    lake: Lake,
    uri: str,
    schema: str = DEFAULT_SCHEMA,
    lock_wait_s: float = LOCK_WAIT_S,
    *,
    exact: bool = False,
) -> list[Parity]:
    """Return for each table how many rows it should have and has, and how many of its partitions
    changed since they were loaded; nothing is changed.

    Args:
        lake: to compare with.
        uri: libpq URI of the database.
        schema: of the tables.
        lock_wait_s: seconds to wait for a lock of another session.
        exact: count the rows of each table, which reads all of it. By default the rows are those
            that the ledger records, and a change that somebody made by hand does not show.

    Raises:
        UsageError: the URI or the schema's name cannot be used.
        LakeError: the lake cannot be read.
        LoadError: the database cannot be reached, or a table has other columns or keys.
    """
    check_schema_name(schema)
    wanted = partitions(lake)
    rows = dict.fromkeys((feed.table.name for feed in FEEDS), 0)
    for partition in wanted:
        rows[partition.feed.table.name] += partition.rows

    def work(connections: Connections) -> tuple[SchemaState, dict[str, tuple[int | None, int]]]:
        database = connections.open()
        state = look(database, schema)
        there = [TABLES[name] for name in rows if TABLES[name] not in state.absent]
        return state, {
            table.name: _rows_and_bytes(database, schema, table, exact=exact) for table in there
        }

    state, there = connected(uri, work, lock_wait_s)
    absent = [table.name for table in state.absent]
    todo = plan(wanted, as_loaded(wanted, state.entries), state.entries, absent)
    behind = [key[0] for key in (*todo.removed, *(job.partition.key for job in todo.all_jobs))]
    found = []
    for name, lake_rows in rows.items():
        counted, size = there.get(name, (0 if exact else None, 0))
        entries = [entry for key, entry in state.entries.items() if key[0] == name]
        loaded = sum(entry.rows for entry in entries)
        at = max((e.loaded_at for e in entries if e.loaded_at), default=None)
        found.append(Parity(name, lake_rows, loaded, counted, behind.count(name), size, at))
    return found


def _step(job: PartitionJob, *, is_there: bool) -> LoadStep:
    partition, held = job.partition, job.held
    if held and job.stored and partition.begins_with(partition.read(), held):
        return LoadStep(*partition.key, "append", partition.rows - held.rows)
    return LoadStep(*partition.key, "replace" if is_there else "load", partition.rows)


def _rows_and_bytes(
    database: Database, schema: str, table: Table, *, exact: bool
) -> tuple[int | None, int]:
    name = qualified(table, schema)
    ((size,),) = database.query(f"SELECT pg_total_relation_size({literal(name)})")
    if not exact:
        return None, int(size)
    ((rows,),) = database.query(f"SELECT count(*) FROM {name}")
    return int(rows), int(size)
