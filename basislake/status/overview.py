"""Overview in `status`: how complete and how old the lake is, and which commands to run next."""

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click
import polars as pl

from basislake.output.columns import Heading, Kind
from basislake.output.pasting import called
from basislake.output.tables import bar, console, print_commands, print_table
from basislake.output.units import age, percent, size
from basislake.pipeline.retry_commands import retry_arguments
from basislake.status.holdings import Holdings
from ingest.datasets import DATASETS
from ingest.datasets.candles import CANDLES
from ingest.plan.completeness import Amounts, Completeness, summed
from ingest.plan.selection import Selection
from lake.counted_words import counted
from lake.coverage import IS_CANDLES, Subject
from lake.snapshot import Snapshot
from lake.time.intervals import MINUTE

# The order in a bar: what is stored, what was asked for, what was not.
_STATUSES = ("present", "no_data", "missing", "failed", "never_asked")
# Verbs that write to the database.
_LOADING = ("load", "load --verify", "run")
# A user who fetched only this many futures may want no others.
_FEW = 6

Next = tuple[str, str]


def coins(held: Holdings) -> list[dict[str, Any]]:
    """Return one object per coin and kind.

    Keys: coin, kind; instruments (known) and with_candles; coverage (status to minutes); newest_ts
    (the newest minute with a raw candle, or None); and for those in scope in_scope, complete,
    current, begun, not_begun and minutes (see `ingest.plan.completeness`).

    Args:
        held: the content of the lake in its scope.
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
            **_summed(held, set(row["names"])),
        }
        for row in found.sort("coin", "kind").iter_rows(named=True)
    ]


def _summed(held: Holdings, names: Collection[str]) -> dict[str, Any]:
    counts, minutes = summed(each for each in held.standings if each.plan.subject.name in names)
    return {**counts, "minutes": minutes}


def committed_at(snapshot: Snapshot) -> datetime | None:
    """Return when a version of a table was committed, None if the table does not exist."""
    if snapshot.delta is None:
        return None
    milliseconds = snapshot.delta.history(1)[0]["timestamp"]
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def next_steps(found: Mapping[str, Any]) -> list[Next]:
    """Return what to run next, most urgent first, as (arguments of `basislake`, why); pure.

    Args:
        found: what `status --json` prints.
    """
    steps: list[Next] = []
    if found["scope_problem"]:
        steps.append(("scope --all", "sets the scope to everything, because it cannot be used"))
    elif not found["instruments"]["known"]:
        steps.append(("instruments", "fetches the list of instruments, in four calls"))
    elif not found["running"]:
        # A stuck run still holds its locks.
        steps += _fetching_steps(found)
    if found["behind"]:
        steps.append(("build", "brings the curated tables up to date"))
    is_loadable = found["behind"] or found["tables"]["builds"]["rows"]
    if not found["database_error"] and (found["database"] or is_loadable):
        steps += _database_steps(found["database"])
    return steps


def retry_of(found: Mapping[str, Any], dataset: str, failed: Sequence[str]) -> str:
    """Return the arguments of `basislake` that ask again for what failed of a dataset; pure.

    Args:
        found: as for `next_steps`.
        dataset: its name.
        failed: its instruments or indices that failed, at least one.
    """
    scope = Selection(names=tuple(found["scope"].get("instruments", ())))
    return retry_arguments([Subject(dataset, name) for name in failed], scope=scope)[0]


def _fetching_steps(found: Mapping[str, Any]) -> Iterator[Next]:
    failed, plan = found["failed"], found["to_fetch"]
    if failed:
        count = found["minutes"]["failed"]
        why = f"asks again for {counted(count, 'minute')} without an answer"
        yield retry_of(found, CANDLES.name, failed), why
    for name, of in found["datasets"].items():
        if of["failed"]:
            steps = f"{counted(of['steps'].failed, of['noun'])} of {DATASETS[name].words}"
            yield retry_of(found, name, of["failed"]), f"asks again for {steps}"
    rest = [
        row for row in found["standings"] if _is_lacking(row) and row["instrument"] not in failed
    ]
    lacking = [
        DATASETS[name].words
        for name, of in found["datasets"].items()
        if of[Completeness.BEGUN.value] + of[Completeness.NOT_BEGUN.value] > len(of["failed"])
    ]
    others = plan["all_calls"] - plan["calls"]
    if not rest:
        if lacking:
            yield "backfill", f"fetches {', '.join(lacking)} in {counted(others, 'call')}"
        return
    is_old = all(row["is_open"] and row["state"] == Completeness.BEGUN.value for row in rest)
    verb = "run" if is_old and found["tables"]["builds"]["rows"] else "backfill"
    also = f", carry data in {others:,}" if lacking else ""
    calls = counted(plan["calls"], "call")
    yield verb, f"fetches at most {counted(plan['candles'], 'candle')} in {calls}{also}"
    begun = [row["instrument"] for row in found["standings"] if _is_begun_future(row)]
    is_unset = found["scope"]["is_everything"] and found["instruments"]["not_begun"]
    if is_unset and 0 < len(begun) <= _FEW:
        names = ",".join(begun)
        yield f"scope --instruments {names}", "limits the lake's scope to these instruments"


def _is_lacking(row: Mapping[str, Any]) -> bool:
    return row["state"] in (Completeness.BEGUN.value, Completeness.NOT_BEGUN.value)


def _is_begun_future(row: Mapping[str, Any]) -> bool:
    return bool(row["kind"] == "future" and row["state"] != Completeness.NOT_BEGUN.value)


def _database_steps(database: Mapping[str, Any] | None) -> list[Next]:
    if database is None:
        return [("load", "loads the tables into PostgreSQL for the first time")]
    if any(row["behind"] for row in database.values()):
        return [("load", "sends what changed to PostgreSQL; with --full everything")]
    if not all(row["equal"] for row in database.values()):
        return [("load --verify", "names the rows that differ, and how to correct them")]
    return []


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


def show_next(steps: Sequence[Next], lake_flags: str, database_flags: str) -> None:
    """Print the commands to run next, each on a separate line for pasting.

    Args:
        steps: of `next_steps`.
        lake_flags: further flags of all commands, e.g. ` --lake ./demo-lake`, or empty.
        database_flags: further flags of commands that write to the database, or empty.
    """
    if not steps:
        console(sys.stdout).print("Nothing is left to do.", style="green")
        return
    commands = []
    for arguments, why in steps:
        flags = lake_flags + (database_flags if arguments in _LOADING else "")
        commands.append((f"{called()} {arguments}{flags}", why))
    print_commands("Next", commands)


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
