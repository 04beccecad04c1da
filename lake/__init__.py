"""The lake, where every table is stored, and how to read a table in two lines.

    import lake
    lake.open("./lake-data").scan("candles")        # a Polars LazyFrame
    lake.open("./lake-data").sql("FROM basis LIMIT 9")  # rows of a DuckDB query
    lake.open("./lake-data").duckdb()               # a DuckDB connection with a view per table
    lake.open("./lake-data", as_of=7).scan("raw_candles")   # as of batch 7

This package handles tables, files and commits; it has no code for exchanges, rules or databases.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lake.lake import Lake
    from lake.tables import TABLES

__all__ = ["TABLES", "Lake", "open"]


def __getattr__(name: str) -> Any:  # noqa: ANN401  (any public name)
    """Import a public name on first use: the libraries below take a third of a second to load."""
    if name == "Lake":
        from lake.lake import Lake  # noqa: PLC0415

        return Lake
    if name == "TABLES":
        from lake.tables import TABLES  # noqa: PLC0415

        return TABLES
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def open(  # noqa: A001  (lake.open reads best)
    uri: str,
    options: Mapping[str, str] | None = None,
    version: int | None = None,
    *,
    as_of: "int | datetime | None" = None,
) -> "Lake":
    """Open a lake at a folder or object-store URI; tables are read on first use.

    If there is no lake, the first write creates one and reading raises a `LakeError`.

    As of a batch or a time, the lake is read-only and shows what was known then; see
    `lake.history.as_of`. The raw tables, `instruments` and `coverage` can be read as of any batch;
    a curated table only as of a batch that a build used, while the files of that build are stored.
    `basislake build --as-of` builds them again, and `basislake sql --as-of` does so by itself.

    Args:
        uri: `./lake-data`, `s3://bucket/prefix`, `gs://...`, `az://...`.
        options: storage options for an object store, as delta-rs takes them; credentials also
            come from the usual environment variables.
        version: another name of `as_of`.
        as_of: a batch, or a time (UTC), which means the newest batch by then; default: the newest.

    Raises:
        UsageError: the path cannot be used, or there was no batch at that time.
        LakeError: `as_of` is given and the lake cannot be read.
    """
    from lake.lake import Lake  # noqa: PLC0415

    present, moment = Lake(uri, options), version if as_of is None else as_of
    if moment is None:
        return present
    from lake.history.as_of import past  # noqa: PLC0415

    return past(present, moment)
