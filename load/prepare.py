"""Checks and prepares a schema: all tables are checked before any is created, so a refusal
changes nothing.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from lake import Lake
from lake.errors import LoadError, UsageError
from lake.table import Table
from load import deletion_guard
from load.ddl import (
    MOST_NAME_BYTES,
    comments_sql,
    create_schema_sql,
    create_table_sql,
    literal,
    qualified,
)
from load.ledger import Entry, Key, Ledger
from load.plan import LoadPlan, plan
from load.postgres import Database
from load.schema_check import COLUMNS_SQL, UNIQUE_SQL, differences, found
from load.source import Partition, as_loaded
from load.tables import FEEDS, LAKE_LOADS, RANGE_INDEXES, TABLES
from load.write import index_sqls

OLDEST_SERVER = 140_000

# Blocks added since a range index was created or vacuumed are in none of its ranges, so every
# query reads them. $1 is the schema.
_SUMMARIZE_SQL = f"""
    SELECT brin_summarize_new_values(c.oid) FROM pg_class c
    JOIN pg_am a ON a.oid = c.relam AND a.amname = 'brin'
    JOIN pg_index i ON i.indexrelid = c.oid
    JOIN pg_class t ON t.oid = i.indrelid
    JOIN pg_namespace n ON n.oid = t.relnamespace
    WHERE n.nspname = $1 AND t.relname IN ({", ".join(map(literal, RANGE_INDEXES))})
      AND c.relkind = 'i' AND pg_has_role(c.relowner, 'USAGE')
"""


@dataclass(frozen=True, slots=True)
class SchemaState:
    """Our tables in a schema.

    Attributes:
        has_schema: whether it exists.
        absent: our tables that are missing.
        entries: of the ledger, for existing tables with rows.
        stale: our tables that have ledger entries but no rows.
    """

    has_schema: bool = False
    absent: tuple[Table, ...] = tuple(TABLES.values())
    entries: dict[Key, Entry] = field(default_factory=dict)
    stale: tuple[Table, ...] = ()

    def forgotten(self) -> "SchemaState":
        """Return the state without the digests in its entries, so that everything is sent again."""
        return replace(self, entries={key: e.forgotten() for key, e in self.entries.items()})

    def loaded_since(self, keys: Iterable[Key]) -> datetime | None:
        """Return the oldest loading time of these partitions; None without any."""
        return min((at for key in keys if (at := self.entries[key].loaded_at)), default=None)


def check_schema_name(schema: str) -> None:
    """Refuse an invalid name for a schema.

    Raises:
        UsageError: it is empty, contains a NUL, or is so long that PostgreSQL would truncate it.
    """
    if not schema or "\0" in schema or len(schema.encode()) > MOST_NAME_BYTES:
        raise UsageError(
            f"No schema can be called {schema!r}: give a name of 1 to {MOST_NAME_BYTES} bytes."
        )


def look(database: Database, schema: str) -> SchemaState:
    """Return the state of our tables in a schema; nothing is changed.

    Raises:
        LoadError: one of our tables has other columns or keys, or cannot be read, or the server is
            too old.
    """
    if database.version < OLDEST_SERVER:
        raise LoadError(
            f"{database.shown} is PostgreSQL {database.version // 10_000}; "
            f"{OLDEST_SERVER // 10_000} or newer is needed. Nothing was changed."
        )
    has_schema = database.query("SELECT 1 FROM pg_namespace WHERE nspname = $1", (schema,)) != []
    there = existing(database, schema)
    absent = tuple(table for name, table in TABLES.items() if name not in there)
    entries = {} if LAKE_LOADS in absent else Ledger(database, schema).entries()
    loaded = [table for name, table in TABLES.items() if name in {key[0] for key in entries}]
    stale = tuple(t for t in loaded if t in absent or _is_empty(database, t, schema))
    gone = {table.name for table in stale}
    held = {key: entry for key, entry in entries.items() if key[0] not in gone}
    return SchemaState(has_schema, absent, held, stale)


def planned(
    database: Database,
    schema: str,
    lake: Lake,
    wanted: Callable[[], list[Partition]],
    *,
    full: bool = False,
) -> tuple[SchemaState, LoadPlan]:
    """Return the state of our tables in a schema, and the plan of a load; nothing is changed.

    Args:
        database: to load into.
        schema: of the tables.
        lake: to load from.
        wanted: returns its partitions; called after the look at the database.
        full: send every partition, whatever the ledger says.

    Raises:
        LakeError: the lake cannot be read.
        LoadError: the load would be refused.
    """
    state = look(database, schema)
    if full:
        state = state.forgotten()
    absent, there = [table.name for table in state.absent], wanted()
    todo = plan(there, as_loaded(there, state.entries), state.entries, absent)
    deletion_guard.check(lake, database.shown, todo.removed)
    return state, todo


def prepare(
    database: Database,
    schema: str,
    state: SchemaState,
    later: Collection[str],
    *,
    full: bool = False,
) -> None:
    """Create missing tables, and delete ledger entries of missing rows.

    Args:
        database: to load into.
        schema: created if it is missing.
        state: of the schema.
        later: names of missing tables that are created later, with their rows.
        full: delete all digests from the ledger, so that a load that continues after a kill sends
            the rest as well.

    Raises:
        LoadError: a table cannot be created; nothing was changed, unless the connection was lost
            during the commit.
    """
    try:
        for sql in preparing_sqls(schema, state, later):
            database.execute(sql)
        ledger = Ledger(database, schema)
        for table in state.stale:
            ledger.delete_table(table)
        for table in (feed.table for feed in FEEDS if full):
            ledger.forget(table)
        database.commit()
    except LoadError as exc:
        unsure = "The server may have created them; no row was changed"
        kept = unsure if database.is_in_doubt else "Nothing was changed"
        raise LoadError(
            f"The tables in the schema {schema!r} could not be prepared. {kept}. "
            f"{exc}. Check the rights of the user, then load again."
        ) from exc


def summarize(database: Database, schema: str) -> None:
    """Add new blocks to range indexes; otherwise a later vacuum would do it.

    Raises:
        LoadError: it failed; the indexes still work, only slower.
    """
    database.query(_SUMMARIZE_SQL, (schema,))
    database.commit()


def preparing_sqls(schema: str, state: SchemaState, later: Collection[str] = ()) -> Iterator[str]:
    """Return the statements that create missing tables, with all keys and indexes."""
    tables = [table for table in state.absent if table.name not in later]
    if state.absent and not state.has_schema:
        yield create_schema_sql(schema)
    for table in tables:
        yield create_table_sql(table, schema)
        yield from index_sqls(table, schema)
        yield from comments_sql(table, schema)


def existing(database: Database, schema: str) -> set[str]:
    """Return the names of our existing tables.

    Raises:
        LoadError: one of them cannot take our rows.
    """
    relations = found(
        database.query(COLUMNS_SQL, (schema,)), database.query(UNIQUE_SQL, (schema,)), TABLES
    )
    sentences = [s for name, there in relations.items() for s in differences(TABLES[name], there)]
    if sentences:
        raise LoadError(
            f"The schema {schema!r} of {database.shown} has tables with other columns or keys: "
            f"{' '.join(sentences)} Nothing was changed. Rename or drop them, or load into another "
            "schema or database."
        )
    return set(relations)


def _is_empty(database: Database, table: Table, schema: str) -> bool:
    sql = f"SELECT EXISTS (SELECT 1 FROM {qualified(table, schema)})"
    return not database.query(sql)[0][0]
