"""Text about records of backfills and of `follow` runs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from basislake.output.columns import Heading, Kind
from basislake.output.tables import paragraph, print_table
from basislake.output.units import duration
from ingest.backfill.run_records import STUCK
from lake.counted_words import counted

_SHOWN_INSTRUMENTS = 4
_SHOWN_RUNS = 3
# A run writes its record every second; less often in an object store or while it waits.
_LONG_QUIET_S = 15.0
_COLUMNS = ("run", "state", "calls", "candles", "failed", Heading("lasted", Kind.MEASURE))


def show_running(running: Sequence[Mapping[str, Any]]) -> None:
    """Print what the running runs are doing, by their `ingest.backfill.run_records`."""
    for record in running:
        paragraph(running_line(record))
        if isinstance(record.get("follow"), Mapping):
            paragraph(following_line(record["follow"]))
    if running:
        click.echo()


def show_ended(ended: Sequence[Mapping[str, Any]]) -> None:
    """Print what the last runs did, by their records, the last first."""
    if not ended:
        return
    rows = [_row(record) for record in ended[:_SHOWN_RUNS]]
    print_table("Past backfills", _COLUMNS, rows)
    click.echo()


def running_line(record: Mapping[str, Any]) -> str:
    """Return some lines about what a running run does; pure."""
    done = record.get("windows_done", 0)
    left = record.get("windows_left", _planned(record.get("plan", {})))
    now, parts = record.get("instruments_now", []), _parts(record)
    names = ", ".join(now[:_SHOWN_INSTRUMENTS]) + (", ..." if len(now) > _SHOWN_INSTRUMENTS else "")
    is_stuck = record.get("state") == STUCK
    seconds_left = None if is_stuck else record.get("seconds_left")
    lasting = f", {duration(seconds_left)} left" if seconds_left is not None else ""
    verb = "follow" if "follow" in record else "backfill"
    return (
        f"{'Stuck' if is_stuck else 'Running'}: {verb} {record['run']}, "
        f"process {record['pid']} on {record['host']}\n{_quiet(record)}"
        f"  [{done}/{done + left}] {_rate(record)}{lasting}, "
        f"{counted(record.get('candles', 0), 'candle')}\n"
        f"  {counted(sum(p.get('retries', 0) for p in parts), 'retry', 'retries')}, "
        f"{sum(p.get('throttled', 0) for p in parts):,} throttled, "
        f"{sum(len(p.get('failed', [])) for p in parts)} failed\n"
        f"  now: {names or '-'}"
    )


def _planned(plan: Mapping[str, Any]) -> int:
    """The windows that a run has planned; a run of an older program planned candles only."""
    windows: int = plan.get("all_windows", plan.get("windows", 0))
    return windows


def _quiet(record: Mapping[str, Any]) -> str:
    """A line about a run without progress for long: since when, and how to continue it."""
    quiet_s = record.get("quiet_seconds", 0.0)
    since = f"  no progress for {duration(quiet_s)}"
    if record.get("is_stopped"):
        return f"{since}, stopped by a signal; to continue it:\n  kill -CONT {record['pid']}\n"
    return f"{since}\n" if quiet_s > _LONG_QUIET_S else ""


def following_line(follow: Mapping[str, Any]) -> str:
    """Return a line about how current a `follow` run keeps the lake; pure.

    Args:
        follow: the part of its record with this name, see `basislake.follow.follow`.
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
    """Calls per second since the start, the limit, and a lower limit after refusals."""
    limit, now = (record.get(f"calls_per_second_{name}") for name in ("limit", "allowed"))
    rate = f"{record.get('calls_per_second', 0.0):.1f}"
    if limit is None:
        return f"{rate} calls/s"
    why = ", after refusals" if record.get("throttled") else ""
    slowed = f" (at most {now:.1f} now{why})" if now is not None and now < limit else ""
    return f"{rate} of {limit:g} calls/s{slowed}"


def _parts(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The figures of each dataset."""
    return [record, *record.get("datasets", {}).values()]


def _row(record: Mapping[str, Any]) -> list[object]:
    started_at, updated_at = (
        datetime.fromisoformat(record[name]) for name in ("started_at", "updated_at")
    )
    return [
        record["run"],
        record["state"],
        sum(part.get("calls", 0) for part in _parts(record)),
        record.get("candles_written", 0),
        sum(len(part.get("failed", [])) for part in _parts(record)),
        duration((updated_at - started_at).total_seconds()),
    ]
