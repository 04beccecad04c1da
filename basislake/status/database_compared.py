"""The tables of a lake and of its database, compared for `status`, and printed."""

from collections.abc import Iterator, Mapping
from typing import Any

from basislake.output.columns import Heading
from basislake.output.tables import print_table
from lake import Lake
from lake.counted_words import counted
from load.database_address import DEFAULT_SCHEMA, LOCK_WAIT_S


def database_status(
    lake: Lake,
    uri: str,
    schema: str = DEFAULT_SCHEMA,
    lock_wait_s: float = LOCK_WAIT_S,
    *,
    exact: bool = False,
) -> dict[str, Any]:
    """Return each table in the lake and in the database: `{table: {lake, ledger, database, counted,
    behind, equal}}`.

    `lake`, `ledger` and `database` are numbers of rows: in the lake, as recorded in the ledger
    `lake_loads`, and in the table of the database. The last is counted if `exact` is set
    (`counted` is true); otherwise it is the ledger's. `behind` counts partitions that changed since
    the last load. `equal` is true if `lake` and `database` are equal and no partition is behind.
    """
    from load.preview import parity  # noqa: PLC0415  (the driver takes a moment)

    return {
        row.table: {
            "lake": row.lake_rows,
            "ledger": row.ledger_rows,
            "database": row.database_rows,
            "counted": row.counted_rows is not None,
            "behind": row.behind,
            "equal": row.is_equal,
        }
        for row in parity(lake, uri, schema, lock_wait_s, exact=exact)
    }


def show_database(tables: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the numbers of rows of each table in the lake and in the database, as
    `database_status` returns them.
    """
    is_exact = any(row["counted"] for row in tables.values())
    names = ("lake", "ledger", *(["database"] if is_exact else []), "behind", "equal")
    rows = [[table, *(row[name] for name in names)] for table, row in tables.items()]
    columns: list[str | Heading] = [
        "table",
        "rows in lake",
        "loaded",
        *(["counted"] if is_exact else []),
        Heading("to load", rank=1),
        "equal",
    ]
    print_table("PostgreSQL", columns, rows, note="\n".join(_notes(tables, is_exact=is_exact)))


def _notes(tables: Mapping[str, Mapping[str, Any]], *, is_exact: bool) -> Iterator[str]:
    changed = {
        table: row["database"] - row["ledger"]
        for table, row in tables.items()
        if row["database"] != row["ledger"]
    }
    for table, more in changed.items():
        words = f"{counted(abs(more), 'row')} {'more' if more > 0 else 'fewer'}"
        yield (
            f"{table} has {words} than were loaded: something other than `basislake load` changed "
            "it."
        )
    if changed:
        yield "`basislake load --verify` names the partitions; `load --full` sends everything."
    elif any(row["behind"] for row in tables.values()):
        yield "`basislake load` sends what changed; `load --full` sends everything."
    else:
        yield "`basislake load --verify` compares every cell."
    if not is_exact:
        yield "`loaded` comes from the table lake_loads; `--exact` counts the rows of each table."
