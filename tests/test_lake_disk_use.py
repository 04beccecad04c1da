"""Disk space of a lake, and how much of it maintenance frees."""

import os
import time
from pathlib import Path

import polars as pl

from basislake import PROGRAM
from basislake.pipeline.estimates import estimate
from ingest.datasets.candles import candles_of
from ingest.plan.windows import Plan
from lake import Lake
from lake import open as open_lake
from lake.coverage import Subject
from lake.maintenance.disk_use import OTHER, Disk, disk_of
from lake.maintenance.maintain import maintain
from lake.tables import COVERAGE
from lake.time.intervals import Span
from tests.lakes import LINEAGE, LISTED_AT, instrument, interval, lake_of

HOUR_S = 3600.0


def disk(lake: Lake) -> Disk:
    still = lake.state()
    return disk_of(still, still.snapshots())


def taken(folder: Path) -> int:
    """As `du` counts."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def test_replaced_files_count_until_maintenance_deletes_them(tmp_path: Path) -> None:
    rows = [interval("BTC-PERPETUAL", LISTED_AT, LISTED_AT.replace(hour=1), "present")]
    lake = lake_of(tmp_path, instruments=[instrument("BTC-PERPETUAL")], coverage=rows)
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "data").write_bytes(os.urandom(100_000))
    (tmp_path / "note").write_bytes(b"x")
    found = disk(lake)
    assert found.used_bytes == taken(tmp_path) == sum(found.folders.values())
    assert (found.replaced_bytes, found.freed_bytes) == (0, 0)
    live = [path for path in tmp_path.rglob("*.parquet") if "_delta_log" not in path.parts]
    assert found.live_bytes == sum(path.stat().st_blocks * 512 for path in live) > 0
    assert found.folders["postgres"] == taken(tmp_path / "postgres") > 100_000
    assert found.folders[OTHER] == taken(tmp_path) - sum(
        taken(path) for path in tmp_path.iterdir() if path.is_dir()
    )

    # What is replaced stays for a day.
    base = lake.snapshot(COVERAGE)
    lake.replace(base, base.read().with_columns(pl.lit("missing").alias("status")), LINEAGE)
    replaced, old = disk(lake), tmp_path / "coverage" / base.files[0].path
    assert (replaced.replaced_bytes, replaced.freed_bytes) == (old.stat().st_blocks * 512, 0)
    # What no commit names, and is older, goes at the next maintenance, but not before.
    stray = tmp_path / "coverage" / "0000-stray.parquet"
    stray.write_bytes(os.urandom(20_000))
    os.utime(stray, (time.time() - 25 * HOUR_S,) * 2)
    before = disk(lake)
    assert before.freed_bytes == stray.stat().st_blocks * 512 > 0
    assert before.replaced_bytes == replaced.replaced_bytes + before.freed_bytes
    maintain(lake, PROGRAM)
    after = disk(lake)
    assert not stray.exists()
    assert (after.replaced_bytes, after.freed_bytes) == (replaced.replaced_bytes, 0)


def test_a_store_is_counted_by_the_sizes_of_its_files() -> None:
    lake = open_lake("memory:///counted")
    assert disk(lake) == Disk(0, 0, 0, 0, {})


def test_candles_of_a_future_take_room_in_basis_too() -> None:
    day = Span(LISTED_AT, LISTED_AT.replace(day=2))
    plans = [Plan(candles_of(name), (day,), (day,)) for name in ("F", "P")]
    kinds = {"F": "future", "P": "perpetual"}
    future, perpetual = (estimate([plan], kinds) for plan in plans)
    # Of 1,440 minutes each: bytes a candle in the lake, and in PostgreSQL.
    assert (future.lake_bytes, future.database_bytes) == (round(1440 * 35.2), 1440 * 289)
    assert (perpetual.lake_bytes, perpetual.database_bytes) == (round(1440 * 20.2), 1440 * 138)
    both = estimate(plans, kinds)
    assert both.database_bytes == future.database_bytes + perpetual.database_bytes
    # Of carry data raw and curated rows, and those of PostgreSQL, which has no totals.
    hours = estimate([Plan(Subject("funding", "P"), (day,), (day,))], {})
    assert (hours.lake_bytes, hours.database_bytes) == (24 * 43, 24 * 133)
    month = Span(LISTED_AT.replace(day=1), LISTED_AT.replace(day=1, month=LISTED_AT.month % 12 + 1))
    total = estimate([Plan(Subject("funding_totals", "P"), (month,), (month,))], {})
    assert (total.lake_bytes, total.database_bytes) == (56, 0)
