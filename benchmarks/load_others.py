"""Other loaders for the rows of `load.py`, run in a separate environment.

    python benchmarks/load_others.py upsert|dlt URI FOLDER

FOLDER holds Parquet files of `futures_ohlcv`. `upsert`: psycopg's executemany of an INSERT that
updates on conflict, a commit for each file, as the guide's script does. `dlt`: its PostgreSQL
destination, Parquet by ADBC, into a table of its own without a key. Prints one JSON object.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

COLUMNS = (
    "instrument", "timestamp", "expiry_date", "open", "high", "low", "close", "volume", "cost",
)  # fmt: skip


def upsert(uri: str, files: list[Path]) -> int:
    """Send rows to the empty table `upserted.futures_ohlcv`."""
    psycopg, parquet = import_module("psycopg"), import_module("pyarrow.parquet")
    updates = ", ".join(f"{name} = EXCLUDED.{name}" for name in COLUMNS[2:])
    sql = (
        f"INSERT INTO upserted.futures_ohlcv ({', '.join(COLUMNS)}) "
        f"VALUES ({', '.join(['%s'] * len(COLUMNS))}) "
        f"ON CONFLICT (instrument, timestamp) DO UPDATE SET {updates}"
    )
    sent = 0
    with psycopg.connect(uri) as connection, connection.cursor() as cursor:
        for file in files:
            table = parquet.read_table(file, partitioning=None).select(COLUMNS)
            rows = list(zip(*(column.to_pylist() for column in table), strict=True))
            cursor.executemany(sql, rows)
            connection.commit()
            sent += len(rows)
    return sent


def dlt(uri: str, files: list[Path]) -> int:
    """Send rows to the dataset `dlt`."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    library, parquet = import_module("dlt"), import_module("pyarrow.parquet")
    # It requires a host and a password; libpq uses the folder in the query nevertheless.
    credentials = import_module("dlt.destinations").postgres(
        uri.replace("postgres@/", "postgres:none@localhost:5432/")
    )
    pipeline = library.pipeline(
        "benchmark",
        destination=credentials,
        dataset_name="dlt",
        pipelines_dir=str(files[0].parent / "dlt"),
    )
    sent = 0

    def tables() -> Iterator[Any]:
        nonlocal sent
        for file in files:
            table = parquet.read_table(file, partitioning=None)
            sent += table.num_rows
            yield table

    resource = library.resource(tables, name="futures_ohlcv", write_disposition="append")
    pipeline.run(resource, loader_file_format="parquet").raise_on_failed_jobs()
    return sent


def main() -> None:
    """Run the selected one."""
    name, uri, folder = sys.argv[1:]
    files = sorted(Path(folder).glob("*.parquet"))
    start_s = time.monotonic()
    rows = {"upsert": upsert, "dlt": dlt}[name](uri, files)
    print(json.dumps({"rows": rows, "seconds": time.monotonic() - start_s}))


if __name__ == "__main__":
    main()
