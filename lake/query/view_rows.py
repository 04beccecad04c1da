"""Rows of a derived view as a lazy Polars frame; DuckDB computes them when it is collected."""

from collections.abc import Iterator

import polars as pl
from polars.io.plugins import register_io_source

from lake.query.views import View
from lake.state import State


def scan_view(state: State, view: View) -> pl.LazyFrame:
    """Return the rows of a view without parameters, with the declared columns and types.

    DuckDB computes only the columns in use. A filter is applied to the rows that DuckDB
    returns; in a query of `Lake.sql` DuckDB would apply it earlier.

    Args:
        state: the lake at one moment.
        view: its declaration.
    """
    schema = pl.Schema({column.name: column.type.polars for column in view.columns})
    state.snapshots()

    def rows(
        columns: list[str] | None, predicate: pl.Expr | None, limit: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        names = schema.names() if columns is None else columns
        listed = ", ".join(f'"{name}"' for name in names)
        few = "" if limit is None or predicate is not None else f" LIMIT {limit}"
        found = state.sql(f"SELECT {listed} FROM {view.name}{few}")
        found = found.cast({name: schema[name] for name in names})
        found = found if predicate is None else found.filter(predicate)
        yield found if limit is None else found.head(limit)

    return register_io_source(rows, schema=schema, is_pure=True, explain_name=view.name)
