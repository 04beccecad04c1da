"""SQL text from the declarations; nothing here talks to a database."""

from collections.abc import Sequence

from lake.table import Column, Table, Type

# Exactly as PostgreSQL's format_type() writes them: the handshake compares the same words.
SQL_TYPES = {
    Type.TEXT: "text",
    Type.TEXTS: "text[]",
    Type.TIME: "timestamp with time zone",
    Type.DATE: "date",
    Type.FLOAT: "double precision",
    Type.INT: "bigint",
    Type.BOOL: "boolean",
}

# The rows of a partition on their way into its table, in the transaction that merges them.
STAGED = "basislake_staged"
_STAGED = f'pg_temp."{STAGED}"'

# A longer name is cut.
MOST_NAME_BYTES = 63

# In large tables columns are stored widest alignment first, so that no row holds padding between
# them: 8 bytes less in each row of `futures_ohlcv`. Queries name columns, and so does the load.
_PLACE = {
    Type.TIME: 0,
    Type.FLOAT: 0,
    Type.INT: 0,
    Type.DATE: 1,
    Type.BOOL: 2,
    Type.TEXT: 2,
    Type.TEXTS: 2,
}
# Rows of a partition are sent in the order of the key and never updated, so pages may be full.
_FULL_PAGES = "WITH (fillfactor = 100)"
# Blocks of 8 kB that one entry of a range index stands for: few enough to be read in no time, and
# the index of 13 M rows still takes less than 1 MB.
_BLOCKS_A_RANGE = 16


def quoted(name: str) -> str:
    """Return an identifier as PostgreSQL reads it literally; names get into SQL only this way.

    Raises:
        ValueError: the name is empty or holds a NUL; no identifier can.
    """
    if not name or "\0" in name:
        raise ValueError(f"{name!r} cannot be an identifier of PostgreSQL")
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text constant, whatever the server's standard_conforming_strings says."""
    doubled = text.replace("'", "''")
    return f"'{doubled}'" if "\\" not in text else "E'" + doubled.replace("\\", "\\\\") + "'"


def qualified(table: Table, schema: str) -> str:
    """Return the table's name with its schema."""
    return qualified_name(schema, table.name)


def qualified_name(schema: str, name: str) -> str:
    """Return the name of a relation with its schema."""
    return f"{quoted(schema)}.{quoted(name)}"


def create_schema_sql(schema: str) -> str:
    """Return the statement that makes a schema."""
    return f"CREATE SCHEMA {quoted(schema)}"


def create_table_sql(table: Table, schema: str, *, keyed: bool = True) -> str:
    """Return the statement that makes a table, with its key as the primary key unless that is to be
    added once the rows are there.
    """
    columns = sorted(table.columns, key=_place) if table.partition else table.columns
    lines = [_column_sql(column) for column in columns]
    body = ",\n    ".join([*lines, _key(table)] if keyed else lines)
    return f"CREATE TABLE {qualified(table, schema)} (\n    {body}\n)"


def add_key_sql(table: Table, schema: str) -> str:
    """Return the statement that gives a table made without one its primary key."""
    return f"ALTER TABLE {qualified(table, schema)} ADD {_key(table)}"


def range_index_sql(table: Table, schema: str, columns: Sequence[str]) -> str:
    """Return the statement that makes an index of the ranges of some columns, block by block."""
    names = ", ".join(quoted(name) for name in columns)
    return (
        f"CREATE INDEX ON {qualified(table, schema)} USING brin ({names}) "
        f"WITH (pages_per_range = {_BLOCKS_A_RANGE})"
    )


def comments_sql(table: Table, schema: str) -> list[str]:
    """Return the statements that write the declaration's meanings and units into the catalogue."""
    name = qualified(table, schema)
    row = literal(f"One row is {table.row}.")
    return [f"COMMENT ON TABLE {name} IS {row}"] + [
        f"COMMENT ON COLUMN {name}.{quoted(column.name)} IS {literal(_described(column))}"
        for column in table.columns
    ]


def stage_sql(table: Table, schema: str) -> str:
    """Return the statement that makes STAGED, a table of the transaction's own, for rows that are
    then merged into the table; its columns are the table's, with their collations.
    """
    return (
        f"CREATE TEMPORARY TABLE {quoted(STAGED)} ON COMMIT DROP AS "
        f"SELECT {_columns(table)} FROM {qualified(table, schema)} WITH NO DATA"
    )


def left_sql(table: Table, schema: str) -> str:
    """Return the clause `FROM ... WHERE ...` of the rows `held` of a partition that are not
    among the staged ones any more.
    """
    return (
        f"FROM {qualified(table, schema)} AS held WHERE {_of_partition(table)}"
        f"NOT EXISTS (SELECT FROM {_STAGED} AS sent WHERE {_match(table)})"
    )


def lock_left_sql(table: Table, schema: str) -> str:
    """Return the query that counts the rows of `left_sql` and locks them until the commit."""
    return f"SELECT count(*) FROM (SELECT {left_sql(table, schema)} FOR UPDATE OF held) AS rows"


def delete_left_sql(table: Table, schema: str) -> str:
    """Return the statement that deletes the rows of `left_sql`."""
    return f"DELETE {left_sql(table, schema)}"


def update_changed_sql(table: Table, schema: str) -> str:
    """Return the statement that gives the rows of a partition the values of the staged ones
    where one byte of them differs; others are not touched.
    """
    names = [quoted(name) for name in table.names if name not in table.key]
    values = ", ".join(f"{name} = sent.{name}" for name in names)
    held, sent = (
        f"ROW({', '.join(f'{of}.{n}' for n in names)})::record" for of in ("held", "sent")
    )
    return (
        f"UPDATE {qualified(table, schema)} AS held SET {values} FROM {_STAGED} AS sent "
        f"WHERE {_of_partition(table)}{_match(table)} AND {held} *<> {sent}"
    )


def insert_new_sql(table: Table, schema: str) -> str:
    """Return the statement that adds the staged rows that a partition does not hold."""
    order = ", ".join(quoted(name) for name in table.order)
    return (
        f"INSERT INTO {qualified(table, schema)} ({_columns(table)}) "
        f"SELECT {_columns(table)} FROM {_STAGED} AS sent WHERE NOT EXISTS "
        f"(SELECT FROM {qualified(table, schema)} AS held "
        f"WHERE {_of_partition(table)}{_match(table)}) ORDER BY {order}"
    )


def where_sql(table: Table) -> str:
    """Return the clause that chooses a partition by its `load.tables.parameters`; none for a table
    in one piece.
    """
    if table.partition is None:
        return ""
    time = quoted(table.order[0])
    return f" WHERE {quoted(table.partition)} = $1 AND {time} >= $2 AND {time} < $3"


def _columns(table: Table) -> str:
    return ", ".join(quoted(name) for name in table.names)


def _of_partition(table: Table) -> str:
    if table.partition is None:
        return ""
    time = quoted(table.order[0])
    return f"held.{quoted(table.partition)} = $1 AND held.{time} >= $2 AND held.{time} < $3 AND "


def _match(table: Table) -> str:
    """A staged row and one that is held are the same by key; the partition's name is known."""
    names = [quoted(name) for name in table.key if name != table.partition]
    return " AND ".join(f"sent.{name} = held.{name}" for name in names)


def _key(table: Table) -> str:
    return f"PRIMARY KEY ({', '.join(quoted(name) for name in table.key)}) {_FULL_PAGES}"


def _place(column: Column) -> int:
    return _PLACE[column.type]


def _column_sql(column: Column) -> str:
    not_null = "" if column.nullable else " NOT NULL"
    return f"{quoted(column.name)} {SQL_TYPES[column.type]}{not_null}"


def _described(column: Column) -> str:
    return f"{column.meaning} [{column.unit}]" if column.unit else column.meaning
