"""Figures of operation: runs, the database, storage, the fingerprint."""

from basislake.report.figures import Chart, ChartKind, Figure, Listing, query

RUNS_SHOWN = 10

RUNS = Figure(
    name="runs",
    title="Backfills, plan against actual",
    caption=f"Candles planned and received by the last {RUNS_SHOWN} backfills, the newest first",
    meaning=(
        "Backfills that ended. Planned is an upper bound: an instrument has no candles before its "
        "first trade, and the plan does not know when that was."
    ),
    sql=query("""
        SELECT run, state, started_at, seconds, planned_calls, calls, planned_candles, candles,
               candles_written, retries, throttled, empty, failed
        FROM runs
        ORDER BY run DESC
    """),
    units={"seconds": "seconds"},
    chart=Chart(
        ChartKind.BARS,
        x="started_at",
        y=("planned_candles", "candles"),
        names={"planned_candles": "planned", "candles": "received"},
        colours=("no_data", "accent"),
        x_title="candles",
        y_title="start, UTC",
        unit="candles",
    ),
    listing=Listing(
        {
            "started_at": "started",
            "state": "state",
            "seconds": "seconds",
            "planned_calls": "calls planned",
            "calls": "calls made",
            "planned_candles": "candles planned",
            "candles": "candles received",
            "candles_written": "candles new",
            "retries": "retries",
            "failed": "failed instruments",
        },
        rows=RUNS_SHOWN,
        empty="No backfill has ended yet.",
    ),
    is_wide=True,
)

PARITY = Figure(
    name="parity",
    title="PostgreSQL and the lake",
    caption="Rows of each table: in the lake, and in the database",
    meaning=(
        "Partitions to load: those that changed since the last `basislake load`. A table is equal "
        "if both numbers of rows are the same and no partition is left to load."
    ),
    sql=query("""
        SELECT table_name, lake_rows, database_rows, behind, is_equal, loaded_at
        FROM database_tables
        ORDER BY table_name
    """),
    units={"lake_rows": "rows", "database_rows": "rows", "behind": "partitions"},
    listing=Listing(
        {
            "table_name": "table",
            "lake_rows": "rows in the lake",
            "database_rows": "rows in the database",
            "behind": "partitions to load",
            "is_equal": "equal",
            "loaded_at": "last loaded",
        },
        empty="No database was queried; `basislake load` fills one.",
    ),
    is_wide=True,
)

_SIZES = Chart(
    ChartKind.BARS,
    x="table_name",
    y=("bytes",),
    colours=("accent",),
    x_title="size",
    y_title="table",
    unit="bytes",
)

DATABASE_STORAGE = Figure(
    name="database-storage",
    title="Storage of the database",
    caption="Size of each table, with its keys and free space",
    meaning=(
        "Bytes as `pg_total_relation_size` counts them. The database's own maintenance changes "
        "the sizes, so `basislake report --verify` does not compare them."
    ),
    sql=query("""
        SELECT table_name, database_bytes AS bytes,
               round(database_bytes / nullif(database_rows, 0), 1) AS bytes_a_row
        FROM database_tables
        ORDER BY database_bytes DESC, table_name
    """),
    units={"bytes": "size", "bytes_a_row": "bytes"},
    chart=_SIZES,
    listing=Listing(
        {"table_name": "table", "bytes": "size", "bytes_a_row": "bytes a row"},
        empty="No database was queried.",
    ),
    is_lasting=False,
)

STORAGE = Figure(
    name="storage",
    title="Storage of the lake",
    caption="Size of the Parquet files of each table, current version",
    meaning=(
        "Bytes as the log of Delta Lake lists them. Replaced files, which stay until maintenance "
        "deletes them, do not count. Maintenance changes the sizes, so `basislake report --verify` "
        "does not compare them."
    ),
    sql=query("""
        SELECT table_name, sum(rows) AS rows, count(*) AS files, sum(bytes) AS bytes,
               round(sum(bytes) / nullif(sum(rows), 0), 2) AS bytes_a_row
        FROM lake_files
        GROUP BY table_name
        ORDER BY bytes DESC, table_name
    """),
    units={"bytes": "size", "bytes_a_row": "bytes"},
    chart=_SIZES,
    listing=Listing(
        {
            "table_name": "table",
            "rows": "rows",
            "files": "files",
            "bytes": "size",
            "bytes_a_row": "bytes a row",
        }
    ),
    is_lasting=False,
)

FINGERPRINT = Figure(
    name="fingerprint",
    title="Fingerprint",
    caption="The sha256 of the content of each table",
    meaning="Two lakes with the same rows have the same fingerprint (`basislake fingerprint`).",
    sql=query("""
        SELECT table_name, rows, sha256
        FROM lake_content
        ORDER BY place
    """),
    listing=Listing({"table_name": "table", "rows": "rows", "sha256": "sha256 of the content"}),
    is_wide=True,
)
