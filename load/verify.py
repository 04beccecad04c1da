"""Verifies that the database has what was sent, by figures that both sides compute.

The sums are of integers computed from the values' bits. Unlike sums of floats they are exact and
the same in any order, so the database may scan in any order, and one different bit is detected.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa

from lake.table import Column, Table, Type
from load.ddl import literal, qualified, quoted, where_sql
from load.value_text import worded

# The first version of PostgreSQL that can cast bytes to a number.
_CASTS_BYTES = 180_000
# PostgreSQL counts days and microseconds from this date.
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_EPOCH_US = int(_EPOCH.timestamp()) * 1_000_000
_EPOCH_DAY = (_EPOCH.date() - date(1970, 1, 1)).days
_HASH_DIGITS = 8
_COMMON_TEXTS = 3


class Aggregate(NamedTuple):
    """One figure of a partition.

    Attributes:
        name: for messages.
        sql: the aggregate that the database computes.
        value: the expected value.
    """

    name: str
    sql: str
    value: Any


def figures(table: Table, frame: pl.DataFrame, server: int) -> list[Aggregate]:
    """Return the figures of a partition from its rows, in any order.

    The aggregates of one partition compute the figures of any other of the table as well.

    Args:
        table: the declaration.
        frame: all rows of the partition.
        server: version of PostgreSQL, as `server_version_num` has it.
    """
    found = [Aggregate("count", "count(*)", frame.height)]
    for column in table.columns:
        name, series = quoted(column.name), frame[column.name]
        if column.type is Type.TIME and column.name in table.key:
            found.append(Aggregate(f"min of {column.name}", f"min({name})", series.min()))
            found.append(Aggregate(f"max of {column.name}", f"max({name})", series.max()))
        if column.nullable:
            filled = series.len() - series.null_count()
            found.append(Aggregate(f"count of {column.name}", f"count({name})", filled))
        if column.name != table.partition:
            # As text, for the driver has no type for such a number.
            sql = f"sum({_number_sql(column, series, server)})::text"
            found.append(Aggregate(f"sum of {column.name}", sql, _sum(column, series.drop_nulls())))
    return found


def figures_sql(table: Table, schema: str, wanted: Sequence[Aggregate]) -> str:
    """Return the query of the figures of partitions, a row each, the partition's name first. Its
    parameters are lists: names, instruments, starts and ends (see `load.tables.parameters`).
    """
    listed = ", ".join(figure.sql for figure in wanted)
    where = where_sql(table, ("part.instrument", "part.first", "part.until"))
    types = ("text", "text", "timestamptz", "timestamptz")
    lists = ", ".join(f"${number}::{name}[]" for number, name in enumerate(types, 1))
    parts = f"unnest({lists}) AS part(name, instrument, first, until)"
    of_part = f"SELECT {listed} FROM {qualified(table, schema)}{where}"
    return f"SELECT part.name, figures.* FROM {parts}, LATERAL ({of_part}) AS figures"


def all_figures_sql(table: Table, schema: str, wanted: Sequence[Aggregate]) -> str:
    """Return the query of the figures of all partitions, a row each, the partition's name first."""
    listed = ", ".join(figure.sql for figure in wanted)
    name = quoted(table.partition or "")
    return f"SELECT {name}, {listed} FROM {qualified(table, schema)} GROUP BY {name}"


def mismatches(wanted: Sequence[Aggregate], got: Sequence[Any]) -> list[str]:
    """Return the figures that differ, one phrase each; empty if all values agree."""
    return [
        f"{figure.name} is {worded(value)} in the database and {worded(figure.value)} in the lake"
        for figure, value in zip(wanted, got, strict=True)
        if figure.value != value
    ]


def bits(series: pl.Series) -> pl.Series:
    """Return floats as the integers of their 8 bytes, so that -0.0 differs from 0.0."""
    return pl.Series(series.name, series.rechunk().to_arrow().view(pa.int64()), pl.Int64)


def _number_sql(column: Column, series: pl.Series, server: int) -> str:
    """Return SQL for the integer of a value in a sum; its speed depends on the series."""
    name = quoted(column.name)
    match column.type:
        case Type.FLOAT:
            return _bytes_sql(f"float8send({name})", server)
        case Type.TIME:
            return _bytes_sql(f"timestamptz_send({name})", server)
        case Type.DATE:
            return f"({name} - DATE '{_EPOCH:%Y-%m-%d}')"
        case Type.BOOL:
            return f"{name}::int"
        case Type.INT:
            return name
        case Type.TEXT:
            return _text_sql(name, series)
        case Type.TEXTS:
            raise ValueError(f"lists have no figure, as in {column.name}")


def _text_sql(name: str, series: pl.Series) -> str:
    """Return SQL for the first bits of a text's sha256 as a number; for the most common texts the
    number is a constant, which takes a tenth of the time.
    """
    digest = f"encode(sha256(convert_to({name}, 'UTF8')), 'hex')"
    number = f"('x' || left({digest}, {_HASH_DIGITS}))::bit({4 * _HASH_DIGITS})::bigint"
    counts = series.drop_nulls().value_counts(sort=True, name="n").head(_COMMON_TEXTS)
    known = [f"WHEN {literal(text)} THEN {_hash(text)}" for text, _ in counts.iter_rows()]
    return f'CASE {name} COLLATE "C" {" ".join(known)} ELSE {number} END' if known else number


def _bytes_sql(bytes_: str, server: int) -> str:
    """Return SQL for 8 bytes as a number; without the cast it is three times as slow."""
    if server >= _CASTS_BYTES:
        return f"{bytes_}::bigint"
    return f"('x' || encode({bytes_}, 'hex'))::bit(64)::bigint"


def _sum(column: Column, values: pl.Series) -> str | None:
    """Return the sum of the numbers of `_number_sql`; None without values, as in SQL."""
    if values.is_empty():
        return None
    match column.type:
        case Type.FLOAT:
            numbers = bits(values)
        case Type.TIME:
            numbers = values.to_physical() - _EPOCH_US
        case Type.DATE:
            numbers = values.to_physical().cast(pl.Int64) - _EPOCH_DAY
        case Type.TEXT:
            counts = values.value_counts(name="n")
            return str(sum(_hash(text) * n for text, n in counts.iter_rows()))
        case _:
            numbers = values
    return str(numbers.cast(pl.Int128).sum())


def _hash(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:_HASH_DIGITS], 16)
