"""Declarations of tables and columns, and the schemas derived from them.

A declaration has columns, types, units, key and order. The Polars and Arrow schemas, empty frames
and casts are derived here, the Delta schema in `lake.commit`, the DDL in `load.ddl`, and the
documents in `docs.write`.
"""

from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    import pyarrow as pa


class Type(Enum):
    """A column's type: its Polars type and its Arrow type."""

    TEXT = (pl.String, lambda pa: pa.string())
    TEXTS = (pl.List(pl.String), lambda pa: pa.list_(pa.string()))
    TIME = (pl.Datetime("us", "UTC"), lambda pa: pa.timestamp("us", tz="UTC"))
    DATE = (pl.Date, lambda pa: pa.date32())
    FLOAT = (pl.Float64, lambda pa: pa.float64())
    INT = (pl.Int64, lambda pa: pa.int64())
    BOOL = (pl.Boolean, lambda pa: pa.bool_())

    @property
    def polars(self) -> Any:  # noqa: ANN401  (a Polars type, or an instance of one)
        """The Polars type."""
        return self.value[0]

    @property
    def arrow(self) -> "pa.DataType":
        """The Arrow type."""
        import pyarrow as pa  # noqa: PLC0415  (reading a lake on disk needs none)

        arrow: pa.DataType = self.value[1](pa)
        return arrow


# The column with the number of the ingest commit of a row; see `lake.batches`.
BATCH = "batch"


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: as written in every table and query.
        type: see `Type`.
        meaning: one phrase for the reader of the table.
        unit: of the values; empty if they have none.
        nullable: whether a value may be null.
    """

    name: str
    type: Type
    meaning: str
    unit: str = ""
    nullable: bool = False


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        name: its folder in the lake, its view in DuckDB, or its name in PostgreSQL.
        row: what one row is.
        columns: in order.
        key: the columns whose values are unique together.
        order: the columns that sort the rows, within a partition if there are partitions; those of
            the key by default.
        partition: the column that partitions the rows; None without partitions.
    """

    name: str
    row: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    order: tuple[str, ...] = ()
    partition: str | None = None

    def __post_init__(self) -> None:
        """Set the default order."""
        object.__setattr__(self, "order", self.order or self.key)

    @property
    def names(self) -> list[str]:
        """The names of the columns, in order."""
        return [column.name for column in self.columns]

    @cached_property
    def content(self) -> tuple[Column, ...]:
        """The columns that a digest covers: all except the partition and the batch."""
        return tuple(c for c in self.columns if c.name not in (self.partition, BATCH))

    @cached_property
    def stored(self) -> "Table":
        """The table as stored in its files: the partition column is in their paths only."""
        columns = tuple(column for column in self.columns if column.name != self.partition)
        key = tuple(name for name in self.key if name != self.partition)
        return replace(self, columns=columns, key=key, partition=None)

    @cached_property
    def polars_schema(self) -> pl.Schema:
        """The Polars schema, columns in order."""
        return pl.Schema({column.name: column.type.polars for column in self.columns})

    @cached_property
    def arrow_schema(self) -> "pa.Schema":
        """The Arrow schema, columns in order, with nullability."""
        import pyarrow as pa  # noqa: PLC0415  (likewise)

        return pa.schema(
            [pa.field(c.name, c.type.arrow, nullable=c.nullable) for c in self.columns]
        )

    def empty(self) -> pl.DataFrame:
        """Return a frame of this table without rows."""
        return pl.DataFrame(schema=self.polars_schema)

    def cast(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the frame with exactly this table's columns, types and row order.

        Raises:
            polars.exceptions.PolarsError: a column is missing, or a value does not fit its type.
        """
        # Series by series: for a few rows an expression over all columns is slower.
        rows = pl.DataFrame([frame[c.name].cast(c.type.polars, strict=True) for c in self.columns])
        # Checking the order is cheaper than sorting sorted rows.
        is_sorted = len(self.order) == 1 and rows[self.order[0]].is_sorted()
        return rows if is_sorted else rows.sort(self.order, maintain_order=True)

    def to_arrow(self, frame: pl.DataFrame) -> "pa.Table":
        """Return the frame as Arrow in exactly this table's schema.

        Strings are old-style, as ADBC needs them.

        Raises:
            ValueError: a column that may not be null holds a null.
        """
        for column in self.columns:
            if not column.nullable and frame[column.name].null_count():
                raise ValueError(f"{self.name}.{column.name} holds a null")
        arrow = frame.select(self.names).to_arrow(compat_level=pl.CompatLevel.oldest())
        return arrow.cast(self.arrow_schema)
