"""Facts about a lake for `status`, as plain values."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import polars as pl

from basislake.status.holdings import Holdings, holdings, nothing_held
from basislake.status.overview import coins, committed_at
from ingest.backfill.run_records import GOING_ON, last_clock, runs
from ingest.follow_schedule import newest_candles
from ingest.plan.scope import as_json as scope_as_json
from ingest.plan.scope import scope_of
from lake import Lake
from lake.carry_tables import RAW_CARRY
from lake.coverage import IS_CANDLES
from lake.errors import UsageError
from lake.maintenance.disk_use import disk_of
from lake.snapshot import Snapshot
from lake.state import newest_build
from lake.table import BATCH
from lake.tables import (
    ASKS,
    BUILDS,
    CURATED,
    INSTRUMENTS,
    QUARANTINE,
    RAW_CANDLES,
    RECORDS,
)

_RUNS = 10

BEHIND = (
    "The curated tables are not built from the newest raw candles. Run `basislake build` to bring "
    "them up to date."
)


def lake_status(lake: Lake, now: datetime | None = None) -> dict[str, Any]:
    """Return facts about the lake, by these keys.

    About the lake: lake; exchange (the one it was fetched from, None before the first fetch);
    tables (name to version, rows, files, bytes, committed_at); disk (see
    `lake.maintenance.disk_use.Disk`); coverage (status to minutes of candles); newest_candle (its
    time or None); unanswered (instrument, start, end, minutes, dataset of every failed interval);
    missing (the same of every missing interval); quarantined (rule to rows); behind (the curated
    tables if they are not built from the newest data); running and runs (records of backfills that
    run, and of the last ones that ended, see `ingest.backfill.run_records`).

    About its scope: scope (see `ingest.plan.scope.as_json`) and scope_problem (why it cannot be
    used, or None); at (the exchange's clock that all of this refers to); instruments (known and
    with_candles in the lake; in_scope, and of those complete, current, begun and not_begun, see
    `ingest.plan.completeness.State`); minutes (see `ingest.plan.completeness.Amounts`); to_fetch
    (what a backfill would fetch, as in `plan`: windows, calls, candles, bytes, lake_bytes,
    database_bytes); standings (kind, state, is_open and minutes of each instrument); coins (see
    `overview.coins`); datasets (how complete the others are, see `Holdings.datasets`); failed
    (instruments with minutes that have no answer); lag (from a running `follow`, else of the open
    instruments, see `ingest.follow_schedule.Lag`; None if none has a candle).
    """
    at_present = now or datetime.now(UTC)
    lake = lake.state()
    snapshots = lake.snapshots()
    records = runs(lake, _RUNS, at_present)
    clock = last_clock(lake, records)
    at = clock.at(at_present) if clock else at_present
    broken = lake.read(QUARANTINE).explode("rules").group_by("rules").len().sort("rules")
    running = [record for record in records if record["state"] in GOING_ON]
    held, facts = _of_scope(lake, at)
    coverage = held.coverage
    minutes = (
        coverage.filter(IS_CANDLES).group_by("status").agg(pl.col("minutes").sum()).sort("status")
    )
    failed, missing = (
        coverage.filter(pl.col("status") == status).drop("status").to_dicts()
        for status in ("failed", "missing")
    )
    followed = next((record["follow"] for record in running if "follow" in record), None)
    return {
        "lake": lake.uri,
        "exchange": snapshots[INSTRUMENTS.name].origin,
        "at": at,
        "tables": {name: _table(snapshot) for name, snapshot in snapshots.items()},
        **facts,
        "instruments": {
            "known": snapshots[INSTRUMENTS.name].rows,
            "with_candles": len(snapshots[RAW_CANDLES.name].by_partition()),
            **facts["instruments"],
        },
        "coins": coins(held),
        "coverage": dict(minutes.iter_rows()),
        "newest_candle": max(newest_candles(coverage).values(), default=None),
        "lag": followed or (asdict(held.lag) if held.lag.newest else None),
        "disk": asdict(disk_of(lake, snapshots)),
        "behind": [table.name for table in CURATED] if is_behind(lake) else [],
        "unanswered": failed,
        "missing": missing,
        "quarantined": dict(broken.iter_rows()),
        "running": running,
        "runs": [record for record in records if record["state"] not in GOING_ON],
    }


def _of_scope(lake: Lake, at: datetime) -> tuple[Holdings, dict[str, Any]]:
    """The content of the lake in its scope, and the same as plain values."""
    scope, problem = scope_of(lake), None
    try:
        held = holdings(lake, scope, at)
    except UsageError as exc:
        held, problem = nothing_held(lake, at), str(exc)
    figures = held.figures()
    # Times depend on a rate, and `status` has none.
    plan = {name: value for name, value in held.plan().items() if "seconds" not in name}
    return held, {
        "scope": scope_as_json(scope),
        "scope_problem": problem,
        "minutes": asdict(figures.pop("minutes")),
        "instruments": figures,
        "to_fetch": plan,
        "failed": held.failed,
        "datasets": held.datasets(),
        "standings": held.rows(),
    }


def _table(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "version": snapshot.version,
        "rows": snapshot.rows,
        "files": len(snapshot.files),
        "bytes": sum(file.bytes for file in snapshot.files),
        "committed_at": committed_at(snapshot),
    }


def is_behind(lake: Lake) -> bool:
    """Whether the curated tables are not built from all fetched data."""
    build = newest_build(lake.snapshot(BUILDS))
    fetched = max(lake.snapshot(table).counter(BATCH) for table in (ASKS, RECORDS))
    has_rows = any(lake.snapshot(table).files for table in (RAW_CANDLES, *RAW_CARRY))
    return has_rows and (build is None or build[BATCH] != fetched)
