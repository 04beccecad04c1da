"""SQL text from the declarations; nothing here talks to a database."""

from lake.tables import Column, Table, Type

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
    return f"{quoted(schema)}.{quoted(table.name)}"


def create_schema_sql(schema: str) -> str:
    """Return the statement that makes a schema."""
    return f"CREATE SCHEMA {quoted(schema)}"


def create_table_sql(table: Table, schema: str) -> str:
    """Return the statement that makes a table, with its key as the primary key."""
    lines = [_column_sql(column) for column in table.columns]
    key = ", ".join(quoted(name) for name in table.key)
    body = ",\n    ".join([*lines, f"PRIMARY KEY ({key})"])
    return f"CREATE TABLE {qualified(table, schema)} (\n    {body}\n)"


def comments_sql(table: Table, schema: str) -> list[str]:
    """Return the statements that write the declaration's meanings and units into the catalogue."""
    name = qualified(table, schema)
    row = literal(f"One row is {table.row}.")
    return [f"COMMENT ON TABLE {name} IS {row}"] + [
        f"COMMENT ON COLUMN {name}.{quoted(column.name)} IS {literal(_described(column))}"
        for column in table.columns
    ]


def delete_sql(table: Table, schema: str) -> str:
    """Return the statement that deletes a partition: `$1`, or all of a table in one piece."""
    where = f" WHERE {quoted(table.partition)} = $1" if table.partition else ""
    return f"DELETE FROM {qualified(table, schema)}{where}"


def _column_sql(column: Column) -> str:
    not_null = "" if column.nullable else " NOT NULL"
    return f"{quoted(column.name)} {SQL_TYPES[column.type]}{not_null}"


def _described(column: Column) -> str:
    return f"{column.meaning} [{column.unit}]" if column.unit else column.meaning
