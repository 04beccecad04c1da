"""How the records of backfills, and of runs that follow the market, are shown."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from basislake.columns import Column, Kind
from basislake.output import counted, duration
from basislake.tables import print_table

_SHOWN_INSTRUMENTS = 8
_COLUMNS = (
    "run",
    "state",
    "calls",
    Column("planned calls", rank=2),
    Column("planned candles", rank=2),
    Column("candles written"),
    Column("retries", rank=1),
    "failed",
    Column("lasted", Kind.MEASURE),
)


def show_runs(running: Sequence[Mapping[str, Any]], ended: Sequence[Mapping[str, Any]]) -> None:
    """Print what running backfills are doing and what past ones did.

    Args:
        running: records of runs, see `ingest.runs`.
        ended: the same.
    """
    for record in running:
        click.echo(running_line(record))
        if isinstance(record.get("follow"), Mapping):
            click.echo(following_line(record["follow"]))
    if ended:
        rows = [_row(record) for record in ended]
        print_table("Past backfills", _COLUMNS, rows)


def running_line(record: Mapping[str, Any]) -> str:
    """Say on some lines what a running backfill is doing; pure."""
    done, left = record.get("windows_done", 0), record.get("windows_left", 0)
    now = record.get("instruments_now", [])
    names = ", ".join(now[:_SHOWN_INSTRUMENTS]) + (", ..." if len(now) > _SHOWN_INSTRUMENTS else "")
    seconds_left = record.get("seconds_left")
    lasting = f", {duration(seconds_left)} left" if seconds_left is not None else ""
    verb = "follow" if "follow" in record else "backfill"
    return (
        f"Running: {verb} {record['run']}, process {record['pid']} on {record['host']}\n"
        f"  [{done}/{done + left}] {_rate(record)}{lasting}, "
        f"{counted(record.get('candles', 0), 'candle')}, "
        f"{counted(record.get('retries', 0), 'retry', 'retries')}, "
        f"{record.get('throttled', 0):,} throttled, {len(record.get('failed', []))} failed\n"
        f"  now: {names or '-'}"
    )


def following_line(follow: Mapping[str, Any]) -> str:
    """Say on some lines how current a run that follows the market keeps the lake; pure.

    Args:
        follow: what its record says under this name, see `basislake.follow`.
    """
    behind = "no candle yet"
    if follow.get("seconds") is not None:
        behind = (
            f"lag {duration(follow['seconds'])} at {follow['at']}, by the exchange's clock; "
            f"furthest behind: {follow['instrument']}, {duration(follow['instrument_seconds'])}"
        )
    waiting = "waiting for the exchange or the lake; " if follow.get("is_waiting") else ""
    return (
        f"  follows {counted(follow.get('instruments', 0), 'instrument')}, "
        f"{counted(follow.get('rounds', 0), 'round')}: {waiting}{behind}"
    )


def _rate(record: Mapping[str, Any]) -> str:
    """The calls a second since the start, the limit, and what is allowed now where that is less."""
    limit, now = (record.get(f"calls_per_second_{name}") for name in ("limit", "allowed"))
    rate = f"{record.get('calls_per_second', 0.0):.1f}"
    if limit is None:
        return f"{rate} calls/s"
    slowed = f" (at most {now:.1f} now, after refusals)" if now is not None and now < limit else ""
    return f"{rate} of {limit:g} calls/s{slowed}"


def _row(record: Mapping[str, Any]) -> list[object]:
    started_at, updated_at = (
        datetime.fromisoformat(record[name]) for name in ("started_at", "updated_at")
    )
    return [
        record["run"],
        record["state"],
        record.get("calls", 0),
        record["plan"]["calls"],
        record["plan"]["candles"],
        record.get("candles_written", 0),
        record.get("retries", 0),
        len(record.get("failed", [])),
        duration((updated_at - started_at).total_seconds()),
    ]
