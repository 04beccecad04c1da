"""The schema check: whether an existing table can take our rows, by the database's catalogue.

ADBC sends binary values without conversion: PostgreSQL would store a 64-bit integer sent into
`double precision` as a different number, without an error. So a type that is not exactly the
declared one is refused before anything is sent.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from lake.table import Table
from load.ddl import SQL_TYPES

# $1 is the schema. One row for each column, or one without a column for a relation that has none.
COLUMNS_SQL = """
    SELECT c.relname::text, c.relkind::text, a.attname::text, format_type(a.atttypid, a.atttypmod),
           a.attnotnull, a.atthasdef OR a.attidentity <> ''
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE n.nspname = $1
    ORDER BY c.relname, a.attnum
"""

# $1 is the schema. One row for each column of each unique index over all rows.
UNIQUE_SQL = """
    SELECT c.relname::text, i.indexrelid::bigint, a.attname::text
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
    WHERE n.nspname = $1 AND i.indisunique AND i.indisvalid
      AND i.indpred IS NULL AND i.indexprs IS NULL AND k.place <= i.indnkeyatts
    ORDER BY 1, 2, k.place
"""

_TABLE_KINDS = ("r", "p")  # ordinary and partitioned tables
_OTHER_KINDS = {"m": "a materialized view", "v": "a view", "f": "a foreign table"}


class FoundColumn(NamedTuple):
    """A column in the catalogue.

    Attributes:
        name: of the column.
        type: as format_type() writes it.
        not_null: whether nulls are refused.
        has_default: whether a missing value gets a default.
    """

    name: str
    type: str
    not_null: bool
    has_default: bool


@dataclass(frozen=True, slots=True)
class Found:
    """A relation in the catalogue.

    Attributes:
        kind: one letter, as in pg_class.relkind; `r` is a table.
        columns: in order.
        unique: the sets of columns that have a unique index together.
    """

    kind: str
    columns: tuple[FoundColumn, ...]
    unique: tuple[frozenset[str], ...]


def found(
    columns: Iterable[Sequence[Any]], unique: Iterable[Sequence[Any]], names: Iterable[str]
) -> dict[str, Found]:
    """Return the relations with these names from the rows of COLUMNS_SQL and UNIQUE_SQL."""
    wanted = set(names)
    keys: dict[str, list[frozenset[str]]] = {}
    for (name, _), group in groupby(unique, key=lambda row: (row[0], row[1])):
        keys.setdefault(name, []).append(frozenset(row[2] for row in group))
    relations: dict[str, Found] = {}
    for (name, kind), group in groupby(columns, key=lambda row: (row[0], row[1])):
        if name in wanted:
            listed = tuple(FoundColumn(*row[2:]) for row in group if row[2] is not None)
            relations[name] = Found(kind, listed, tuple(keys.get(name, ())))
    return relations


def differences(table: Table, there: Found) -> list[str]:
    """Return the reasons why a relation cannot take the table's rows, one sentence each.

    Columns of the user are fine if they may be null or have a default.
    """
    if there.kind not in _TABLE_KINDS:
        return [f"{table.name} is {_OTHER_KINDS.get(there.kind, 'something else')}, not a table."]
    return [*_column_differences(table, there), *_extra_columns(table, there), *_key(table, there)]


def _column_differences(table: Table, there: Found) -> list[str]:
    columns = {column.name: column for column in there.columns}
    sentences = []
    for column in table.columns:
        name, wanted = f"{table.name}.{column.name}", SQL_TYPES[column.type]
        match = columns.get(column.name)
        if match is None:
            sentences.append(f"{name} ({wanted}) is missing.")
        elif match.type != wanted:
            sentences.append(f"{name} is {match.type}, not {wanted}.")
        elif match.not_null and column.nullable:
            sentences.append(f"{name} is NOT NULL, but must accept nulls.")
    return sentences


def _extra_columns(table: Table, there: Found) -> list[str]:
    return [
        f"{table.name}.{column.name}, a column of yours, is NOT NULL and has no default."
        for column in there.columns
        if column.name not in table.names and column.not_null and not column.has_default
    ]


def _key(table: Table, there: Found) -> list[str]:
    if frozenset(table.key) in there.unique:
        return []
    return [f"{table.name} has no unique index on ({', '.join(table.key)})."]
