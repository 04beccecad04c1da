"""A schema made ready: all tables are compared before any is made: a refusal touches nothing."""

from lake.errors import LoadError
from lake.tables import Table
from load.ddl import comments_sql, create_schema_sql, create_table_sql, qualified
from load.handshake import COLUMNS_SQL, UNIQUE_SQL, differences, found
from load.ledger import Entry, Key, Ledger
from load.postgres import Database
from load.tables import LAKE_LOADS, TABLES

# Two loads into one schema would delete and send the same rows; the lock goes with the connection.
_LOCK_SQL = "SELECT pg_try_advisory_lock(hashtextextended('basislake load into ' || $1, 0))"


def lock(database: Database, schema: str) -> None:
    """Keep other loads out of a schema until the connection is closed.

    Raises:
        LoadError: another load is at work there; nothing was changed.
    """
    if not database.query(_LOCK_SQL, (schema,))[0][0]:
        raise LoadError(
            f"Another load is writing to the schema {schema!r} of {database.shown}. Nothing was "
            "changed. Wait for its end, then load again."
        )


def prepare(database: Database, schema: str) -> dict[Key, Entry]:
    """Make what is absent and return the ledger; existing tables are compared first and not
    changed.

    Entries of tables that are new, or that somebody emptied, are struck: their rows are not there
    any more.

    Raises:
        LoadError: a table of ours is there in another shape, or a table cannot be made; nothing was
            changed.
    """
    there = existing(database, schema)
    absent = [table for name, table in TABLES.items() if name not in there]
    try:
        _create(database, schema, absent)
        ledger = Ledger(database, schema)
        for name in {key[0] for key in ledger.entries()} & set(TABLES):
            if TABLES[name] in absent or _is_empty(database, TABLES[name], schema):
                ledger.strike_table(TABLES[name])
        entries = ledger.entries()
        database.commit()
    except LoadError as exc:
        raise LoadError(
            f"The tables in the schema {schema!r} could not be made ready. Nothing was changed. "
            f"{exc}. Check the rights of the user, then load again."
        ) from exc
    return entries


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
            f"The schema {schema!r} of {database.shown} holds tables of another shape: "
            f"{' '.join(sentences)} Nothing was changed. Rename or drop them, or load into another "
            "schema or database."
        )
    return set(relations)


def _create(database: Database, schema: str, absent: list[Table]) -> None:
    if absent and not database.query("SELECT 1 FROM pg_namespace WHERE nspname = $1", (schema,)):
        database.execute(create_schema_sql(schema))
    for table in absent:
        for sql in (create_table_sql(table, schema), *comments_sql(table, schema)):
            database.execute(sql)


def _is_empty(database: Database, table: Table, schema: str) -> bool:
    if table is LAKE_LOADS:
        return False
    sql = f"SELECT EXISTS (SELECT 1 FROM {qualified(table, schema)})"
    return not database.query(sql)[0][0]
