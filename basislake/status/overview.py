"""Overview in `status`: how complete and how old the lake is."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click
import polars as pl

from basislake.output.columns import Heading, Kind
from basislake.output.tables import bar, console, print_table
from basislake.output.units import age, percent, size
from basislake.status.holdings import Holdings, figures_of
from ingest.datasets import DATASETS
from ingest.plan.completeness import Amounts, Completeness
from lake.counted_words import counted
from lake.coverage import IS_CANDLES
from lake.snapshot import Snapshot
from lake.time.intervals import MINUTE

# The order in a bar: what is stored, what was asked for, what was not.
_STATUSES = ("present", "no_data", "missing", "failed", "never_asked")


def coins(held: Holdings) -> list[dict[str, Any]]:
    """Return one object per coin and kind.

    Keys: coin, kind; instruments (known) and with_candles; coverage (status to minutes); newest_ts
    (the newest minute with a raw candle, or None); and for those in scope in_scope, complete,
    current, begun, not_begun and minutes (see `ingest.plan.completeness`).
    """
    joined = held.coverage.filter(IS_CANDLES).join(held.known, on="instrument", how="right")
    is_present = pl.col("status") == "present"
    minutes = pl.col("minutes")
    found = joined.group_by(coin="base", kind="kind").agg(
        instruments=pl.col("instrument").n_unique(),
        names=pl.col("instrument").unique(),
        with_candles=pl.col("instrument").filter(is_present).n_unique(),
        newest_ts=pl.col("end").filter(is_present).max() - MINUTE,
        **{status: minutes.filter(pl.col("status") == status).sum() for status in _STATUSES},
    )
    return [
        {
            **{key: row[key] for key in ("coin", "kind", "instruments", "with_candles")},
            "coverage": {status: row[status] for status in _STATUSES if row[status]},
            "newest_ts": row["newest_ts"],
            **figures_of(s for s in held.standings if s.plan.subject.name in row["names"]),
        }
        for row in found.sort("coin", "kind").iter_rows(named=True)
    ]


def committed_at(snapshot: Snapshot) -> datetime | None:
    """Return when a version of a table was committed, None if the table does not exist."""
    if snapshot.delta is None:
        return None
    milliseconds = snapshot.delta.history(1)[0]["timestamp"]
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def show_summary(found: Mapping[str, Any]) -> None:
    """Print how much of its scope the lake contains, what is left to fetch, and the disk use."""
    of = f", data from {found['exchange']}" if found["exchange"] else ""
    print_table(f"Lake {found['lake']}{of}", ["what", "is"], list(_summary(found)))


def _summary(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    instruments, minutes, disk = found["instruments"], found["minutes"], found["disk"]
    yield "scope", found["scope"]["described"]
    if found["scope_problem"]:
        yield "", found["scope_problem"]
    if instruments["in_scope"] or not found["datasets"]:
        yield "instruments", f"{instruments['complete']:,} of {instruments['in_scope']:,} complete"
        if others := list(_others(instruments)):
            yield "", ", ".join(others)
        yield "minutes", _present(minutes)
        if bad := [f"{minutes[n]:,} {word}" for n, word in _BAD_MINUTES.items() if minutes[n]]:
            yield "", ", ".join(bad)
    plan = found["to_fetch"]
    yield "to fetch", _to_fetch(plan)
    if plan["lake_bytes"]:
        more = size(plan["lake_bytes"]), size(plan["database_bytes"])
        yield "", f"{more[0]} more in the lake, {more[1]} in PostgreSQL"
    if (lag := found["lag"]) and lag.get("seconds") is not None:
        yield "lag", _lag(lag)
    tables = sum(disk["folders"].get(name, 0) for name in found["tables"])
    database = disk["folders"].get("postgres", 0)
    also = f", PostgreSQL {size(database)}" if database else ""
    yield "disk", f"{size(disk['used_bytes'])}: tables {size(tables)}{also}"
    later = disk["replaced_bytes"] - disk["freed_bytes"]
    yield (
        "maintenance",
        f"frees {size(disk['freed_bytes'])} now{f', {size(later)} within a day' if later else ''}",
    )
    yield "as of", f"{found['at']:%Y-%m-%d %H:%M}Z, by the exchange's clock"


_BAD_MINUTES = {"failed": "without an answer", "missing": "missing at the exchange"}


def _others(instruments: Mapping[str, int]) -> Iterator[str]:
    """Instruments that are not complete, by state."""
    for state, words in (
        (Completeness.CURRENT, "lacking only the newest minutes"),
        (Completeness.BEGUN, "begun"),
        (Completeness.NOT_BEGUN, "not begun"),
    ):
        if count := instruments[state.value]:
            yield f"{count:,} {words}"


def _present(minutes: Mapping[str, int]) -> str:
    present, due = minutes["present"], minutes["due"]
    return f"{present:,} of {due:,} present ({percent(present, due)})"


def _to_fetch(plan: Mapping[str, Any]) -> str:
    parts = []
    if plan["calls"]:
        calls = counted(plan["calls"], "call")
        parts.append(f"at most {counted(plan['candles'], 'candle')} in {calls}")
    if others := plan["all_calls"] - plan["calls"]:
        parts.append(f"carry data in {counted(others, 'call')}")
    return ", ".join(parts) or "nothing"


def _lag(lag: Mapping[str, Any]) -> str:
    """The time of the newest candle, and the instrument that is furthest behind."""
    # A running `follow` has it from its record, where times are texts.
    newest = datetime.fromisoformat(str(lag["newest"]))
    last, furthest = (age(lag[name]) for name in ("seconds", "instrument_seconds"))
    more = f"; {lag['instrument']} {furthest}" if furthest != last else ""
    return f"newest candle {newest:%Y-%m-%d %H:%M}Z, {last}{more}"


def show_coins(found: Sequence[Mapping[str, Any]]) -> None:
    """Print how complete each coin is, with bars on a terminal."""
    to = console(sys.stdout)
    has_bars = to.is_terminal and to.encoding.startswith("utf")
    shown = [row for row in found if row["in_scope"]]
    rows = [[*_coin(row), *([bar(_parts(row))] if has_bars else [])] for row in shown]
    columns: list[str | Heading] = [
        "coin",
        "in scope",
        "complete",
        "present",
        "of",
        Heading("share", Kind.MEASURE),
        Heading("newest", rank=1),
        *([Heading("", rank=2)] if has_bars else []),
    ]
    if rows:
        print_table("By coin, in scope", columns, rows)
        click.echo()


def show_datasets(found: Mapping[str, Any]) -> None:
    """Print how complete funding, deliveries and settlements in scope are."""
    plans = found["to_fetch"]["datasets"]
    rows = [
        [
            DATASETS[name].words,
            of["in_scope"],
            of["complete"],
            f"{of['noun']}s",
            of["steps"].present,
            of["steps"].due,
            percent(of["steps"].present, of["steps"].due),
            plans[name]["calls"],
        ]
        for name, of in found["datasets"].items()
    ]
    columns = ["data", "in scope", "complete", "in", "present", "of", "share", "calls left"]
    if rows:
        print_table("Carry data, in scope", columns, rows)
        click.echo()


def show_tables(found: Mapping[str, Any], now: datetime) -> None:
    """Print the tables of the lake, with their ages."""
    rows = [
        [name, row["rows"], row["files"], row["bytes"], _age(row["committed_at"], now)]
        for name, row in found["tables"].items()
    ]
    columns: list[str | Heading] = [
        "table",
        "rows",
        "files",
        Heading("size", Kind.SIZE),
        Heading("changed", Kind.MEASURE),
    ]
    print_table("Tables", columns, rows)


def _coin(row: Mapping[str, Any]) -> list[object]:
    minutes: Amounts = row["minutes"]
    return [
        f"{row['coin']} {row['kind']}",
        row["in_scope"],
        row["complete"],
        minutes.present,
        minutes.due,
        percent(minutes.present, minutes.due),
        row["newest_ts"],
    ]


def _parts(row: Mapping[str, Any]) -> list[tuple[str, float]]:
    minutes: Amounts = row["minutes"]
    known = minutes.present + minutes.missing + minutes.failed
    return [
        ("present", minutes.present),
        ("missing", minutes.missing),
        ("failed", minutes.failed),
        ("never_asked", max(0, minutes.due - known)),
    ]


def _age(time: datetime | None, now: datetime) -> str | None:
    return None if time is None else age((now - time).total_seconds())
