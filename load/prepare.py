"""A schema looked at and made ready: all tables are compared before any is made, so a refusal
touches nothing.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from lake import Lake
from lake.errors import LoadError, UsageError
from lake.table import Table
from load import withdrawal
from load.ddl import (
    MOST_NAME_BYTES,
    comments_sql,
    create_schema_sql,
    create_table_sql,
    literal,
    qualified,
)
from load.handshake import COLUMNS_SQL, UNIQUE_SQL, differences, found
from load.ledger import Entry, Key, Ledger
from load.plan import Plan, plan
from load.postgres import Database
from load.source import Partition, digests
from load.tables import FEEDS, LAKE_LOADS, RANGE_INDEXES, TABLES
from load.write import index_sqls

OLDEST_SERVER = 140_000

# Blocks that are new since an index of ranges was made or vacuumed are in none of its ranges, and
# are read for every question. $1 is the schema.
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
class State:
    """What a schema holds of ours.

    Attributes:
        has_schema: whether it is there.
        absent: our tables that are not there.
        entries: of the ledger, of tables that are there and hold rows.
        stale: our tables of which the ledger says that they hold rows, and they do not.
    """

    has_schema: bool = False
    absent: tuple[Table, ...] = tuple(TABLES.values())
    entries: dict[Key, Entry] = field(default_factory=dict)
    stale: tuple[Table, ...] = ()

    def forgotten(self) -> "State":
        """Return the same where the ledger no longer knows the content of what was loaded."""
        return replace(self, entries={key: e.forgotten() for key, e in self.entries.items()})

    def loaded_since(self, keys: Iterable[Key]) -> datetime | None:
        """Return the oldest time at which one of these partitions was loaded; None of none."""
        return min((at for key in keys if (at := self.entries[key].loaded_at)), default=None)


def check_schema_name(schema: str) -> None:
    """Refuse a name that no schema can have.

    Raises:
        UsageError: it is empty, too long for PostgreSQL, which would cut it, or holds a NUL.
    """
    if not schema or "\0" in schema or len(schema.encode()) > MOST_NAME_BYTES:
        raise UsageError(
            f"No schema can be called {schema!r}: give a name of 1 to {MOST_NAME_BYTES} bytes."
        )


def look(database: Database, schema: str) -> State:
    """Return what a schema holds of ours; nothing is changed.

    Raises:
        LoadError: a table of ours is there in another shape, or cannot be read, or the server is
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
    return State(has_schema, absent, held, stale)


def planned(
    database: Database, schema: str, lake: Lake, wanted: list[Partition], *, full: bool = False
) -> tuple[State, Plan]:
    """Return what a schema holds of ours and what a load has to do there; nothing is changed.

    Args:
        database: where to.
        schema: of the tables.
        lake: to load from.
        wanted: its partitions.
        full: send every partition, whatever the ledger says.

    Raises:
        LakeError: the lake cannot be read.
        LoadError: the load would be refused.
    """
    state = look(database, schema)
    if full:
        state = state.forgotten()
    absent = [table.name for table in state.absent]
    todo = plan(wanted, digests(wanted), state.entries, absent)
    withdrawal.check(lake, database.shown, todo.removed)
    return state, todo


def prepare(
    database: Database, schema: str, state: State, later: Collection[str], *, full: bool = False
) -> None:
    """Make what is absent, and strike entries of rows that are not there any more.

    Args:
        database: where to.
        schema: made where it is absent.
        state: of the schema.
        later: names of absent tables that are made with their rows, later.
        full: have the ledger forget what was loaded, so that a load that goes on after a kill sends
            the rest as well.

    Raises:
        LoadError: a table cannot be made; nothing was changed, unless the server went away in the
            commit.
    """
    try:
        for sql in preparing_sqls(schema, state, later):
            database.execute(sql)
        ledger = Ledger(database, schema)
        for table in state.stale:
            ledger.strike_table(table)
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
    """Bring indexes of ranges up to date with blocks that were added; a vacuum would do it later.

    Raises:
        LoadError: it failed; the indexes serve as before, only slower.
    """
    database.query(_SUMMARIZE_SQL, (schema,))
    database.commit()


def preparing_sqls(schema: str, state: State, later: Collection[str] = ()) -> Iterator[str]:
    """Return the statements that make what is absent, with all keys and indexes."""
    tables = [table for table in state.absent if table.name not in later]
    if state.absent and not state.has_schema:
        yield create_schema_sql(schema)
    for table in tables:
        yield create_table_sql(table, schema)
        yield from index_sqls(table, schema)
        yield from comments_sql(table, schema)


def existing(database: Database, schema: str) -> set[str]:
    """Return the names of our tables that are there.

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
