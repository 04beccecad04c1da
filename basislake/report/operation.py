"""Figures of operation: runs, the database, storage, the fingerprint."""

from basislake.report.figures import Chart, ChartKind, Figure, Listing, query

RUNS_SHOWN = 10

RUNS = Figure(
    name="runs",
    title="Backfills, plan against actual",
    caption=f"Candles of the last {RUNS_SHOWN} backfills that ended, the newest first",
    meaning=(
        "Planned is an upper bound: an instrument has no candles before its first trade, and the "
        "plan does not know when that was."
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
            "candles": "received",
            "candles_written": "new candles",
            "retries": "retries",
            "failed": "failed",
        },
        rows=RUNS_SHOWN,
        empty="No backfill has ended yet.",
    ),
    is_wide=True,
)

PARITY = Figure(
    name="parity",
    title="PostgreSQL and the lake",
    caption="Expected and actual rows of each table",
    meaning=(
        "Rows in the lake, rows in the database, and partitions that changed since the last "
        "`basislake load`. A table is equal if both numbers are the same and no partition is left "
        "to load."
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
            "database_rows": "in the database",
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
    caption="By table, with keys and free space",
    meaning=(
        "Bytes by `pg_total_relation_size`. The database's own maintenance changes them, so "
        "`report --verify` does not compare them."
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
    caption="Parquet files of the current version, by table",
    meaning=(
        "Bytes by the log of Delta Lake, without replaced files, which stay until maintenance "
        "deletes them. Maintenance compacts files, so `report --verify` does not compare sizes."
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
