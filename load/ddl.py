"""Generates SQL from the declarations; it does not access a database."""

from collections.abc import Sequence

from lake.table import Column, Table, Type

# Exactly as PostgreSQL's format_type() writes them: the schema check compares these texts.
SQL_TYPES = {
    Type.TEXT: "text",
    Type.TEXTS: "text[]",
    Type.TIME: "timestamp with time zone",
    Type.DATE: "date",
    Type.FLOAT: "double precision",
    Type.INT: "bigint",
    Type.BOOL: "boolean",
}

# Table for the rows of a partition in the transaction that merges them.
STAGED = "basislake_staged"
_STAGED = f'pg_temp."{STAGED}"'

# PostgreSQL truncates longer names.
MOST_NAME_BYTES = 63

# Large tables store their columns by decreasing alignment, so that rows contain no padding: 8 bytes
# less in each row of `futures_ohlcv`. Queries and loads name columns, so the order does not matter.
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
# Blocks of 8 kB in one entry of a range index: few enough to be read quickly, and the index of
# 13 M rows still takes less than 1 MB.
_BLOCKS_A_RANGE = 16


def quoted(name: str) -> str:
    """Return a quoted identifier; names are put into SQL only by this function.

    Raises:
        ValueError: the name is empty or contains a NUL; no identifier can.
    """
    if not name or "\0" in name:
        raise ValueError(f"{name!r} cannot be an identifier of PostgreSQL")
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text constant that is valid under any standard_conforming_strings."""
    doubled = text.replace("'", "''")
    return f"'{doubled}'" if "\\" not in text else "E'" + doubled.replace("\\", "\\\\") + "'"


def qualified(table: Table, schema: str) -> str:
    """Return the table's name with its schema."""
    return qualified_name(schema, table.name)


def qualified_name(schema: str, name: str) -> str:
    """Return the name of a relation with its schema."""
    return f"{quoted(schema)}.{quoted(name)}"


def create_schema_sql(schema: str) -> str:
    """Return the statement that creates a schema."""
    return f"CREATE SCHEMA {quoted(schema)}"


def create_table_sql(table: Table, schema: str, *, keyed: bool = True) -> str:
    """Return the statement that creates a table, with its primary key unless the key is to be added
    after the rows.
    """
    columns = sorted(table.columns, key=_place) if table.partition else table.columns
    lines = [_column_sql(column) for column in columns]
    body = ",\n    ".join([*lines, _key(table)] if keyed else lines)
    return f"CREATE TABLE {qualified(table, schema)} (\n    {body}\n)"


def add_key_sql(table: Table, schema: str) -> str:
    """Return the statement that adds the primary key to a table created without it."""
    return f"ALTER TABLE {qualified(table, schema)} ADD {_key(table)}"


def range_index_sql(table: Table, schema: str, columns: Sequence[str]) -> str:
    """Return the statement that creates an index of the block ranges of some columns."""
    names = ", ".join(quoted(name) for name in columns)
    return (
        f"CREATE INDEX ON {qualified(table, schema)} USING brin ({names}) "
        f"WITH (pages_per_range = {_BLOCKS_A_RANGE})"
    )


def comments_sql(table: Table, schema: str) -> list[str]:
    """Return the statements that write the declaration's meanings and units as comments."""
    name = qualified(table, schema)
    row = literal(f"One row is {table.row}.")
    return [f"COMMENT ON TABLE {name} IS {row}"] + [
        f"COMMENT ON COLUMN {name}.{quoted(column.name)} IS {literal(_described(column))}"
        for column in table.columns
    ]


def stage_sql(table: Table, schema: str) -> str:
    """Return the statement that creates STAGED, a temporary table of the transaction, for rows to
    merge into the table; it has the table's columns and their collations.
    """
    return (
        f"CREATE TEMPORARY TABLE {quoted(STAGED)} ON COMMIT DROP AS "
        f"SELECT {_columns(table)} FROM {qualified(table, schema)} WITH NO DATA"
    )


def left_sql(table: Table, schema: str) -> str:
    """Return the clause `FROM ... WHERE ...` of the rows `held` of a partition that are missing
    from the staged rows.
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
    """Return the statement that updates the rows of a partition that differ from the staged rows
    in at least one byte.
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
    """Return the statement that inserts the staged rows that a partition lacks."""
    order = ", ".join(quoted(name) for name in table.order)
    return (
        f"INSERT INTO {qualified(table, schema)} ({_columns(table)}) "
        f"SELECT {_columns(table)} FROM {_STAGED} AS sent WHERE NOT EXISTS "
        f"(SELECT FROM {qualified(table, schema)} AS held "
        f"WHERE {_of_partition(table)}{_match(table)}) ORDER BY {order}"
    )


def where_sql(table: Table, values: Sequence[str] = ("$1", "$2", "$3")) -> str:
    """Return the clause that selects a partition by its `load.tables.parameters`; empty for a table
    in one piece.
    """
    if table.partition is None:
        return ""
    time = quoted(table.order[0])
    name, first, until = values
    return f" WHERE {quoted(table.partition)} = {name} AND {time} >= {first} AND {time} < {until}"


def _columns(table: Table) -> str:
    return ", ".join(quoted(name) for name in table.names)


def _of_partition(table: Table) -> str:
    if table.partition is None:
        return ""
    time = quoted(table.order[0])
    return f"held.{quoted(table.partition)} = $1 AND held.{time} >= $2 AND held.{time} < $3 AND "


def _match(table: Table) -> str:
    """Staged and stored rows match by key; the partition's name is known."""
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
