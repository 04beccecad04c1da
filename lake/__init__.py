"""The lake: where every table lives, and two lines to a frame.

    import lake
    lake.open("./lake-data").scan("candles")        # a Polars LazyFrame
    lake.open("./lake-data").sql("FROM basis LIMIT 9")  # rows of a DuckDB query
    lake.open("./lake-data").duckdb()               # a DuckDB connection with a view per table
    lake.open("./lake-data", version=7).scan("basis")   # as it was when raw_candles had version 7

This package knows tables, files and commits; it knows nothing of exchanges, rules or databases.
"""

from collections.abc import Mapping
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
    uri: str, options: Mapping[str, str] | None = None, version: int | None = None
) -> "Lake":
    """Open a lake at a folder or object-store URI; nothing is read before a table is asked for.

    Where there is no lake, writing makes one and reading is a `LakeError`.

    With a version the lake is as it was then, and can only be read; see `lake.versions`.

    Args:
        uri: `./lake-data`, `s3://bucket/prefix`, `gs://...`, `az://...`.
        options: storage options for an object store, as delta-rs takes them; credentials also
            come from the usual environment variables.
        version: of `raw_candles`, the newest by default.

    Raises:
        UsageError: the path cannot be used, or there is no such version.
        LakeError: a version is asked for and the lake cannot be read.
    """
    from lake.store import Lake  # noqa: PLC0415

    present = Lake(uri, options)
    if version is None:
        return present
    from lake.versions import PastLake  # noqa: PLC0415

    return PastLake(present, version)
