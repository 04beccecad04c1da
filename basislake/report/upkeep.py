"""Figures of how the lake is kept: runs, the database, storage, the fingerprint."""

from basislake.report.figures import Chart, Figure, Kind, Listing, query

RUNS_SHOWN = 10

RUNS = Figure(
    name="runs",
    title="Backfills, plan against actual",
    meaning=(
        f"The last {RUNS_SHOWN} backfills that ended, the newest first. Planned is the most there "
        "could be; what an instrument has before its first trade does not come."
    ),
    sql=query("""
        SELECT run, state, started_at, seconds, planned_calls, calls, planned_candles, candles,
               candles_written, retries, throttled, empty, failed
        FROM runs
        ORDER BY run DESC
    """),
    units={"seconds": "seconds"},
    chart=Chart(
        Kind.BARS,
        x="started_at",
        y=("planned_candles", "candles"),
        stands_for={"planned_candles": "planned", "candles": "came"},
        colours=("no_data", "series-1"),
        y_title="candles",
    ),
    listing=Listing(
        {
            "started_at": "started",
            "state": "state",
            "seconds": "seconds",
            "planned_calls": "calls planned",
            "calls": "made",
            "planned_candles": "candles planned",
            "candles": "came",
            "candles_written": "new",
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
    title="PostgreSQL beside the lake",
    meaning=(
        "Rows that each table should hold, by the lake, and holds, as the database counts them, "
        "and partitions whose content is not what `basislake load` brought last. Equal is a table "
        "of as many rows, none of whose partitions is to be loaded."
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
        empty="No database was asked; `basislake load` makes one.",
    ),
    is_wide=True,
)

DATABASE_STORAGE = Figure(
    name="database-storage",
    title="Storage of the database",
    meaning=(
        "Bytes by `pg_total_relation_size`: rows, keys and what PostgreSQL keeps beside them. Its "
        "own upkeep changes them, so `report --verify` does not compare this one."
    ),
    sql=query("""
        SELECT table_name, database_bytes AS bytes,
               round(database_bytes / nullif(database_rows, 0), 1) AS bytes_a_row
        FROM database_tables
        ORDER BY database_bytes DESC, table_name
    """),
    units={"bytes": "bytes", "bytes_a_row": "bytes"},
    chart=Chart(
        Kind.BARS,
        x="table_name",
        y=("bytes",),
        colours=("series-2",),
        y_title="bytes",
    ),
    listing=Listing(
        {"table_name": "table", "bytes": "bytes", "bytes_a_row": "a row"},
        empty="No database was asked.",
    ),
    is_lasting=False,
)

STORAGE = Figure(
    name="storage",
    title="Storage of the lake, by table",
    meaning=(
        "Bytes of the Parquet files that make up the tables, by Delta Lake's log; files that were "
        "replaced, which stay for a day, come on top. Upkeep puts files together, so `report "
        "--verify` does not compare this one."
    ),
    sql=query("""
        SELECT table_name, sum(rows) AS rows, count(*) AS files, sum(bytes) AS bytes,
               round(sum(bytes) / nullif(sum(rows), 0), 2) AS bytes_a_row
        FROM lake_files
        GROUP BY table_name
        ORDER BY bytes DESC, table_name
    """),
    units={"bytes": "bytes", "bytes_a_row": "bytes"},
    chart=Chart(
        Kind.BARS,
        x="table_name",
        y=("bytes",),
        colours=("series-1",),
        y_title="bytes",
    ),
    listing=Listing(
        {
            "table_name": "table",
            "rows": "rows",
            "files": "files",
            "bytes": "bytes",
            "bytes_a_row": "a row",
        }
    ),
    is_lasting=False,
)

FINGERPRINT = Figure(
    name="fingerprint",
    title="Fingerprint",
    meaning=(
        "The sha256 of the content of each table that this page shows: two lakes that hold the "
        "same rows have the same (`basislake fingerprint`)."
    ),
    sql=query("""
        SELECT table_name, rows, sha256
        FROM lake_content
        ORDER BY place
    """),
    listing=Listing({"table_name": "table", "rows": "rows", "sha256": "sha256 of the content"}),
    is_wide=True,
)
