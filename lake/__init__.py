"""The lake: where every table lives, and two lines to a frame.

    import lake
    lake.open("./lake-data").scan("candles")        # a Polars LazyFrame
    lake.open("./lake-data").sql("FROM basis LIMIT 9")  # rows of a DuckDB query
    lake.open("./lake-data").duckdb()               # a DuckDB connection with a view per table

This package knows tables, files and commits; it knows nothing of exchanges, rules or databases.
"""

from collections.abc import Mapping

from lake.store import Lake
from lake.tables import TABLES

__all__ = ["TABLES", "Lake", "open"]


def open(uri: str, options: Mapping[str, str] | None = None) -> Lake:  # noqa: A001  (lake.open reads best)
    """Open a lake at a folder or object-store URI; nothing is read before a table is asked for.

    Args:
        uri: `./lake-data`, `s3://bucket/prefix`, `gs://...`, `az://...`.
        options: storage options for an object store, as delta-rs takes them; credentials also
            come from the usual environment variables.
    """
    return Lake(uri, options)
