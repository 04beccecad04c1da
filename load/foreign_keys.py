"""Foreign keys of other tables on ours that would change those tables when our rows are deleted.

The lake decides which rows our tables have, but not what happens to other tables. So a deletion
that would cascade into rows of another table is refused.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from lake.errors import LoadError
from lake.table import Table
from load.ddl import left_sql, literal, qualified_name, quoted
from load.ledger import Key
from load.postgres import Database
from load.tables import TABLES, parameters

_ACTIONS = {"c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}

# $1 is the schema, $2 the table; partitions of a partitioned table count as the table. One row for
# each pair of columns.
_COLUMNS_SQL = f"""
    WITH ours AS (
        SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname = $2
    ), referred AS (
        SELECT oid FROM ours
        UNION SELECT part.relid FROM ours CROSS JOIN pg_partition_tree(ours.oid) AS part
    )
    SELECT n.nspname::text, c.relname::text, f.conname::text, f.confdeltype::text,
           own.attname::text, theirs.attname::text
    FROM referred t
    JOIN pg_constraint f ON f.confrelid = t.oid AND f.contype = 'f' AND f.conparentid = 0
    JOIN pg_class c ON c.oid = f.conrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL unnest(f.conkey, f.confkey) AS k(own, theirs)
    JOIN pg_attribute own ON own.attrelid = f.conrelid AND own.attnum = k.own
    JOIN pg_attribute theirs ON theirs.attrelid = f.confrelid AND theirs.attnum = k.theirs
    WHERE f.confdeltype IN ({", ".join(map(literal, _ACTIONS))})
    ORDER BY 1, 2, 3
"""


class _Reference(NamedTuple):
    """A foreign key that changes the rows of its table when our rows are deleted.

    Attributes:
        referring: the other table, with its schema, quoted.
        constraint: its name.
        action: `CASCADE`, `SET NULL` or `SET DEFAULT`.
        columns: pairs of its own column and the referred one.
    """

    referring: str
    constraint: str
    action: str
    columns: tuple[tuple[str, str], ...]


def check_left(database: Database, schema: str, key: Key) -> None:
    """Refuse to delete rows of a partition that are not staged if that would change other tables.

    The caller has locked these rows, so the rows that refer to them cannot change meanwhile.

    Raises:
        LoadError: the message names the other table and the constraint; nothing was changed.
    """
    table, partition = TABLES[key[0]], key[1]
    chosen = parameters(table, partition)
    for reference in _of_rows(database.query(_COLUMNS_SQL, (schema, table.name))):
        (count,) = database.query(_count_sql(reference, table, schema), chosen)[0]
        if count:
            raise LoadError(
                f"Rows of {reference.referring} ({count:,}) refer to rows deleted from the lake. "
                f"The load would change them: the foreign key {quoted(reference.constraint)} is "
                f"ON DELETE {reference.action}. Delete or change those rows yourself"
            )


def _of_rows(rows: Iterable[Sequence[Any]]) -> list[_Reference]:
    return [
        _Reference(
            qualified_name(schema, referring),
            name,
            _ACTIONS[action],
            tuple((row[4], row[5]) for row in columns),
        )
        for (schema, referring, name, action), columns in groupby(rows, lambda row: row[:4])
    ]


def _count_sql(reference: _Reference, table: Table, schema: str) -> str:
    same = " AND ".join(
        f"referring.{quoted(own)} = held.{quoted(theirs)}" for own, theirs in reference.columns
    )
    return (
        f"SELECT count(*) FROM {reference.referring} AS referring "
        f"WHERE EXISTS (SELECT {left_sql(table, schema)} AND {same})"
    )
