"""What a lake and its database hold, gathered as plain values for `status`."""

from typing import Any

import polars as pl

from basislake.overview import coins, committed_at
from ingest.runs import runs
from ingest.schedule import newest_candles
from lake import Lake
from lake.state import newest_build
from lake.tables import (
    ASKS,
    BATCH,
    BUILDS,
    COVERAGE,
    CURATED,
    INSTRUMENTS,
    QUARANTINE,
    RAW_CANDLES,
    RECORDS,
)
from load.address import DEFAULT_SCHEMA, LOCK_WAIT_S

_RUNS = 10

BEHIND = (
    "The curated tables are not made from the newest raw candles; `basislake build` brings them up "
    "to date."
)


def lake_status(where: Lake) -> dict[str, Any]:
    """Return what the lake holds.

    Keys: lake; exchange (whose market it holds, None in a lake from before that was marked); tables
    (name to version, rows, files, bytes, committed_at); instruments (known, with_candles); coins
    (see `overview.coins`); coverage (status to minutes); newest_candle (its time, None where there
    is none); lag (what a running `follow` says of it, see `ingest.schedule.Lag`, None without one);
    behind (the curated tables, where they are
    not made from all that was fetched); unanswered (instrument, start, end, minutes of every failed
    interval); missing (the same of every missing one); quarantined (rule to rows); running and runs
    (records of backfills, see `ingest.runs`: those going on, and the last ones that ended).
    """
    where = where.state()
    snapshots = where.snapshots()
    coverage = where.read(COVERAGE)
    minutes = coverage.group_by("status").agg(pl.col("minutes").sum()).sort("status")
    failed, missing = (
        coverage.filter(pl.col("status") == status).drop("status").to_dicts()
        for status in ("failed", "missing")
    )
    records = runs(where, _RUNS)
    broken = where.read(QUARANTINE).explode("rules").group_by("rules").len().sort("rules")
    running = [record for record in records if record["state"] == "running"]
    newest = newest_candles(coverage)
    return {
        "lake": where.uri,
        "exchange": snapshots[INSTRUMENTS.name].origin,
        "tables": {
            name: {
                "version": snapshot.version,
                "rows": snapshot.rows,
                "files": len(snapshot.files),
                "bytes": sum(file.bytes for file in snapshot.files),
                "committed_at": committed_at(snapshot),
            }
            for name, snapshot in snapshots.items()
        },
        "instruments": {
            "known": snapshots[INSTRUMENTS.name].rows,
            "with_candles": len(snapshots[RAW_CANDLES.name].by_partition()),
        },
        "coins": coins(where),
        "coverage": dict(minutes.iter_rows()),
        "newest_candle": max(newest.values(), default=None),
        "lag": next((record["follow"] for record in running if "follow" in record), None),
        "behind": [table.name for table in CURATED] if is_behind(where) else [],
        "unanswered": failed,
        "missing": missing,
        "quarantined": dict(broken.iter_rows()),
        "running": running,
        "runs": [record for record in records if record["state"] != "running"],
    }


def is_behind(where: Lake) -> bool:
    """Whether the curated tables are not made from all that was fetched."""
    build = newest_build(where.snapshot(BUILDS))
    fetched = max(where.snapshot(table).counter(BATCH) for table in (ASKS, RECORDS))
    has_candles = bool(where.snapshot(RAW_CANDLES).files)
    return has_candles and (build is None or build[BATCH] != fetched)


def database_status(
    where: Lake, uri: str, schema: str = DEFAULT_SCHEMA, lock_wait_s: float = LOCK_WAIT_S
) -> dict[str, Any]:
    """Return each table in the lake and in the database: `{table: {lake, database, behind,
    equal}}`.

    `lake` and `database` are rows; `behind` counts partitions whose content is not what was loaded
    last; `equal` tells whether the rows are as many and no partition is behind.
    """
    from load.preview import parity  # noqa: PLC0415  (the driver takes a moment)

    return {
        row.table: {
            "lake": row.lake_rows,
            "database": row.database_rows,
            "behind": row.behind,
            "equal": row.is_equal,
        }
        for row in parity(where, uri, schema, lock_wait_s)
    }
