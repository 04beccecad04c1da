"""The lake: where every table lives, and two lines to a frame.

    import lake
    lake.open("./lake-data").scan("candles")        # a Polars LazyFrame
    lake.open("./lake-data").sql("FROM basis LIMIT 9")  # rows of a DuckDB query
    lake.open("./lake-data").duckdb()               # a DuckDB connection with a view per table
    lake.open("./lake-data", as_of=7).scan("raw_candles")   # as it was when batch 7 was the newest

This package knows tables, files and commits; it knows nothing of exchanges, rules or databases.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lake.store import Lake
    from lake.tables import TABLES

__all__ = ["TABLES", "Lake", "open"]


def __getattr__(name: str) -> Any:  # noqa: ANN401  (whatever is asked for)
    """Import what is asked for only then: the libraries below take a third of a second."""
    if name == "Lake":
        from lake.store import Lake  # noqa: PLC0415

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
    """Open a lake at a folder or object-store URI; nothing is read before a table is asked for.

    Where there is no lake, writing makes one and reading is a `LakeError`.

    As of a batch, or of a time, the lake is as it was then, and can only be read; see `lake.past`.
    The raw tables, `instruments` and `coverage` are there as of any batch; the curated ones as of
    one that a build was made from, as long as what it left is stored. `basislake build --as-of`
    makes them again, and `basislake sql --as-of` does by itself.

    Args:
        uri: `./lake-data`, `s3://bucket/prefix`, `gs://...`, `az://...`.
        options: storage options for an object store, as delta-rs takes them; credentials also
            come from the usual environment variables.
        version: another name of `as_of`.
        as_of: a batch, or a time (UTC) by which it was the newest; the newest by default.

    Raises:
        UsageError: the path cannot be used, or there was no batch.
        LakeError: a batch is asked for and the lake cannot be read.
    """
    from lake.store import Lake  # noqa: PLC0415

    present, moment = Lake(uri, options), version if as_of is None else as_of
    if moment is None:
        return present
    from lake.past import past  # noqa: PLC0415

    return past(present, moment)
