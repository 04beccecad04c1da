"""What `status` shows at a glance: how complete each coin is, how old it is, what to do next."""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from basislake.columns import Column, Kind
from basislake.output import age, called, counted, percent
from basislake.tables import bar, console, print_table
from lake import Lake
from lake.snapshot import Snapshot
from lake.spans import MINUTE
from lake.tables import COVERAGE, INSTRUMENTS

# The order a bar shows them in: what is there, what was asked, what was not.
_STATUSES = ("present", "no_data", "missing", "failed", "never_asked")
# Fetched longer ago than this, a lake that was up to date then is worth another run.
_OLD = timedelta(days=1)
# Verbs that write to the database.
_LOADING = ("load", "load --verify", "run")

Next = tuple[str, str]


def coins(where: Lake) -> list[dict[str, Any]]:
    """Return one object per coin and kind.

    Keys: coin, kind; instruments (known) and with_candles; coverage (status to minutes); newest_ts
    (the newest minute with a raw candle, None where there is none).
    """
    joined = where.read(COVERAGE).join(where.read(INSTRUMENTS), on="instrument", how="right")
    is_present = pl.col("status") == "present"
    minutes = pl.col("minutes")
    found = joined.group_by(coin="base", kind="kind").agg(
        instruments=pl.col("instrument").n_unique(),
        with_candles=pl.col("instrument").filter(is_present).n_unique(),
        newest_ts=pl.col("end").filter(is_present).max() - MINUTE,
        **{status: minutes.filter(pl.col("status") == status).sum() for status in _STATUSES},
    )
    return [
        {
            **{key: row[key] for key in ("coin", "kind", "instruments", "with_candles")},
            "coverage": {status: row[status] for status in _STATUSES if row[status]},
            "newest_ts": row["newest_ts"],
        }
        for row in found.sort("coin", "kind").iter_rows(named=True)
    ]


def committed_at(snapshot: Snapshot) -> datetime | None:
    """Return when a version of a table was committed, None where it does not exist."""
    if snapshot.delta is None:
        return None
    milliseconds = snapshot.delta.history(1)[0]["timestamp"]
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def next_steps(found: Mapping[str, Any], now: datetime) -> list[Next]:
    """Return what to run next, most urgent first, as (arguments of `basislake`, why); pure.

    Args:
        found: what `status --json` prints.
        now: this machine's clock, UTC.
    """
    steps: list[Next] = []
    minutes = found["coverage"]
    if not found["running"]:
        if failed := minutes.get("failed"):
            steps.append(
                ("backfill", f"asks again for {counted(failed, 'minute')} without an answer")
            )
        elif lacking := minutes.get("never_asked"):
            steps.append(
                ("backfill", f"fetches {counted(lacking, 'minute')} that nobody asked for yet")
            )
        elif not minutes:
            steps.append(("backfill", "fetches the candles"))
        elif since := _old(found, now):
            steps.append(("run", f"brings what is new; it was fetched {since}"))
    if found["behind"]:
        steps.append(("build", "brings the curated tables up to date"))
    if not found["database_error"]:
        steps += _database_steps(found["database"])
    return steps


def _database_steps(database: Mapping[str, Any] | None) -> list[Next]:
    if database is None:
        return [("load", "brings it into PostgreSQL; nothing was loaded yet")]
    if any(row["behind"] for row in database.values()):
        return [("load", "sends what changed to PostgreSQL; with --full everything")]
    if not all(row["equal"] for row in database.values()):
        return [("load --verify", "names the rows that differ, and what mends them")]
    return []


def show_coins(found: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """Print how complete each coin is, with bars on a terminal; those that have had a candle are
    called started.
    """
    to = console(sys.stdout)
    has_bars = to.is_terminal and to.encoding.startswith("utf")
    rows = [[*_coin(row, now), *([bar(_parts(row))] if has_bars else [])] for row in found]
    columns: list[str | Column] = [
        "what",
        Column("known", rank=1),
        "started",
        "minutes",
        Column("answered", Kind.MEASURE),
        "newest",
        Column("age", Kind.MEASURE, rank=2),
        *([Column("", rank=3)] if has_bars else []),
    ]
    print_table("Coverage by coin", columns, rows)


def show_tables(found: Mapping[str, Any], now: datetime) -> None:
    """Print the tables of the lake, with their ages."""
    rows = [
        [
            name,
            row["rows"],
            row["files"],
            row["bytes"],
            row["version"],
            _age(row["committed_at"], now),
        ]
        for name, row in found["tables"].items()
    ]
    columns: list[str | Column] = [
        "table",
        "rows",
        "files",
        Column("size", Kind.SIZE),
        Column("version", Kind.PLAIN, rank=1),
        Column("changed", Kind.MEASURE),
    ]
    of = f", the market of {found['exchange']}" if found["exchange"] else ""
    print_table(f"Lake {found['lake']}{of}", columns, rows)


def show_next(steps: Sequence[Next], lake_flags: str, database_flags: str) -> None:
    """Print what to run next.

    Args:
        steps: of `next_steps`.
        lake_flags: what the commands need besides, e.g. ` --lake ./demo-lake`, or nothing.
        database_flags: what those need besides that write to the database, or nothing.
    """
    if not steps:
        console(sys.stdout).print("Nothing is left to do.", style="green")
        return
    rows = [
        [f"{called()} {verb}{lake_flags}{database_flags if verb in _LOADING else ''}", why]
        for verb, why in steps
    ]
    print_table("Next", ["run", "it"], rows)


def _coin(row: Mapping[str, Any], now: datetime) -> list[object]:
    of = row["coverage"]
    total = sum(of.values())
    answered = total - of.get("failed", 0) - of.get("never_asked", 0)
    return [
        f"{row['coin']} {row['kind']}",
        row["instruments"],
        row["with_candles"],
        total,
        percent(answered, total),
        row["newest_ts"],
        _age(row["newest_ts"], now),
    ]


def _parts(row: Mapping[str, Any]) -> list[tuple[str, float]]:
    return [(status, row["coverage"].get(status, 0)) for status in _STATUSES]


def _age(time: datetime | None, now: datetime) -> str | None:
    return None if time is None else age((now - time).total_seconds())


def _old(found: Mapping[str, Any], now: datetime) -> str | None:
    """How long ago the candles were fetched, where that is long and they were up to date then.

    Of a market that is over, or simulated, no run brings more.
    """
    at = found["tables"]["raw_candles"]["committed_at"]
    newest = max((row["newest_ts"] for row in found["coins"] if row["newest_ts"]), default=None)
    if at is None or newest is None or now - at < _OLD or at - newest > _OLD:
        return None
    return _age(at, now)
