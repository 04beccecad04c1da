"""Whether the database holds what was sent: figures computed by it and by us, compared exactly.

A sum in a stated order is the same sequence of float64 additions on both sides, so it is equal to
the last bit; a tolerance would hide a row that is slightly wrong.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import polars as pl

from lake.tables import Column, Table, Type
from load.ddl import qualified, quoted


class Figure(NamedTuple):
    """One figure of a partition.

    Attributes:
        name: for messages.
        sql: the aggregate that the database computes.
        value: what it must be.
    """

    name: str
    sql: str
    value: Any


def figures(table: Table, frame: pl.DataFrame) -> list[Figure]:
    """Return the figures of a partition from its rows, which are in the table's order."""
    found = [Figure("count", "count(*)", frame.height)]
    for column in table.columns:
        name, series = quoted(column.name), frame[column.name]
        if column.type is Type.TIME and column.name in table.key:
            found.append(Figure(f"min of {column.name}", f"min({name})", series.min()))
            found.append(Figure(f"max of {column.name}", f"max({name})", series.max()))
        if column.nullable:
            filled = series.len() - series.null_count()
            found.append(Figure(f"count of {column.name}", f"count({name})", filled))
        if column.type is Type.FLOAT:
            found.append(_float_figure(table, column, series.drop_nulls()))
    return found


def figures_sql(table: Table, schema: str, wanted: Sequence[Figure]) -> str:
    """Return the query of the figures of a partition: `$1`, or all of a table in one piece."""
    where = f" WHERE {quoted(table.partition)} = $1" if table.partition else ""
    listed = ", ".join(figure.sql for figure in wanted)
    return f"SELECT {listed} FROM {qualified(table, schema)}{where}"


def mismatches(wanted: Sequence[Figure], got: Sequence[Any]) -> list[str]:
    """Return the figures that differ, one phrase each; none where all was stored as sent."""
    return [
        f"{figure.name} is {value!r} in the database and {figure.value!r} in the lake"
        for figure, value in zip(wanted, got, strict=True)
        if not _equal(figure.value, value)
    ]


def _float_figure(table: Table, column: Column, values: pl.Series) -> Figure:
    name, order = quoted(column.name), ", ".join(_ordered(table, part) for part in table.order)
    sums = values.cum_sum()
    if sums.is_infinite().any() and not values.is_infinite().any():
        # The server raises an error where finite numbers add up to infinity.
        return Figure(f"max of {column.name}", f"max({name})", values.max())
    total = sums[-1] if len(sums) else None
    return Figure(f"sum of {column.name}", f"sum({name} ORDER BY {order})", total)


def _ordered(table: Table, name: str) -> str:
    text = any(column.name == name and column.type is Type.TEXT for column in table.columns)
    return f'{quoted(name)} COLLATE "C"' if text else quoted(name)  # our frames are in byte order


def _equal(ours: Any, theirs: Any) -> bool:  # noqa: ANN401
    both_nan = ours != ours and theirs != theirs  # noqa: PLR0124  (NaN is the value that differs from itself)
    return bool(ours == theirs or both_nan)
